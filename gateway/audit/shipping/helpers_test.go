package shipping_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.uber.org/goleak"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/shipping"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call is the record of a call that went well.
func call() audit.Record {
	return audit.Record{
		Seq: 7, Time: time.Date(2026, 11, 24, 9, 12, 44, 105919000, time.UTC), ID: "01a20b9a-0000-7000-8000-000000000007",
		Client: "billing", ClientAddr: "192.0.2.7:50312", Connection: "acme", Edition: "cloud", Region: "us",
		Method: "POST", Operation: "issue.create", Path: "/rest/api/3/issue", QueryNames: []string{"updateHistory"},
		Decision: audit.DecisionAllow, PolicySHA256: "b917c65f", Credential: "oauth2",
		EgressIP: "198.51.100.4", UpstreamAddr: "[2001:db8::1]:443", Status: 201,
		BytesIn: 120, BytesOut: 64, DurationMS: 81.25, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Prev: "00ff",
	}
}

// lineOf is a line for r. What the log escapes does not matter to who ships it.
func lineOf(t testing.TB, r audit.Record) []byte {
	t.Helper()
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// recorder keeps what is exported.
type recorder struct {
	mu      sync.Mutex
	records []sdklog.Record
}

func (r *recorder) Export(_ context.Context, records []sdklog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range records {
		r.records = append(r.records, record.Clone())
	}
	return nil
}
func (*recorder) Shutdown(context.Context) error   { return nil }
func (*recorder) ForceFlush(context.Context) error { return nil }

// shipped returns the log record that Ship makes of r.
func shipped(t testing.TB, r audit.Record, line []byte) sdklog.Record {
	t.Helper()
	var to recorder
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(&to)), sdklog.WithAllowKeyDuplication())
	shipping.New(provider).Ship(r, line)
	if err := provider.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(to.records) != 1 {
		t.Fatalf("%d log records", len(to.records))
	}
	return to.records[0]
}

// attributesOf returns the attributes; a key that is there twice fails the test.
func attributesOf(t testing.TB, r sdklog.Record) map[string]any {
	t.Helper()
	all := map[string]any{}
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		if _, twice := all[string(kv.Key)]; twice {
			t.Fatalf("%s is there twice", kv.Key)
		}
		all[string(kv.Key)] = kv.Value.AsInterface()
		return true
	})
	return all
}
