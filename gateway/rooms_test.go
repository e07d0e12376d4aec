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

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"golang.org/x/net/http2"

	"jiragate/gateway"
	"jiragate/gateway/audit"
	"jiragate/tokenstore"
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
	if r, err := w.gateway.Probe(t.Context(), "dc"); err != nil || r.Status != 200 {
		t.Errorf("an operator's test of a connection: %+v, %v", r, err)
	}
	// Refusals in a flood are answered all the same, and recorded a few a second.
	unrecorded := 0
	for range 200 {
		got := w.raw(w.absolute(myself, "Proxy-Authorization: "+basic("billing", w.token)))
		// What a connection holds is memory, too.
		if !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "Connection: close\r\n") {
			t.Fatal(got)
		} else if !strings.Contains(got, `"record"`) {
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
	ids := make(map[string]bool)
	for _, a := range w.records() {
		ids[a.ID] = true
	}
	for _, span := range w.spans.GetSpans() {
		for _, kv := range span.Attributes {
			if kv.Key == "jiragate.record" && !ids[kv.Value.AsString()] {
				t.Fatalf("a span names the record %s, which there is not", kv.Value.AsString())
			}
		}
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

// absolute is a message of HTTP/1.1 for a URL, with more header fields.
func (w *world) absolute(target string, fields ...string) string {
	fields = append([]string{"GET " + strings.Replace(target, "https:", "http:", 1) + " HTTP/1.1", "Host: " + w.siteAuthority(), "Connection: close"}, fields...)
	return strings.Join(fields, "\r\n") + "\r\n\r\n"
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

// Wrong tokens of a client bring a pause to their address, and to a right token that
// might have been guessed; none to one of the gateway's own making, nor to other clients
// from there.
func TestWrongTokensPause(t *testing.T) {
	w := newWorld(t, change{})
	const brought = "a token of its owner's own making"
	if err := w.store.AddClient(t.Context(), tokenstore.Client{Name: "careless", TokenSHA256: tokenstore.TokenSHA256(brought), Connections: []string{"dc"}}); err != nil {
		t.Fatal(err)
	}
	myself := w.sim.DataCenterURL() + "/rest/api/2/myself"
	ask := func(name, token string) string {
		return w.raw(w.absolute(myself, "Proxy-Authorization: "+basic(name, token)))
	}
	for _, name := range []string{"billing", "careless"} {
		for i := range 10 {
			if got := ask(name, "wrong"); !strings.HasPrefix(got, "HTTP/1.1 407 ") {
				t.Fatalf("%s, try %d: %s", name, i, got)
			}
		}
		if got := ask(name, "wrong"); !strings.HasPrefix(got, "HTTP/1.1 429 ") || !strings.Contains(got, "Retry-After: ") || !strings.Contains(got, `"identification_paused"`) {
			t.Errorf("%s in the pause: %s", name, got)
		}
	}
	w.record(func(a audit.Record) bool { return a.Code == "identification_paused" && a.Client == "" })
	if got := ask("careless", brought); !strings.HasPrefix(got, "HTTP/1.1 429 ") {
		t.Errorf("a right token that can be guessed, in the pause: %s", got)
	}
	other := w.addClient("other", "dc")
	for name, token := range map[string]string{"billing": w.token, "other": other} {
		if got := ask(name, token); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("%s was locked out: %s", name, got)
		}
	}
	bearer := w.raw(w.absolute(myself, "Proxy-Authorization: Bearer "+w.token))
	if !strings.HasPrefix(bearer, "HTTP/1.1 200 ") {
		t.Errorf("by Bearer: %s", bearer)
	}
	// To ask without a token is no try.
	for range 30 {
		if got := w.raw(w.absolute(myself)); !strings.HasPrefix(got, "HTTP/1.1 407 ") {
			t.Fatalf("without a token: %s", got)
		}
	}
}

// What strangers are refused is on record up to so many; the others are counted,
// each of them, and no client's refusals are among them.
func TestStrangersDoNotFillTheDisk(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) {
		o.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	}})
	myself := w.sim.DataCenterURL() + "/rest/api/2/myself"
	unrecorded := 0
	for i := range 200 {
		message := w.absolute(myself)
		if i%2 == 0 {
			message = w.absolute(myself, "Content-Length: 1", "Content-Length: 2")
		}
		got := w.raw(message)
		if !strings.HasPrefix(got, "HTTP/1.1 4") {
			t.Fatal(got)
		}
		if !strings.Contains(got, `"record"`) {
			unrecorded++
		}
	}
	for range 50 {
		if r := w.call(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/undocumented", ""); r.problem.Record == "" {
			t.Fatalf("a client's refusal has no record: %s", r.body)
		}
	}
	if got := len(w.records()); unrecorded == 0 || got != 200-unrecorded+50 {
		t.Errorf("%d records, and %d refusals were told to have none", got, unrecorded)
	}
	if got := limitRefusals(t, reader, "records"); got != int64(unrecorded) {
		t.Errorf("%d were counted, and %d have no record", got, unrecorded)
	}
}

// limitRefusals is the count of what is not on record for the sake of a limit.
func limitRefusals(t *testing.T, reader sdkmetric.Reader, name string) (n int64) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok || m.Name != "jiragate.limit.refusals" {
				continue
			}
			for _, p := range sum.DataPoints {
				limit, _ := p.Attributes.Value("jiragate.limit")
				recorded, _ := p.Attributes.Value("jiragate.recorded")
				if limit.AsString() == name && !recorded.AsBool() {
					n += p.Value
				}
			}
		}
	}
	return n
}

// limitUse is how much of each limit is used.
func limitUse(t *testing.T, reader sdkmetric.Reader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	use := make(map[string]float64)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if gauge, ok := m.Data.(metricdata.Gauge[float64]); ok && m.Name == "jiragate.limit.use" {
				for _, p := range gauge.DataPoints {
					limit, _ := p.Attributes.Value("jiragate.limit")
					use[limit.AsString()] = p.Value
				}
			}
		}
	}
	return use
}

// The gauge of each limit tells what is in use, and goes back to nothing.
func TestUseOfLimits(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) {
		o.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		o.Limits.Memory, o.Limits.MemoryUsed = 64<<20, func() uint64 { return 32 << 20 } // few of each
	}})
	reached, release := make(chan struct{}), make(chan struct{})
	url, client := w.slowJira(aToken(), func(rw http.ResponseWriter, _ *http.Request) {
		close(reached)
		<-release
		_, _ = rw.Write([]byte("[]"))
	})
	stranger := must(net.Dial("tcp", w.proxy))(t)
	defer stranger.Close()
	var call sync.WaitGroup
	call.Go(func() { _, _ = w.try(client, "GET", url, "") })
	<-reached
	w.eventually("a stranger", func() bool { return limitUse(t, reader)["unidentified_connections"] > 0 })
	// A 64 MiB limit leaves 16 MiB for calls of 100 KiB, as much for tunnels of 32 KiB, and
	// 8 MiB for strangers' headers of 32 KiB.
	for name, want := range map[string]float64{
		"memory": 0.5, "calls": 1. / 163, "tunnels": 1. / 512, "unidentified_connections": 1. / 256, "connections": 1. / 16384,
		"body_bytes": 0, "handshakes": 0, "unidentified_handshakes": 0, "answers": 0,
	} {
		if got, ok := limitUse(t, reader)[name]; !ok || got != want {
			t.Errorf("%s: %v of it is in use, not %v", name, got, want)
		}
	}
	close(release)
	call.Wait()
	client.CloseIdleConnections()
	stranger.Close()
	w.eventually("nothing in use", func() bool {
		for name, used := range limitUse(t, reader) {
			if used != 0 && name != "memory" {
				return false
			}
		}
		return true
	})
}

// One who reads no refusals has so many on the way, and its further ones are cut.
func TestUnreadRefusalsAreBounded(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	w := newWorld(t, change{
		gateway: func(_ *world, o *gateway.Options) {
			o.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		},
		made: func(g *gateway.Gateway) { g.SetAnswers(20) },
	})
	c := w.http2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}).listen()
	for i := range uint32(30) {
		if err := c.request(2*i+1, true, ":method: GET", ":scheme: https", ":authority: "+site, ":path: /nothing"); err != nil {
			t.Fatal(err)
		}
	}
	// One alone gets half.
	w.eventually("20 are cut", func() bool { return c.resets() == 20 })
	w.eventually("and 10 are on their way", func() bool { return limitUse(t, reader)["answers"] == 0.5 })
	if got := len(w.records()); got != 30 {
		t.Errorf("%d records", got)
	}
	c.close()
	w.eventually("nothing is held", func() bool { return limitUse(t, reader)["answers"] == 0 })
}

// A call keeps its place until its client has the answer, however short that is.
func TestUnreadAnswersKeepTheirPlaces(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) {
		o.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		o.Limits.Memory, o.Limits.MemoryUsed = 64<<20, func() uint64 { return 0 }
	}})
	c := w.http2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}).listen()
	for i := range uint32(10) {
		if err := c.request(2*i+1, true, myself()...); err != nil {
			t.Fatal(err)
		}
	}
	w.eventually("10 calls with a record", func() bool { return len(w.records()) >= 10 })
	time.Sleep(10 * time.Millisecond)
	if got := limitUse(t, reader)["calls"]; got != 10./163 {
		t.Errorf("%v of 163 calls are under way", got*163)
	}
	c.close()
	w.eventually("no place is taken", func() bool { return limitUse(t, reader)["calls"] == 0 })
}
