package shipping_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/log"
	lognoop "go.opentelemetry.io/otel/log/noop"
	"pgregory.net/rapid"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/shipping"
)

func TestACallWithAllThatIsKnownOfIt(t *testing.T) {
	line := lineOf(t, call())
	before := time.Now()
	got := shipped(t, call(), append(line, '\n'))
	if got.EventName() != "jiragate.call" || got.Severity() != log.SeverityInfo || got.SeverityText() != "INFO" {
		t.Errorf("event %q, severity %v %q", got.EventName(), got.Severity(), got.SeverityText())
	}
	if got.Body().AsString() != string(line) {
		t.Errorf("body %q, want the line", got.Body().AsString())
	}
	if !got.Timestamp().Equal(call().Time) || got.ObservedTimestamp().Before(before) {
		t.Errorf("time %v, observed %v", got.Timestamp(), got.ObservedTimestamp())
	}
	if got.TraceID().String() != call().TraceID || got.SpanID().IsValid() {
		t.Errorf("trace %v, span %v", got.TraceID(), got.SpanID())
	}
	want := map[string]any{
		"jiragate.seq": int64(7), "jiragate.record": "01a20b9a-0000-7000-8000-000000000007",
		"http.request.method": "POST", "url.path": "/rest/api/3/issue", "http.response.status_code": int64(201),
		"http.request.body.size": int64(120), "http.response.body.size": int64(64),
		"client.address": "192.0.2.7", "client.port": int64(50312),
		"network.peer.address": "2001:db8::1", "network.peer.port": int64(443),
		"jiragate.client": "billing", "jiragate.connection": "acme", "jiragate.edition": "cloud", "jiragate.region": "us",
		"jiragate.operation": "issue.create", "jiragate.query_names": []string{"updateHistory"}, "jiragate.credential": "oauth2",
		"jiragate.decision": "allow", "jiragate.policy_sha256": "b917c65f",
		"jiragate.egress_ip": "198.51.100.4", "jiragate.duration_ms": 81.25,
	}
	if diff := cmp.Diff(want, attributesOf(t, got)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

func TestEventAndSeverity(t *testing.T) {
	tests := []struct {
		name, operation, decision, code string
		event                           string
		severity                        log.Severity
	}{
		{"allowed", "myself.get", "allow", "", "jiragate.call", log.SeverityInfo},
		{"refused", "", "deny", "path_not_allowed", "jiragate.call", log.SeverityWarn},
		{"refused without a code", "project.get", "deny", "", "jiragate.call", log.SeverityWarn},
		{"failed on the way", "issue.create", "allow", "upstream_timeout", "jiragate.call", log.SeverityWarn},
		{"by nobody known", "", "deny", "client_unidentified", "jiragate.call", log.SeverityWarn},
		{"act", "admin.connection.add", "allow", "", "jiragate.act", log.SeverityInfo},
		{"act of a customer", "admin.connection.consented", "allow", "", "jiragate.act", log.SeverityInfo},
		{"refused act", "admin.connection.add", "deny", "connection_exists", "jiragate.act", log.SeverityWarn},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := shipped(t, audit.Record{Operation: test.operation, Decision: test.decision, Code: test.code}, nil)
			if got.EventName() != test.event || got.Severity() != test.severity {
				t.Errorf("event %s, severity %v, want %s, %v", got.EventName(), got.Severity(), test.event, test.severity)
			}
		})
	}
}

// What is not known is not there.
func TestAttributes(t *testing.T) {
	tests := []struct {
		name   string
		record audit.Record
		want   map[string]any
	}{
		{"nothing is known", audit.Record{}, map[string]any{}},
		{"method that nobody knows", audit.Record{Method: "BREW"}, map[string]any{"http.request.method": "_OTHER", "http.request.method_original": "BREW"}},
		{"a method is known in capitals only", audit.Record{Method: "get"}, map[string]any{"http.request.method": "_OTHER", "http.request.method_original": "get"}},
		{"client at the admin socket", audit.Record{ClientAddr: "unix:pid=4711"}, map[string]any{"client.address": "unix:pid=4711"}},
		{"client that was made a pseudonym", audit.Record{ClientAddr: "p-3f2a"}, map[string]any{"client.address": "p-3f2a"}},
		{"client by IPv6", audit.Record{ClientAddr: "[fe80::1%eth0]:80"}, map[string]any{"client.address": "fe80::1%eth0", "client.port": int64(80)}},
		{"upstream that is no address", audit.Record{UpstreamAddr: "jira.acme.com:443"}, map[string]any{"network.peer.address": "jira.acme.com:443"}},
		{"text that steers a terminal", audit.Record{Path: "/a\x1b[2J\u202eb"}, map[string]any{"url.path": "/a\ufffd[2J\ufffdb"}},
		{"bytes that are not UTF-8", audit.Record{QueryNames: []string{"a\xffb", ""}}, map[string]any{"jiragate.query_names": []string{"a\ufffdb", ""}}},
		{"letters of all the world", audit.Record{Client: "rechnung-süd 請求"}, map[string]any{"jiragate.client": "rechnung-süd 請求"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, attributesOf(t, shipped(t, test.record, nil))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTraceOfTheRecord(t *testing.T) {
	for id, valid := range map[string]bool{
		"4bf92f3577b34da6a3ce929d0e0e4736":   true,
		"":                                   false,
		"00000000000000000000000000000000":   false,
		"4BF92F3577B34DA6A3CE929D0E0E4736":   false,
		"4bf92f3577b34da6a3ce929d0e0e4736ff": false,
		"no trace":                           false,
	} {
		record := shipped(t, audit.Record{TraceID: id}, nil)
		if got := record.TraceID(); got.IsValid() != valid || valid && got.String() != id {
			t.Errorf("trace %q became %v", id, got)
		}
	}
}

// Whatever a record holds, its copy can be encoded, and none of its attributes
// holds what can't be seen.
func TestAnyRecordCanBeShipped(t *testing.T) {
	anyText := rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })
	text := rapid.OneOf(rapid.String(), anyText)
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(name string) string { return text.Draw(rt, name) }
		record := audit.Record{
			Seq: rapid.Uint64().Draw(rt, "seq"), ID: draw("id"), Client: draw("client"), ClientAddr: draw("client address"),
			Connection: draw("connection"), Edition: draw("edition"), Region: draw("region"), Method: draw("method"),
			Operation: draw("operation"), Path: draw("path"), QueryNames: rapid.SliceOf(text).Draw(rt, "query names"),
			Decision: draw("decision"), Code: draw("code"), PolicySHA256: draw("policy"), Credential: draw("credential"),
			EgressIP: draw("egress"), UpstreamAddr: draw("upstream"), Status: rapid.Int().Draw(rt, "status"), TraceID: draw("trace"),
		}
		line := rapid.String().Draw(rt, "line")
		got := shipped(t, record, []byte(line))
		if want := strings.TrimSuffix(line, "\n"); got.Body().AsString() != want {
			rt.Errorf("body %q, want %q", got.Body().AsString(), want)
		}
		all := attributesOf(t, got)
		for _, key := range slices.Sorted(maps.Keys(all)) {
			var texts []string
			switch v := all[key].(type) {
			case string:
				texts = []string{v}
			case []string:
				texts = v
			}
			for _, s := range texts {
				if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) }) {
					rt.Errorf("%s is %q", key, s)
				}
			}
		}
	})
}

func TestShipKeepsNothingOfTheLine(t *testing.T) {
	line := lineOf(t, call())
	want := string(line)
	got := shipped(t, call(), line)
	clear(line)
	if got.Body().AsString() != want {
		t.Error("the copy changes with the caller's buffer")
	}
}

func TestShippingToNobodyCostsNothing(t *testing.T) {
	ship, record, line := shipping.New(lognoop.NewLoggerProvider()), call(), lineOf(t, call())
	if n := testing.AllocsPerRun(100, func() { ship.Ship(record, line) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
