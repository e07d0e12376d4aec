package pace

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// meters are the metrics. No connection is among their attributes.
type meters struct {
	refusals metric.Int64Counter
	waits    metric.Float64Histogram
	by       map[Reason]metric.AddOption
}

func newMeters(meter metric.Meter, p *Pacer) (m meters, err error) {
	if meter == nil {
		meter = noop.Meter{}
	}
	m.by = make(map[Reason]metric.AddOption, len(reasons))
	for _, r := range reasons {
		m.by[r] = metric.WithAttributeSet(attribute.NewSet(attribute.String("jiragate.reason", string(r))))
	}
	if m.refusals, err = meter.Int64Counter("jiragate.pace.refusals", metric.WithUnit("{call}"),
		metric.WithDescription("Calls that were not let through to Jira, by reason.")); err != nil {
		return m, err
	}
	if m.waits, err = meter.Float64Histogram("jiragate.pace.wait.duration", metric.WithUnit("s"),
		metric.WithDescription("How long calls waited that found no slot at once, let through in the end or not."),
		metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30)); err != nil {
		return m, err
	}
	return m, p.observe(meter)
}

// observe registers the gauges.
func (p *Pacer) observe(meter metric.Meter) error {
	var failed error
	gauge := func(name, unit, description string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
		failed = errors.Join(failed, err)
		return g
	}
	waiting := gauge("jiragate.pace.waiting", "{call}", "Calls that wait for a slot.")
	running := gauge("jiragate.pace.running", "{call}", "Calls at Jira.")
	paused := gauge("jiragate.pace.paused", "{connection}", "Connections that Jira has asked to wait, in whole or in part.")
	all := []metric.Observable{waiting, running, paused}
	var used, limit metric.Int64ObservableGauge
	if p.fund != nil {
		used = gauge("jiragate.pace.app.used", "{point}", "Points of the app used this UTC hour, by our own count; of the hour of the start, what may have been used before too.")
		limit = gauge("jiragate.pace.app.limit", "{point}", "Points of the app that may be used this UTC hour; less than configured where Jira said so.")
		all = append(all, used, limit)
	}
	if failed != nil {
		return failed
	}
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		now := time.Now()
		n := int64(0)
		for _, known := range p.connections {
			if known.resting(now) {
				n++
			}
		}
		o.ObserveInt64(waiting, p.waiting)
		o.ObserveInt64(running, p.running)
		o.ObserveInt64(paused, n)
		if p.fund != nil {
			p.fund.turn(now)
			o.ObserveInt64(used, p.fund.used/point)
			o.ObserveInt64(limit, p.fund.limit/point)
		}
		return nil
	}, all...)
	return err
}

// refused counts a refusal; a call that its client gave up is none.
func (m *meters) refused(ctx context.Context, err error) {
	if r, ok := errors.AsType[*Refusal](err); ok {
		m.refusals.Add(ctx, 1, m.by[r.Reason])
	}
}

func (m *meters) waited(ctx context.Context, d time.Duration) { m.waits.Record(ctx, d.Seconds()) }
