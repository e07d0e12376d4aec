package gateway_test

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"jiragate/gateway"
	"jiragate/gateway/egress"
	"jiragate/internal/jirasim"
	"jiragate/internal/netlab"
)

// expectEvent looks for an event with these attributes, each of which must be there;
// "*" is any value.
func expectEvent(t *testing.T, s tracetest.SpanStub, name string, want map[string]string) {
	t.Helper()
	got, ok := events(s)[name]
	if !ok {
		t.Errorf("span %s has no event %s: %v", s.Name, name, events(s))
		return
	}
	for key, value := range want {
		if got[key] != value && (value != "*" || got[key] == "") {
			t.Errorf("span %s, event %s: %s is %q, want %q", s.Name, name, key, got[key], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("span %s, event %s: %v", s.Name, name, got)
	}
}

// A read that is repeated with a new token is one call with two requests, each of which
// has a span, and says on its way what happened.
func TestEventsOfARenewal(t *testing.T) {
	w := newWorld(t, change{})
	w.repeated = 1
	w.sim.ExpireAccessTokens()
	r := w.call(w.billing(), "GET", "https://acme.atlassian.net/rest/api/3/myself", "")
	call := w.traceOf(t, r.Header.Get("Traceparent"))
	expectEvent(t, call.server, "jiragate.token.renewed", map[string]string{"jiragate.renewed": "true"})
	expectEvent(t, call.server, "jiragate.request.repeated", map[string]string{"http.request.resend_count": "1"})
	expectEvent(t, call.server, "jiragate.refresh.awaited", map[string]string{"jiragate.result": "refreshed"})
	requests := call.of("client")
	if len(requests) != 2 {
		t.Fatalf("%d client spans", len(requests))
	}
	expect(t, requests[0], map[string]string{"http.response.status_code": "401", "error.type": "401", "http.request.resend_count": ""})
	expect(t, requests[1], map[string]string{"http.response.status_code": "200", "error.type": "", "http.request.resend_count": "1"})
	w.noteTokens("acme")

	// A write is not repeated, and does not say so.
	w.sim.ExpireAccessTokens()
	r = w.call(w.billing(), "POST", "https://acme.atlassian.net/rest/api/3/issue", createBody)
	call = w.traceOf(t, r.Header.Get("Traceparent"))
	expectEvent(t, call.server, "jiragate.token.renewed", map[string]string{"jiragate.renewed": "false"}) // renewed a moment ago
	if _, repeated := events(call.server)["jiragate.request.repeated"]; repeated || len(call.of("client")) != 1 {
		t.Errorf("events %v, %d client spans", events(call.server), len(call.of("client")))
	}
	w.noteTokens("acme")
}

// The call that Jira asked to wait, and one that came into the wait.
func TestEventsOfRateLimiting(t *testing.T) {
	w := newWorld(t, change{})
	client := w.billing()
	w.sim.Fault(jirasim.Fault{Kind: jirasim.RateLimit, Origin: jirasim.CloudAPI, Times: 1, Delay: 40 * time.Second, Reason: "jira-burst-based"})
	asked := w.traceOf(t, w.call(client, "GET", "https://acme.atlassian.net/rest/api/3/myself", "").Header.Get("Traceparent"))
	expectEvent(t, asked.of("client")[0], "jiragate.rate_limit.asked", map[string]string{"jiragate.wait_ms": "40000", "jiragate.reach": "endpoint"})

	refused := w.traceOf(t, w.call(client, "GET", "https://acme.atlassian.net/rest/api/3/myself", "").Header.Get("Traceparent"))
	expectEvent(t, refused.server, "jiragate.rate_limit.refused", map[string]string{"jiragate.wait_ms": "*", "jiragate.code": "jira_asked_to_wait"})
	if got := refused.of("client"); len(got) != 0 {
		t.Errorf("%d client spans of a call that was not sent", len(got))
	}

	other := w.traceOf(t, w.call(client, "GET", "https://acme.atlassian.net/rest/api/3/priority", "").Header.Get("Traceparent"))
	if len(events(other.server))+len(events(other.of("client")[0])) != 0 {
		t.Errorf("a call that nobody kept waiting has events: %v", events(other.server))
	}
}

// A call that waits for its turn says how long.
func TestEventOfWaiting(t *testing.T) {
	w := newWorld(t, change{gateway: oneAtATime})
	var reached atomic.Int64
	release := make(chan struct{})
	url, client := w.slowJira(aToken(), func(rw http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		<-release
		_, _ = rw.Write([]byte("[]"))
	})
	answers := make([]reply, 2)
	var calls sync.WaitGroup
	for i := range answers {
		calls.Go(func() { answers[i], _ = w.try(client, "GET", url, "") })
	}
	await(t, "the first call", func() bool { return reached.Load() == 1 })
	time.Sleep(200 * time.Millisecond) // the other one waits for its turn
	close(release)
	calls.Wait()
	waited := 0
	for _, r := range answers {
		call := w.traceOf(t, r.Header.Get("Traceparent"))
		if _, ok := events(call.server)["jiragate.rate_limit.waited"]; ok {
			waited++
			expectEvent(t, call.server, "jiragate.rate_limit.waited", map[string]string{"jiragate.wait_ms": "*"})
		}
	}
	if waited != 1 {
		t.Errorf("%d calls say that they waited", waited)
	}
}

// Where an egress address fails, the span of the request names it, and the next.
func TestEventOfAFailover(t *testing.T) {
	// The rank of the addresses is a matter of connection and public address: for "dc" the
	// first comes first.
	const first, second = "52.54.159.237", "52.73.143.252"
	closed := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	dead := closed.Addr().String()
	closed.Close()
	live := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	proxy := netlab.ServeConnect(live, netlab.ProxyOptions{})
	t.Cleanup(func() { proxy.Close() })
	through := func(public, at string) egress.Address {
		return egress.Address{Public: netip.MustParseAddr(public), Proxy: must(egress.ParseProxy("http://" + at))(t)}
	}
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) {
		o.Egress = must(egress.New(egress.Options{
			Addresses:    []egress.Address{through(first, dead), through(second, live.Addr().String())},
			AllowPrivate: []egress.PrivateNetwork{{Prefix: netip.MustParsePrefix("127.0.0.0/8")}},
		}))(t)
	}})
	r := w.call(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", "")
	if r.StatusCode != 200 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	request := w.traceOf(t, r.Header.Get("Traceparent")).of("client")[0]
	expect(t, request, map[string]string{"jiragate.egress_ip": second})
	expectEvent(t, request, "jiragate.egress.failover", map[string]string{
		"jiragate.egress_ip": first, "jiragate.egress_next_ip": second, "error.type": "egress_unavailable"})
}
