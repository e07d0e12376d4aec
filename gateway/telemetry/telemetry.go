package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/log"
	lognoop "go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// maxAttributeLength bounds string attributes of spans and log records, in
// characters, where OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT and
// OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT set no bound.
const maxAttributeLength = 4096

// DefaultMaxSeries bounds the series of a metric where [Options] do not. It is more
// than the gateway's metrics can have by their attributes without connections; a
// histogram takes about 3 kB a series.
const DefaultMaxSeries = 4000

// Options is what Setup needs beside the environment.
type Options struct {
	// ServiceName and Version are service.name and service.version of the
	// resource, where the environment says nothing else.
	ServiceName, Version string
	// Instance is service.instance.id of the resource, where the environment says
	// nothing else; none if it is empty.
	Instance string
	// SpanExporter, if not nil, gets every sampled span as it ends, in the
	// goroutine that ends it, besides the exporter that the environment asks
	// for. It is meant for demonstrations and tests.
	SpanExporter sdktrace.SpanExporter
	// MaxSeries bounds the sets of attributes of each metric; 0 means
	// [DefaultMaxSeries]. What comes on top is counted together, in a series with
	// the attribute otel.metric.overflow.
	MaxSeries int
	// Logger gets what goes wrong when metrics are scraped, and that log records
	// were dropped because too many were waiting; nil discards it.
	Logger *slog.Logger
}

// Telemetry holds the providers. It is safe for concurrent use.
type Telemetry struct {
	tracers    trace.TracerProvider
	meters     metric.MeterProvider
	loggers    log.LoggerProvider
	prometheus http.Handler
	shutdown   []func(context.Context) error
}

// Setup reads the OTEL_* variables and starts the exporters that they ask for.
// It fails on exporters and resource attributes that it can't make sense of.
func Setup(ctx context.Context, o Options) (*Telemetry, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	registry := newRegistry()
	t := &Telemetry{prometheus: prometheusHandler(registry, o.Logger)}
	if sdkDisabled() {
		t.tracers, t.meters, t.loggers = tracenoop.NewTracerProvider(), metricnoop.NewMeterProvider(), lognoop.NewLoggerProvider()
		return t, nil
	}
	described, err := describe(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := t.startTraces(ctx, o, described); err != nil {
		return nil, err
	}
	if err := t.startMetrics(ctx, o, registry, described); err != nil {
		return nil, errors.Join(err, t.Shutdown(ctx))
	}
	if err := t.startLogs(ctx, o.Logger, described); err != nil {
		return nil, errors.Join(err, t.Shutdown(ctx))
	}
	return t, nil
}

// TracerProvider returns the tracer provider. Its spans have trace ids even if
// nothing is exported, unless OTEL_SDK_DISABLED is true.
func (t *Telemetry) TracerProvider() trace.TracerProvider { return t.tracers }

// MeterProvider returns the meter provider.
func (t *Telemetry) MeterProvider() metric.MeterProvider { return t.meters }

// LoggerProvider returns the provider of log records, which do nothing unless
// they are exported: ask Enabled before making one. Emit never waits for the
// exporter. While OTEL_BLRP_MAX_QUEUE_SIZE records are waiting or being sent, it
// drops the record; the metric jiragate.audit.shipping.dropped counts these, and
// those that an export that failed held. Whoever emits sees to it that no record
// has a key twice.
func (t *Telemetry) LoggerProvider() log.LoggerProvider { return t.loggers }

// PrometheusHandler serves all metrics, those of the Go runtime and of the
// process included, in Prometheus's formats.
func (t *Telemetry) PrometheusHandler() http.Handler { return t.prometheus }

// Shutdown exports what is left and stops the exporters. It is called once,
// after the last span has ended, and returns when ctx ends at the latest. Spans,
// metrics and log records do not wait for each other: one collector that hangs
// costs only what was meant for it.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	failures := make([]error, len(t.shutdown))
	var running sync.WaitGroup
	for i, f := range t.shutdown {
		running.Go(func() { failures[i] = f(ctx) })
	}
	running.Wait()
	return errors.Join(failures...)
}

// ErrorHandler returns a handler for [otel.SetErrorHandler] that writes what
// OpenTelemetry reports to l.
func ErrorHandler(l *slog.Logger) otel.ErrorHandler {
	return otel.ErrorHandlerFunc(func(err error) {
		l.Warn("telemetry failed", slog.Any("error", err), slog.String("hint", "calls go on; see that the collector of OTEL_EXPORTER_OTLP_ENDPOINT can be reached and takes what it is sent"))
	})
}

// sdkDisabled: only "true" counts, in any case (OpenTelemetry specification,
// environment variables, boolean values).
func sdkDisabled() bool {
	return strings.EqualFold(strings.TrimSpace(os.Getenv("OTEL_SDK_DISABLED")), "true")
}

// describe returns the resource. The process's command line and environment
// are not part of it.
func describe(ctx context.Context, o Options) (*resource.Resource, error) {
	attributes := []attribute.KeyValue{semconv.ServiceName(o.ServiceName), semconv.ServiceVersion(o.Version)}
	if o.Instance != "" {
		attributes = append(attributes, semconv.ServiceInstanceID(o.Instance))
	}
	r, err := resource.New(ctx,
		resource.WithAttributes(attributes...),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(), // the last one wins
	)
	if err != nil {
		return nil, fmt.Errorf("describe the service for telemetry (check OTEL_RESOURCE_ATTRIBUTES, KEY=VALUE,…): %w", err)
	}
	return r, nil
}

func (t *Telemetry) startTraces(ctx context.Context, o Options, described *resource.Resource) error {
	exporter, err := spanExporter(ctx)
	if err != nil {
		return err
	}
	limits := sdktrace.NewSpanLimits()
	if limits.AttributeValueLengthLimit < 0 {
		limits.AttributeValueLengthLimit = maxAttributeLength
	}
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(described),
		sdktrace.WithRawSpanLimits(limits),
	}
	if exporter != nil {
		options = append(options, sdktrace.WithBatcher(exporter))
	}
	if o.SpanExporter != nil {
		options = append(options, sdktrace.WithSyncer(o.SpanExporter))
	}
	if exporter == nil && o.SpanExporter == nil {
		// Nobody will see the spans: make their ids, but record nothing.
		options = append(options, sdktrace.WithSampler(sdktrace.NeverSample()))
	}
	provider := sdktrace.NewTracerProvider(options...)
	t.tracers = provider
	t.shutdown = append(t.shutdown, provider.Shutdown)
	return nil
}

func (t *Telemetry) startMetrics(ctx context.Context, o Options, registry *prometheus.Registry, described *resource.Resource) error {
	pulled, err := promexporter.New(promexporter.WithRegisterer(registry), promexporter.WithAggregationSelector(nativeAggregation))
	if err != nil {
		return fmt.Errorf("set up metrics for Prometheus: %w", err)
	}
	options := append(pushedHistograms(), sdkmetric.WithResource(described), sdkmetric.WithReader(pulled),
		sdkmetric.WithCardinalityLimit(cmp.Or(o.MaxSeries, DefaultMaxSeries)))
	pushed, err := metricReader(ctx)
	if err != nil {
		return err
	}
	if pushed != nil {
		options = append(options, sdkmetric.WithReader(pushed))
	}
	provider := sdkmetric.NewMeterProvider(options...)
	t.meters = provider
	t.shutdown = append(t.shutdown, provider.Shutdown)
	return nil
}
