package gateway

import (
	"net/http"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"

	"jiragate/gateway/audit"
	"jiragate/gateway/pace"
	"jiragate/policy"
)

// What is said on spans costs nothing where nobody listens.
func TestNothingIsMadeForSpansThatAreNotRecorded(t *testing.T) {
	g := &Gateway{}
	c := &Call{in: &http.Request{Method: "GET"}, span: noop.Span{}, record: audit.Record{UpstreamAddr: "192.0.2.1:443"}, origin: &origin{}}
	answer, refused := &http.Response{StatusCode: http.StatusBadGateway}, refuse(CodeUpstreamTimeout, "")
	for name, say := range map[string]func(){
		"server":     func() { g.endSpan(c) },
		"reached":    func() { c.reached(c.span) },
		"answered":   func() { answered(c.span, answer) },
		"failed":     func() { failSpan(c.span, "upstream_timeout") },
		"denied":     func() { denied(c.span, policy.Code("x")) },
		"credential": func() { endCredentialSpan(c.span, c, refused) },
		"renewed":    func() { c.renewed(true) },
		"repeated":   func() { c.repeats() },
		"asked":      func() { askedToWait(c.span, pace.Signal{Wait: time.Second, Reach: pace.ReachApp}) },
		"waited":     func() { c.paceWaited(time.Second) },
	} {
		if n := testing.AllocsPerRun(100, say); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
