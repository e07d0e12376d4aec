package offsite

import (
	"context"
	"math"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// result is what came of an attempt.
type result string

const (
	delivered    result = "delivered"
	failed       result = "failed"
	contradicted result = "contradicted"
	stalled      result = "stalled"
)

type meters struct {
	deliveries metric.Int64Counter
	size       metric.Int64Gauge
}

func newMeters(meter metric.Meter) (m meters, err error) {
	if meter == nil {
		meter = noop.NewMeterProvider().Meter("")
	}
	if m.deliveries, err = meter.Int64Counter("jiragate.audit.checkpoint.deliveries", metric.WithUnit("{attempt}"),
		metric.WithDescription("Attempts to deliver a checkpoint of the audit log to a place, by what came of them.")); err != nil {
		return m, err
	}
	m.size, err = meter.Int64Gauge("jiragate.audit.checkpoint.size", metric.WithUnit("{record}"),
		metric.WithDescription("Records that the checkpoint delivered last to a place commits to."))
	return m, err
}

// placeMeters are the meters of one place.
type placeMeters struct {
	meters
	place []attribute.KeyValue
}

func (m meters) of(kind Kind, index int) placeMeters {
	return placeMeters{m, []attribute.KeyValue{
		attribute.String("jiragate.place.kind", string(kind)), attribute.Int("jiragate.place.index", index),
	}}
}

func (m placeMeters) count(ctx context.Context, r result) {
	m.deliveries.Add(ctx, 1, metric.WithAttributes(m.place...), metric.WithAttributes(attribute.String("jiragate.result", string(r))))
}

func (m placeMeters) has(ctx context.Context, size uint64) {
	m.size.Record(ctx, int64(min(size, math.MaxInt64)), metric.WithAttributes(m.place...))
}
