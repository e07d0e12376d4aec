package shipping_test

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	logscollector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"

	"jiragate/gateway/audit/shipping"
	"jiragate/gateway/telemetry"
)

// collector is an OTLP/HTTP receiver (OpenTelemetry protocol specification 1.x,
// OTLP/HTTP) that can be made to hang.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	records []*logspb.LogRecord
	asked   chan struct{} // is sent to as a request arrives, if there is room
	answers chan struct{} // no request is answered before this is closed
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{asked: make(chan struct{}, 1), answers: make(chan struct{})}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the exporter has gone
		}
		select {
		case c.asked <- struct{}{}:
		default:
		}
		<-c.answers
		var request logscollector.ExportLogsServiceRequest
		if err := proto.Unmarshal(body, &request); err != nil || r.URL.Path != "/v1/logs" {
			t.Errorf("%s: %v", r.URL.Path, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range request.ResourceLogs {
			for _, scope := range resource.ScopeLogs {
				c.records = append(c.records, scope.LogRecords...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// got returns how often each seq has arrived.
func (c *collector) got() map[int64]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	seqs := map[int64]int{}
	for _, r := range c.records {
		for _, kv := range r.Attributes {
			if kv.Key == "jiragate.seq" {
				seqs[kv.Value.GetIntValue()]++
			}
		}
	}
	return seqs
}

// shipTo returns a Shipper as serve sets it up.
func shipTo(t *testing.T, c *collector, env map[string]string) (*shipping.Shipper, *telemetry.Telemetry) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	for name, value := range env {
		t.Setenv(name, value)
	}
	set, err := telemetry.Setup(t.Context(), telemetry.Options{ServiceName: "jiragate", Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	return shipping.New(set.LoggerProvider()), set
}

func shutdown(t *testing.T, set *telemetry.Telemetry) {
	t.Helper()
	if err := set.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// dropped is the sample of the metric, empty if there is none.
func dropped(t *testing.T, set *telemetry.Telemetry, reason string) string {
	t.Helper()
	w := httptest.NewRecorder()
	set.PrometheusHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	sample := regexp.MustCompile(`(?m)^jiragate_audit_shipping_dropped_total\{jiragate_reason="` + reason + `",.*\} (\d+)$`).FindStringSubmatch(w.Body.String())
	if sample == nil {
		return ""
	}
	return sample[1]
}

func TestWhatACollectorReceives(t *testing.T) {
	c := newCollector(t)
	close(c.answers)
	ship, set := shipTo(t, c, nil)
	line := lineOf(t, call())
	ship.Ship(call(), line)
	shutdown(t, set)
	if len(c.records) != 1 {
		t.Fatalf("%d records", len(c.records))
	}
	r := c.records[0]
	if r.EventName != "jiragate.call" || r.SeverityNumber != logspb.SeverityNumber_SEVERITY_NUMBER_INFO || r.SeverityText != "INFO" {
		t.Errorf("event %q, severity %v %q", r.EventName, r.SeverityNumber, r.SeverityText)
	}
	if r.Body.GetStringValue() != string(line) {
		t.Errorf("body %v", r.Body)
	}
	if r.TimeUnixNano != uint64(call().Time.UnixNano()) || r.ObservedTimeUnixNano == 0 {
		t.Errorf("time %d, observed %d", r.TimeUnixNano, r.ObservedTimeUnixNano)
	}
	// A trace id without a span id gets through.
	if hex.EncodeToString(r.TraceId) != call().TraceID || len(r.SpanId) != 0 {
		t.Errorf("trace %x, span %x", r.TraceId, r.SpanId)
	}
	if len(r.Attributes) != 22 || r.DroppedAttributesCount != 0 {
		t.Errorf("%d attributes, %d dropped", len(r.Attributes), r.DroppedAttributesCount)
	}
}

// One record that nobody could encode must not cost the others of its batch.
func TestBytesThatAreNotUTF8ArriveToo(t *testing.T) {
	c := newCollector(t)
	close(c.answers)
	ship, set := shipTo(t, c, nil)
	bad := call()
	bad.Path, bad.QueryNames, bad.Seq = "/\xff", []string{"\xfe"}, 8
	ship.Ship(call(), lineOf(t, call()))
	ship.Ship(bad, []byte("{\xff}"))
	shutdown(t, set)
	if got := c.got(); got[7] != 1 || got[8] != 1 {
		t.Errorf("arrived: %v", got)
	}
}

func TestACollectorThatHangsHoldsUpNobody(t *testing.T) {
	const queue, more = 16, 1000
	c := newCollector(t)
	ship, set := shipTo(t, c, map[string]string{"OTEL_BLRP_MAX_QUEUE_SIZE": "16", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "4"})
	r := call()
	for r.Seq = 1; r.Seq <= 4; r.Seq++ { // a batch
		ship.Ship(r, nil)
	}
	<-c.asked // it hangs from here on
	for ; r.Seq <= queue+more; r.Seq++ {
		ship.Ship(r, nil)
	}
	if got := c.got(); len(got) != 0 {
		t.Fatalf("the collector has answered: %v", got)
	}
	if got := dropped(t, set, "queue_full"); got != "1000" {
		t.Errorf("dropped %s, want 1000", got)
	}

	close(c.answers) // it is back
	shutdown(t, set)
	got := c.got()
	for seq := range int64(queue) {
		if got[seq+1] != 1 {
			t.Errorf("record %d arrived %d times", seq+1, got[seq+1])
		}
	}
	if len(got) != queue {
		t.Errorf("%d records arrived, want %d", len(got), queue)
	}
}

// A collector that hung takes what comes after.
func TestACollectorThatComesBackGetsWhatComesNext(t *testing.T) {
	c := newCollector(t)
	ship, set := shipTo(t, c, map[string]string{"OTEL_BLRP_MAX_QUEUE_SIZE": "2", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "1"})
	r := call()
	for r.Seq = 1; r.Seq <= 5; r.Seq++ {
		ship.Ship(r, nil)
	}
	close(c.answers)
	if err := set.LoggerProvider().(interface{ ForceFlush(context.Context) error }).ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Seq = 6
	ship.Ship(r, nil)
	shutdown(t, set)
	got := c.got()
	if len(got) != 3 || got[1] != 1 || got[2] != 1 || got[6] != 1 {
		t.Errorf("arrived %v, want 1, 2 and 6", got)
	}
}

func TestManyShipAtOnce(t *testing.T) {
	const shippers, each = 8, 50
	c := newCollector(t)
	close(c.answers)
	ship, set := shipTo(t, c, nil)
	var running sync.WaitGroup
	for i := range shippers {
		running.Go(func() {
			r := call()
			for j := range each {
				r.Seq = uint64(i*each + j + 1)
				ship.Ship(r, lineOf(t, r))
			}
		})
	}
	running.Wait()
	shutdown(t, set)
	if got := c.got(); len(got) != shippers*each {
		t.Errorf("%d records arrived, want %d", len(got), shippers*each)
	}
}
