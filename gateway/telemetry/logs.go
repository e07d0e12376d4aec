package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"

	"go.opentelemetry.io/otel"
	lognoop "go.opentelemetry.io/otel/log/noop"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
)

// startLogs sets the provider of log records up. It needs the meter provider.
func (t *Telemetry) startLogs(ctx context.Context, l *slog.Logger, described *resource.Resource) error {
	exporter, err := logExporter(ctx)
	if err != nil {
		return err
	}
	if exporter == nil {
		t.loggers = lognoop.NewLoggerProvider()
		return nil
	}
	size := queueSize()
	b, err := newBacklog(t.meters.Meter(instrumentation), size, l)
	if err != nil {
		return err
	}
	options := []sdklog.LoggerProviderOption{
		sdklog.WithResource(described),
		sdklog.WithProcessor(&boundedProcessor{
			backlog:        b,
			BatchProcessor: sdklog.NewBatchProcessor(&confirmingExporter{exporter, b}, sdklog.WithMaxQueueSize(size)),
		}),
		// Otherwise each attribute is looked up among all before it.
		sdklog.WithAllowKeyDuplication(),
	}
	if os.Getenv("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT") == "" {
		options = append(options, sdklog.WithAttributeValueLengthLimit(maxAttributeLength))
	}
	provider := sdklog.NewLoggerProvider(options...)
	t.loggers = provider
	t.shutdown = append(t.shutdown, provider.Shutdown)
	return nil
}

// defaultQueueSize is that of the OpenTelemetry specification (environment
// variables, batch log record processor).
const defaultQueueSize = 2048

// queueSize is OTEL_BLRP_MAX_QUEUE_SIZE as the SDK understands it: what is no
// number is reported, and that and what is below one are as if not set.
func queueSize() int {
	const name = "OTEL_BLRP_MAX_QUEUE_SIZE"
	value := os.Getenv(name)
	if value == "" {
		return defaultQueueSize
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		otel.Handle(fmt.Errorf("%s is not a number, so it is %d: %w", name, defaultQueueSize, err))
	}
	if n < 1 || err != nil {
		return defaultQueueSize
	}
	return n
}
