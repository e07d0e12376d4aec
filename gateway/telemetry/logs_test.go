package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	logscollector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"
)

// logsCollector receives log records. answer says when and what it answers, nil
// what it is: 200.
type logsCollector struct {
	*httptest.Server
	records chan *logspb.LogRecord
}

func newLogsCollector(t *testing.T, answer func(w http.ResponseWriter)) *logsCollector {
	t.Helper()
	c := &logsCollector{records: make(chan *logspb.LogRecord, 1024)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request logscollector.ExportLogsServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &request)
		}
		if err != nil {
			return // who sent it has gone
		}
		for _, resource := range request.ResourceLogs {
			for _, scope := range resource.ScopeLogs {
				for _, record := range scope.LogRecords {
					c.records <- record
				}
			}
		}
		if answer != nil {
			answer(w)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// hang returns an answer that comes when let is called. Tests defer let: the
// collector closes only after its last answer.
func hang() (answer func(http.ResponseWriter), let func()) {
	ctx, cancel := context.WithCancel(context.Background())
	return func(http.ResponseWriter) { <-ctx.Done() }, cancel
}

func logsTo(url string, more ...string) map[string]string {
	env := map[string]string{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": url}
	for _, assignment := range more {
		name, value, _ := strings.Cut(assignment, "=")
		env[name] = value
	}
	return env
}

// flush returns when all that was emitted was sent or given up.
func flush(t *testing.T, telemetry *Telemetry) error {
	t.Helper()
	return telemetry.LoggerProvider().(*sdklog.LoggerProvider).ForceFlush(t.Context())
}

// droppedFor reads the metric as an operator does.
func droppedFor(t *testing.T, telemetry *Telemetry, reason string) int {
	t.Helper()
	for line := range strings.Lines(scrape(t, telemetry)) {
		if strings.HasPrefix(line, "jiragate_audit_shipping_dropped_total{") && strings.Contains(line, `jiragate_reason="`+reason+`"`) {
			n, err := strconv.Atoi(strings.Fields(line)[len(strings.Fields(line))-1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("the metric says nothing of %s", reason)
	return 0
}

func TestNobodyMakesLogRecordsThatAreNotExported(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"no exporter": nil,
		"none":        {"OTEL_LOGS_EXPORTER": "none"},
		"SDK off":     {"OTEL_LOGS_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"},
	} {
		telemetry := setup(t, Options{}, env)
		if telemetry.LoggerProvider().Logger("test").Enabled(t.Context(), log.EnabledParameters{}) {
			t.Errorf("%s: log records are asked for", name)
		}
		if strings.Contains(scrape(t, telemetry), "shipping") {
			t.Errorf("%s: a metric of shipping, although nothing is shipped", name)
		}
		shutdown(t, telemetry)
	}
	telemetry := setup(t, Options{}, logsTo(newLogsCollector(t, nil).URL))
	defer shutdown(t, telemetry)
	if !telemetry.LoggerProvider().Logger("test").Enabled(t.Context(), log.EnabledParameters{}) {
		t.Error("log records are not asked for, although they are exported")
	}
}

func TestLengthOfLogAttributes(t *testing.T) {
	for limit, want := range map[string]int{"": maxAttributeLength, "7": 7, "-1": 2 * maxAttributeLength} {
		c := newLogsCollector(t, nil)
		telemetry := setup(t, Options{}, logsTo(c.URL, "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT="+limit))
		emit(t.Context(), telemetry, "call", attribute.String("long", strings.Repeat("x", 2*maxAttributeLength)))
		shutdown(t, telemetry)
		if got := len((<-c.records).Attributes[0].Value.GetStringValue()); got != want {
			t.Errorf("limit %q: attribute of %d characters, want %d", limit, got, want)
		}
	}
}

func TestAFullQueueDropsAndCounts(t *testing.T) {
	const queue, batch, emitted = 10, 4, 25
	answer, let := hang()
	defer let()
	c := newLogsCollector(t, answer)
	var said bytes.Buffer // written by the exporting goroutine, read after it has ended
	telemetry := setup(t, Options{Logger: slog.New(slog.NewTextHandler(&said, nil))},
		logsTo(c.URL, fmt.Sprintf("OTEL_BLRP_MAX_QUEUE_SIZE=%d", queue), fmt.Sprintf("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE=%d", batch)))
	for i := range emitted {
		emit(t.Context(), telemetry, strconv.Itoa(i)) // returns, or the test does not
	}
	if got := droppedFor(t, telemetry, "queue_full"); got != emitted-queue {
		t.Errorf("%d dropped, want %d", got, emitted-queue)
	}
	let()
	if err := flush(t, telemetry); err != nil {
		t.Error(err)
	}
	for i := range queue {
		if r := <-c.records; r.EventName != strconv.Itoa(i) {
			t.Errorf("record %d is %s", i, r.EventName)
		}
	}
	if len(c.records) > 0 {
		t.Errorf("%d more records than there was room for", len(c.records))
	}
	if got := droppedFor(t, telemetry, "export_failed"); got != 0 {
		t.Errorf("%d exports failed", got)
	}
	shutdown(t, telemetry)
	if !strings.Contains(said.String(), "records=15 queue=10") {
		t.Errorf("the log says %q", said.String())
	}
}

// slowExporter takes as many exports as it is let.
type slowExporter struct{ let chan struct{} }

func (e slowExporter) Export(context.Context, []sdklog.Record) error { <-e.let; return nil }
func (slowExporter) ForceFlush(context.Context) error                { return nil }
func (slowExporter) Shutdown(context.Context) error                  { return nil }

// However often the queue is full, the log has a line of it at most once a minute,
// which tells of all that was dropped since the one before.
func TestTheLogSaysOnceAMinuteThatTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const queue = 1
		var said bytes.Buffer
		b, err := newBacklog(metricnoop.Meter{}, queue, slog.New(slog.NewTextHandler(&said, nil)))
		if err != nil {
			t.Fatal(err)
		}
		slow := slowExporter{make(chan struct{})}
		telemetry := &Telemetry{loggers: sdklog.NewLoggerProvider(sdklog.WithProcessor(&boundedProcessor{
			backlog:        b,
			BatchProcessor: sdklog.NewBatchProcessor(&confirmingExporter{slow, b}, sdklog.WithMaxQueueSize(queue)),
		}))}
		for _, overflow := range []struct {
			after   time.Duration
			dropped int
			says    string
		}{
			{0, 2, "records=2 queue=1"},
			{30 * time.Second, 3, ""},
			{29 * time.Second, 4, ""},
			{time.Second, 5, "records=12 queue=1"}, // 3, 4 and 5
			{time.Hour, 6, "records=6 queue=1"},
		} {
			time.Sleep(overflow.after)
			said.Reset()
			for range queue + overflow.dropped {
				emit(t.Context(), telemetry, "call")
			}
			slow.let <- struct{}{}
			synctest.Wait()
			lines := 0
			if overflow.says != "" {
				lines = 1
			}
			if got := said.String(); strings.Count(got, "\n") != lines || !strings.Contains(got, overflow.says) {
				t.Errorf("%v later, with %d dropped, the log says %q, want %q", overflow.after, overflow.dropped, got, overflow.says)
			}
		}
		if err := telemetry.loggers.(*sdklog.LoggerProvider).Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestRoomAgainOnceTheCollectorTookWhatWaited(t *testing.T) {
	const queue = 3
	c := newLogsCollector(t, nil)
	telemetry := setup(t, Options{}, logsTo(c.URL, fmt.Sprintf("OTEL_BLRP_MAX_QUEUE_SIZE=%d", queue), "OTEL_BLRP_SCHEDULE_DELAY=1"))
	defer shutdown(t, telemetry)
	for range 5 {
		for range queue {
			emit(t.Context(), telemetry, "call")
		}
		if err := flush(t, telemetry); err != nil {
			t.Fatal(err)
		}
	}
	if got := droppedFor(t, telemetry, "queue_full"); got != 0 || len(c.records) != 5*queue {
		t.Errorf("%d dropped and %d arrived, want all to arrive", got, len(c.records))
	}
}

func TestExportsThatFailAreCounted(t *testing.T) {
	const emitted = 3
	c := newLogsCollector(t, func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest) })
	telemetry := setup(t, Options{}, logsTo(c.URL))
	for range emitted {
		emit(t.Context(), telemetry, "call")
	}
	if err := flush(t, telemetry); err == nil {
		t.Error("the collector refused the records, and no error")
	}
	if got := droppedFor(t, telemetry, "export_failed"); got != emitted {
		t.Errorf("%d counted, want %d", got, emitted)
	}
	emit(t.Context(), telemetry, "call")
	// What failed before is not said again.
	if err := telemetry.Shutdown(t.Context()); err == nil || !strings.Contains(err.Error(), "1 may not have arrived") {
		t.Errorf("error %v", err)
	}
}

// Which records of a batch the collector did not take, it does not say. So too
// much is counted rather than too little.
func TestABatchThatWasTakenInPartCountsAsAWhole(t *testing.T) {
	answer, err := proto.Marshal(&logscollector.ExportLogsServiceResponse{
		PartialSuccess: &logscollector.ExportLogsPartialSuccess{RejectedLogRecords: 1, ErrorMessage: "too old"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := newLogsCollector(t, func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.Write(answer)
	})
	telemetry := setup(t, Options{}, logsTo(c.URL))
	defer shutdown(t, telemetry)
	for range 3 {
		emit(t.Context(), telemetry, "call")
	}
	if err := flush(t, telemetry); err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("error %v", err)
	}
	if got := droppedFor(t, telemetry, "export_failed"); got != 3 {
		t.Errorf("%d counted, want 3", got)
	}
}

// A collector of log records that hangs costs nothing but log records.
func TestShutdownWaitsNoLongerThanItMay(t *testing.T) {
	const emitted = 3
	answer, let := hang()
	defer let()
	logs, others := newLogsCollector(t, answer), newCollector(t, nil)
	telemetry := setup(t, Options{}, logsTo(logs.URL, "OTEL_EXPORTER_OTLP_ENDPOINT="+others.URL))
	call(t, telemetry, t.Context(), "project.get")
	for range emitted - 1 {
		emit(t.Context(), telemetry, "call")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() { done <- telemetry.Shutdown(ctx) }()
	<-others.spans // both have come although the third hangs
	<-others.metrics
	<-logs.records
	cancel()
	err := <-done
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "3 may not have arrived") {
		t.Errorf("error %v, want it canceled, and say how many records are left", err)
	}
}

func TestQueueSize(t *testing.T) {
	for value, want := range map[string]int{"": 2048, "1": 1, "4096": 4096, "0": 2048, "-3": 2048, "many": 2048, "99999999999999999999": 2048} {
		t.Setenv("OTEL_BLRP_MAX_QUEUE_SIZE", value)
		if got := queueSize(); got != want {
			t.Errorf("%q: %d, want %d", value, got, want)
		}
	}
}
