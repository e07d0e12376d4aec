package shipping_test

import (
	"context"
	"testing"

	lognoop "go.opentelemetry.io/otel/log/noop"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"jiragate/gateway/audit/shipping"
)

// discard is a collector that takes everything at once.
type discard struct{}

func (discard) Export(context.Context, []sdklog.Record) error { return nil }
func (discard) Shutdown(context.Context) error                { return nil }
func (discard) ForceFlush(context.Context) error              { return nil }

func BenchmarkShip(b *testing.B) {
	record, line := call(), lineOf(b, call())
	batched := func(o ...sdklog.LoggerProviderOption) *sdklog.LoggerProvider {
		p := sdklog.NewLoggerProvider(append(o, sdklog.WithProcessor(sdklog.NewBatchProcessor(discard{})))...)
		b.Cleanup(func() { p.Shutdown(context.Background()) })
		return p
	}
	for _, bench := range []struct {
		name string
		ship *shipping.Shipper
	}{
		{"no-op", shipping.New(lognoop.NewLoggerProvider())},
		{"batch", shipping.New(batched(sdklog.WithAllowKeyDuplication()))}, // as telemetry sets it up
		{"batch, keys compared", shipping.New(batched())},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bench.ship.Ship(record, line)
			}
		})
	}
}
