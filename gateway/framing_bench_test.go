package gateway

import (
	"net"
	"net/http"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"jiragate/gateway/audit"
	"jiragate/policy"
	"jiragate/tokenstore"
)

// benchHead is a request's head as a client library sends it.
const benchHead = "GET /jira/rest/api/2/issue/createmeta/ACME/issuetypes?startAt=0&maxResults=50 HTTP/1.1\r\n" +
	"Host: jira.acme.com\r\nUser-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\nAccept: application/json\r\n" +
	"Connection: keep-alive\r\nContent-Type: application/json\r\nX-Atlassian-Token: no-check\r\n\r\n"

func BenchmarkParseHead(b *testing.B) {
	var fields []field
	b.ReportAllocs()
	b.SetBytes(int64(len(benchHead)))
	for b.Loop() {
		h, fault := parseHead(benchHead, fields)
		if fault != nil {
			b.Fatal(fault.detail)
		}
		fields = h.fields
	}
}

// overAndOver is a connection by which the same request comes whenever it is read.
type overAndOver struct {
	net.Conn
	message string
}

func (c overAndOver) Read(p []byte) (int, error) { return copy(p, c.message), nil }

// BenchmarkFraming is what the framing costs a request on a kept connection, before
// net/http sees it.
func BenchmarkFraming(b *testing.B) {
	body := `{"fields":{"project":{"key":"ACME"},"summary":"Agree on the release"}}`
	for _, bb := range []struct{ name, message string }{
		{"get", benchHead},
		{"post", "POST /rest/api/2/issue HTTP/1.1\r\nHost: jira.acme.com\r\nContent-Type: application/json\r\nContent-Length: 70\r\n\r\n" + body},
		{"chunked", "POST /rest/api/2/issue HTTP/1.1\r\nHost: jira.acme.com\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n46\r\n" + body + "\r\n0\r\n\r\n"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			f := newFramedConn(overAndOver{message: bb.message}, &origin{}, "marker")
			p := make([]byte, 4<<10)
			b.ReportAllocs()
			b.SetBytes(int64(len(bb.message)))
			for b.Loop() {
				for left := len(bb.message); left > 0; {
					n, err := f.Read(p)
					if err != nil {
						b.Fatal(err)
					}
					left -= n
				}
			}
			if fault := f.fault.Load(); fault != nil {
				b.Fatal(fault.detail)
			}
		})
	}
}

// BenchmarkMeters is what the metrics cost a call: the two counts of those in flight,
// Jira's answer, and the call itself.
func BenchmarkMeters(b *testing.B) {
	g := &Gateway{options: Options{Directory: func() *tokenstore.Directory { return tokenstore.NewDirectory(nil, nil) }}}
	g.tunnels = newTunnels(g)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	b.Cleanup(func() { _ = provider.Shutdown(b.Context()) })
	m, err := newMeters(provider, g)
	if err != nil {
		b.Fatal(err)
	}
	g.meters = m
	in, err := http.NewRequest(http.MethodGet, "https://jira.acme.com/rest/api/2/priority", nil)
	if err != nil {
		b.Fatal(err)
	}
	c := &Call{
		in: in, out: in, started: time.Now(), span: noop.Span{}, origin: &origin{}, decision: policy.Decision{Operation: &policy.Operation{Path: "/rest/api/2/priority"}},
		record: audit.Record{Operation: "priority.list", Edition: string(policy.DataCenter), Decision: audit.DecisionAllow, Status: http.StatusOK},
	}
	b.ReportAllocs()
	for b.Loop() {
		g.inFlight(c, 1)
		g.measureJira(c, time.Millisecond, http.StatusOK, "")
		g.measure(c)
		g.inFlight(c, -1)
	}
}
