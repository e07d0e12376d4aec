package telemetry

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// spanExporter returns the exporter that the environment asks for, nil if none.
func spanExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if !exportWanted("TRACES") {
		return nil, nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("export traces (OTEL_TRACES_EXPORTER is %q; otlp, console and none are known): %w", os.Getenv("OTEL_TRACES_EXPORTER"), err)
	}
	if autoexport.IsNoneSpanExporter(exporter) {
		return nil, nil
	}
	return exporter, nil
}

// metricReader returns the reader that exports as the environment asks for,
// nil if it asks for nothing that Telemetry.PrometheusHandler does not do.
func metricReader(ctx context.Context) (sdkmetric.Reader, error) {
	if !exportWanted("METRICS") || os.Getenv("OTEL_METRICS_EXPORTER") == "prometheus" {
		return nil, nil
	}
	reader, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		return nil, fmt.Errorf("export metrics (OTEL_METRICS_EXPORTER is %q; otlp, console, prometheus and none are known): %w", os.Getenv("OTEL_METRICS_EXPORTER"), err)
	}
	if autoexport.IsNoneMetricReader(reader) {
		return nil, nil
	}
	return reader, nil
}

// logExporter returns the exporter that the environment asks for, nil if none.
func logExporter(ctx context.Context) (sdklog.Exporter, error) {
	if !exportWanted("LOGS") {
		return nil, nil
	}
	exporter, err := autoexport.NewLogExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("export logs (OTEL_LOGS_EXPORTER is %q; otlp, console and none are known): %w", os.Getenv("OTEL_LOGS_EXPORTER"), err)
	}
	if autoexport.IsNoneLogExporter(exporter) {
		return nil, nil
	}
	return exporter, nil
}

// exportWanted reports whether the environment names an exporter for signal,
// or at least an endpoint. Without this, autoexport falls back to OTLP at
// localhost.
func exportWanted(signal string) bool {
	for _, name := range []string{
		"OTEL_" + signal + "_EXPORTER",
		"OTEL_EXPORTER_OTLP_" + signal + "_ENDPOINT",
		"OTEL_EXPORTER_OTLP_ENDPOINT",
	} {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return false
}
