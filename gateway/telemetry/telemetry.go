package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// maxAttributeLength bounds string attributes of spans, in characters, where
// OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT sets no bound.
const maxAttributeLength = 4096

// Options is what Setup needs beside the environment.
type Options struct {
	// ServiceName and Version are service.name and service.version of the
	// resource, where the environment says nothing else.
	ServiceName, Version string
	// SpanExporter, if not nil, gets every sampled span as it ends, in the
	// goroutine that ends it, besides the exporter that the environment asks
	// for. It is meant for demonstrations and tests.
	SpanExporter sdktrace.SpanExporter
	// Logger gets what goes wrong when metrics are scraped; nil discards it.
	Logger *slog.Logger
}

// Telemetry holds the providers. It is safe for concurrent use.
type Telemetry struct {
	tracers    trace.TracerProvider
	meters     metric.MeterProvider
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
		t.tracers, t.meters = tracenoop.NewTracerProvider(), metricnoop.NewMeterProvider()
		return t, nil
	}
	described, err := describe(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := t.startTraces(ctx, o, described); err != nil {
		return nil, err
	}
	if err := t.startMetrics(ctx, registry, described); err != nil {
		return nil, errors.Join(err, t.Shutdown(ctx))
	}
	return t, nil
}

// TracerProvider returns the tracer provider. Its spans have trace ids even if
// nothing is exported, unless OTEL_SDK_DISABLED is true.
func (t *Telemetry) TracerProvider() trace.TracerProvider { return t.tracers }

// MeterProvider returns the meter provider.
func (t *Telemetry) MeterProvider() metric.MeterProvider { return t.meters }

// PrometheusHandler serves all metrics, those of the Go runtime and of the
// process included, in Prometheus's formats.
func (t *Telemetry) PrometheusHandler() http.Handler { return t.prometheus }

// Shutdown exports what is left and stops the exporters. It is called once,
// after the last span has ended, and returns when ctx ends at the latest.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	var failures []error
	for _, f := range t.shutdown {
		failures = append(failures, f(ctx))
	}
	return errors.Join(failures...)
}

// ErrorHandler returns a handler for [otel.SetErrorHandler] that writes what
// OpenTelemetry reports to l.
func ErrorHandler(l *slog.Logger) otel.ErrorHandler {
	return otel.ErrorHandlerFunc(func(err error) {
		l.Warn("telemetry failed", slog.Any("error", err))
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
	r, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName(o.ServiceName), semconv.ServiceVersion(o.Version)),
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

func (t *Telemetry) startMetrics(ctx context.Context, registry *prometheus.Registry, described *resource.Resource) error {
	pulled, err := promexporter.New(promexporter.WithRegisterer(registry))
	if err != nil {
		return fmt.Errorf("set up metrics for Prometheus: %w", err)
	}
	options := []sdkmetric.Option{sdkmetric.WithResource(described), sdkmetric.WithReader(pulled)}
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
