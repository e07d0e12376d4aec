package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
)

const (
	// instrumentation is the name of the meter.
	instrumentation = "jiragate/gateway/telemetry"
	// droppedRecords is named for what goes out as log records: audit records,
	// and nothing else.
	droppedRecords = "jiragate.audit.shipping.dropped"
	// complainInterval is the least time between two lines about a full queue.
	complainInterval = time.Minute
)

// backlog counts the log records of which it is not known whether they arrived,
// and those that were given up.
//
// The SDK's batch processor never blocks who emits a record: where its queue is
// full, it overwrites the oldest. But how many it overwrote it tells only to a
// log of its own, at a level that is off. So the queue is kept from running
// over: what finds the backlog as large as the queue does not get that far, and
// is counted.
type backlog struct {
	limit     int64        // of pending; the size of the queue
	pending   atomic.Int64 // records waiting or being sent
	failed    atomic.Int64 // records in exports that failed
	untold    atomic.Int64 // dropped for want of room, and not yet said in the log
	lastTold  time.Time    // for the goroutine that exports
	log       *slog.Logger
	dropped   metric.Int64Counter
	queueFull metric.AddOption
	notSent   metric.AddOption
}

func newBacklog(meter metric.Meter, limit int, l *slog.Logger) (*backlog, error) {
	dropped, err := meter.Int64Counter(droppedRecords, metric.WithUnit("{record}"),
		metric.WithDescription("Audit records that were not shipped, or of which it is not known; they are in the audit log."))
	if err != nil {
		return nil, fmt.Errorf("count log records that are dropped: %w", err)
	}
	reason := func(r string) metric.AddOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("jiragate.reason", r)))
	}
	b := &backlog{limit: int64(limit), log: l, dropped: dropped, queueFull: reason("queue_full"), notSent: reason("export_failed")}
	for _, r := range []metric.AddOption{b.queueFull, b.notSent} { // a rate needs to see the zero
		dropped.Add(context.Background(), 0, r)
	}
	return b, nil
}

// boundedProcessor takes in what the backlog has room for.
type boundedProcessor struct {
	*backlog
	*sdklog.BatchProcessor
}

// OnEmit queues the record or drops it. It waits for nothing but a mutex that is
// held for moments.
func (p *boundedProcessor) OnEmit(ctx context.Context, r *sdklog.Record) error {
	if p.pending.Add(1) > p.limit {
		p.pending.Add(-1)
		p.untold.Add(1)
		p.dropped.Add(ctx, 1, p.queueFull)
		return nil
	}
	return p.BatchProcessor.OnEmit(ctx, r)
}

// Shutdown sends what is waiting. Its error says of how many records it is not
// known whether they arrived.
func (p *boundedProcessor) Shutdown(ctx context.Context) error {
	before := p.failed.Load()
	if err := p.BatchProcessor.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last log records (%d may not have arrived): %w", p.pending.Load()+p.failed.Load()-before, err)
	}
	return nil
}

// confirmingExporter takes from the backlog what was sent or given up. The batch
// processor makes its calls one after the other.
type confirmingExporter struct {
	sdklog.Exporter
	*backlog
}

func (e *confirmingExporter) Export(ctx context.Context, records []sdklog.Record) error {
	err := e.Exporter.Export(ctx, records)
	n := int64(len(records))
	if err != nil {
		e.failed.Add(n)
		e.dropped.Add(context.WithoutCancel(ctx), n, e.notSent)
	}
	e.pending.Add(-n)
	e.complain(ctx)
	return err
}

// complain is not for OnEmit: writing to the log may take its time.
func (b *backlog) complain(ctx context.Context) {
	if b.untold.Load() == 0 || !b.lastTold.IsZero() && time.Since(b.lastTold) < complainInterval {
		return
	}
	b.lastTold = time.Now()
	b.log.WarnContext(ctx, "log records were not sent: too many were waiting (OTEL_BLRP_MAX_QUEUE_SIZE)", "records", b.untold.Swap(0), "queue", b.limit,
		"hint", "the audit log has them all; see that the collector keeps up, or let more wait with OTEL_BLRP_MAX_QUEUE_SIZE")
}
