package gateway_test

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jiragate/gateway"
	"jiragate/gateway/audit"
)

// A client over its calls a second is refused with the time to wait; another is not.
func TestClientRate(t *testing.T) {
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) { o.Limits.ClientRate = 0.01 }})
	billing, other := w.billing(), w.client("other", w.addClient("other", "dc"))
	myself := w.sim.DataCenterURL() + "/rest/api/2/myself"
	if r := w.call(billing, "GET", myself, ""); r.StatusCode != 200 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	r := w.call(billing, "GET", myself, "")
	if wait, _ := strconv.Atoi(r.Header.Get("Retry-After")); r.StatusCode != 429 || r.problem.Code != "client_rate_exceeded" || wait < 90 || wait > 100 {
		t.Errorf("%d %s, Retry-After %d", r.StatusCode, r.body, wait)
	}
	w.record(func(a audit.Record) bool {
		return a.Code == "client_rate_exceeded" && a.Client == "billing" && a.ID == r.problem.Record
	})
	if r := w.call(other, "GET", myself, ""); r.StatusCode != 200 {
		t.Errorf("another client: %d %s", r.StatusCode, r.body)
	}
}

// A client that has as many calls under way as it may waits for itself; others don't.
func TestClientConcurrency(t *testing.T) {
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) { o.Limits.ClientConcurrency = 2 }})
	var at, reached atomic.Int64
	release := make(chan struct{})
	url, greedy := w.slowJira(aToken(), func(rw http.ResponseWriter, _ *http.Request) {
		if at.Add(1) > 2 {
			t.Error("more than two calls at a time")
		}
		reached.Add(1)
		<-release
		at.Add(-1)
		_, _ = rw.Write([]byte("[]"))
	})
	var calls sync.WaitGroup
	for range 6 {
		calls.Go(func() {
			if r, err := w.try(greedy, "GET", url, ""); err != nil || r.StatusCode != 200 {
				t.Errorf("%v %s", err, r.body)
			}
		})
	}
	await(t, "two calls", func() bool { return reached.Load() == 2 })
	for range 3 {
		if r := w.call(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", ""); r.StatusCode != 200 {
			t.Errorf("another client: %d %s", r.StatusCode, r.body)
		}
	}
	close(release)
	calls.Wait()
	if reached.Load() != 6 {
		t.Errorf("%d calls reached Jira", reached.Load())
	}
}

// Short of memory, the gateway refuses what is new, finishes what is under way, says
// so in its readiness, and takes calls again once there is enough.
func TestMemoryIsShed(t *testing.T) {
	var used atomic.Uint64
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) {
		o.Limits.Memory, o.Limits.MemoryUsed = 1000, used.Load
	}})
	var reached atomic.Int64
	release := make(chan struct{})
	slow, patient := w.slowJira(aToken(), func(rw http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		<-release
		_, _ = rw.Write([]byte("[]"))
	})
	client, myself := w.billing(), w.sim.DataCenterURL()+"/rest/api/2/myself"
	if r := w.call(client, "GET", myself, ""); r.StatusCode != 200 || w.gateway.Ready() != nil {
		t.Fatalf("%d %s, %v", r.StatusCode, r.body, w.gateway.Ready())
	}
	var underWay reply
	var calls sync.WaitGroup
	calls.Go(func() { underWay, _ = w.try(patient, "GET", slow, "") })
	await(t, "the call", func() bool { return reached.Load() == 1 })

	used.Store(950)
	await(t, "shedding", func() bool { return w.gateway.Ready() != nil })
	r := w.call(client, "GET", myself, "")
	if r.StatusCode != 503 || r.problem.Code != "overloaded" || r.Header.Get("Retry-After") != "5" {
		t.Errorf("a new call: %d %s", r.StatusCode, r.body)
	}
	w.record(func(a audit.Record) bool {
		return a.Code == "overloaded" && a.ID == r.problem.Record && a.Decision == "deny"
	})
	connect := "CONNECT " + w.siteAuthority() + " HTTP/1.1\r\nHost: " + w.siteAuthority() + "\r\nProxy-Authorization: " + basic("billing", w.token) + "\r\n\r\n"
	if got := w.raw(connect); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "Retry-After: 5\r\n") || !strings.Contains(got, `"overloaded"`) {
		t.Errorf("a new tunnel: %s", got)
	}
	// Refusals in a flood are answered all the same, and recorded a few a second.
	unrecorded := 0
	for range 200 {
		if r := w.call(client, "GET", myself, ""); r.StatusCode != 503 {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		} else if r.problem.Record == "" {
			unrecorded++
		}
	}
	recorded := 0
	for _, a := range w.records() {
		if a.Code == "overloaded" {
			recorded++
		}
	}
	if unrecorded == 0 || recorded != 202-unrecorded {
		t.Errorf("of 202 refusals %d have a record, %d were told to have none", recorded, unrecorded)
	}
	close(release)
	calls.Wait()
	if underWay.Response == nil || underWay.StatusCode != 200 {
		t.Errorf("the call under way: %+v", underWay)
	}
	used.Store(100)
	await(t, "enough memory", func() bool { return w.gateway.Ready() == nil })
	if r := w.call(client, "GET", myself, ""); r.StatusCode != 200 {
		t.Errorf("afterwards: %d %s", r.StatusCode, r.body)
	}
}

func (w *world) siteAuthority() string {
	u := must(url.Parse(w.sim.DataCenterURL()))(w.t)
	return u.Host
}

// A connection closes with the answer to its last call, by HTTP/1.1 and HTTP/2, and
// the client's library opens another without a call lost. So it does when its time
// is over.
func TestConnectionsEnd(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for name, limits := range map[string]struct {
			life  time.Duration
			calls int64
			opens int64 // tunnels for 10 calls
		}{"after 4 calls": {time.Hour, 4, 3}, "after its time": {-time.Hour, 100, 10}} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				w := newWorld(t, change{made: func(g *gateway.Gateway) { g.SetLife(limits.life, limits.calls) }})
				client := w.billing()
				transport := client.Transport.(*http.Transport)
				transport.Protocols.SetHTTP2(protocol == "HTTP/2.0")
				var opened atomic.Int64
				transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					opened.Add(1)
					return new(net.Dialer).DialContext(ctx, network, address)
				}
				for i := range 10 {
					r := w.call(client, "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", "")
					if r.StatusCode != 200 || r.Proto != protocol {
						t.Fatalf("call %d: %s %d %s", i, r.Proto, r.StatusCode, r.body)
					}
				}
				if opened.Load() != limits.opens {
					t.Errorf("10 calls by %d tunnels, not %d", opened.Load(), limits.opens)
				}
			})
		}
	}
}

// Wrong tokens of a client bring a pause to their address, to the right one too, and
// none to other clients from there.
func TestWrongTokensPause(t *testing.T) {
	w := newWorld(t, change{})
	other := w.client("other", w.addClient("other", "dc"))
	myself := w.sim.DataCenterURL() + "/rest/api/2/myself"
	get := "GET " + strings.Replace(myself, "https:", "http:", 1) + " HTTP/1.1\r\nHost: " + w.siteAuthority() + "\r\nConnection: close\r\n"
	ask := func(token string) string {
		return w.raw(get + "Proxy-Authorization: " + basic("billing", token) + "\r\n\r\n")
	}
	for i := range 10 {
		if got := ask("wrong"); !strings.HasPrefix(got, "HTTP/1.1 407 ") {
			t.Fatalf("try %d: %s", i, got)
		}
	}
	for _, token := range []string{"wrong", w.token} {
		if got := ask(token); !strings.HasPrefix(got, "HTTP/1.1 429 ") || !strings.Contains(got, "Retry-After: ") || !strings.Contains(got, `"identification_paused"`) {
			t.Errorf("in the pause: %s", got)
		}
	}
	w.record(func(a audit.Record) bool { return a.Code == "identification_paused" && a.Client == "" })
	if r := w.call(other, "GET", myself, ""); r.StatusCode != 200 {
		t.Errorf("another client from there: %d %s", r.StatusCode, r.body)
	}
	// To ask without a token is no try.
	for range 30 {
		if got := w.raw(get + "\r\n"); !strings.HasPrefix(got, "HTTP/1.1 407 ") {
			t.Fatalf("without a token: %s", got)
		}
	}
}
