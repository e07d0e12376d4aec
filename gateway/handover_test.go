package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"jiragate/gateway"
	"jiragate/internal/handover"
	"jiragate/internal/jirasim"
	"jiragate/tokenstore"
)

// keptOpen keeps the socket of a listener that a gateway closes.
type keptOpen struct {
	t       *testing.T
	file    *os.File
	serving sync.WaitGroup
}

func (k *keptOpen) wrap(l net.Listener) net.Listener {
	k.file = must(l.(*net.TCPListener).File())(k.t)
	k.t.Cleanup(func() { // after the gateway's shutdown
		k.serving.Wait()
		k.file.Close()
	})
	return l
}

func (k *keptOpen) listener() net.Listener { return must(net.FileListener(k.file))(k.t) }

// serveAgain resumes a gateway that has yielded.
func (k *keptOpen) serveAgain(g *gateway.Gateway, held []*gateway.Held) {
	g.Resume(held)
	l := k.listener()
	k.serving.Go(func() {
		if err := g.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			k.t.Errorf("Serve returned %v", err)
		}
	})
}

// load is calls without a pause, by all doors and protocols. None of the clients of
// HTTP/1.1 sends a call again: net/http would repeat a read on a connection that
// was closed under it, but not one with a body that it can't have anew.
type load struct {
	calls, failures atomic.Int64
	stop            context.CancelFunc
	running         sync.WaitGroup
}

func (w *world) startLoad(callers int) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{stop: stop}
	once := func() io.Reader { return io.NopCloser(strings.NewReader("{}")) }
	type caller struct {
		name, url string
		client    *http.Client
		body      func() io.Reader
		field     string
	}
	http1 := func() *http.Client {
		c := w.billing()
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		c.Transport.(*http.Transport).Protocols = protocols
		return c
	}
	plain := func() *http.Client {
		t := &http.Transport{}
		w.t.Cleanup(t.CloseIdleConnections)
		return &http.Client{Transport: t, Timeout: 20 * time.Second}
	}
	for range callers {
		for _, c := range []caller{
			{"HTTP/1.1 in a tunnel", w.sim.SiteURL() + "/rest/api/3/myself", http1(), once, ""},
			{"HTTP/2 in a tunnel", w.sim.SiteURL() + "/rest/api/3/myself", w.billing(), func() io.Reader { return nil }, ""},
			{"absolute form", "http" + strings.TrimPrefix(w.sim.SiteURL(), "https") + "/rest/api/3/myself", w.proxied(), once, ""},
			{"base URL", "http://" + w.proxy + "/c/acme/rest/api/3/myself", plain(), once, basic("billing", w.token)},
		} {
			l.running.Go(func() {
				for ctx.Err() == nil {
					r := must(http.NewRequest(http.MethodGet, c.url, c.body()))(w.t)
					if c.field != "" {
						r.Header.Set("Proxy-Authorization", c.field)
					}
					l.calls.Add(1)
					if err := good(c.client.Do(r)); err != nil {
						l.failures.Add(1)
						w.t.Errorf("%s: %v", c.name, err)
						return
					}
				}
			})
		}
	}
	w.t.Cleanup(l.end)
	return l
}

// proxied is a client that asks the proxy for http:// addresses.
func (w *world) proxied() *http.Client {
	proxy := &url.URL{Scheme: "http", User: url.UserPassword("billing", w.token), Host: w.proxy}
	t := &http.Transport{Proxy: http.ProxyURL(proxy)}
	w.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: 20 * time.Second}
}

func good(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return err
}

// arrived waits until a request has come to Jira.
func (w *world) arrived() {
	w.t.Helper()
	must(w.sim.WaitRequest(w.t.Context(), func(jirasim.Request) bool { return true }))(w.t)
}

// more waits until n more calls were made, with no more of them failed.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	for end := l.calls.Load() + n; l.calls.Load() < end && l.failures.Load() == 0; {
		time.Sleep(time.Millisecond)
	}
}

func (l *load) end() {
	l.stop()
	l.running.Wait()
}

// TestServingIsTakenUpAgainWithoutALostCall: a gateway under load yields and resumes
// over and over. No client sees anything of it.
func TestServingIsTakenUpAgainWithoutALostCall(t *testing.T) {
	kept := &keptOpen{t: t}
	w := newWorld(t, change{wrap: kept.wrap})
	load := w.startLoad(3)
	for range 12 {
		load.more(t, 60)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		held, err := w.gateway.Yield(ctx, 5*time.Second)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		kept.serveAgain(w.gateway, held)
	}
	load.more(t, 60)
	load.end()
	if load.failures.Load() == 0 && len(w.records()) < int(load.calls.Load()) {
		t.Errorf("%d calls have %d records", load.calls.Load(), len(w.records()))
	}
}

// TestIdleConnectionsGoToTheSuccessor: what rests at one gateway is served by another,
// by what the first passes on; then its client is asked to close it.
func TestIdleConnectionsGoToTheSuccessor(t *testing.T) {
	kept := &keptOpen{t: t}
	w := newWorld(t, change{wrap: kept.wrap})
	next := must(gateway.New(w.options))(t)

	tunnel := w.tunnel(site+":443", site, "http/1.1")
	unused := w.tunnel(site+":443", site, "http/1.1")
	if err := unused.Handshake(); err != nil {
		t.Fatal(err)
	}
	front := must(net.Dial("tcp", w.proxy))(t)
	defer front.Close()
	silent := must(net.Dial("tcp", w.proxy))(t)
	defer silent.Close()

	const path = "/rest/api/3/myself"
	inside := "GET " + path + " HTTP/1.1\r\nHost: " + site + "\r\n\r\n"
	base := "GET /c/acme" + path + " HTTP/1.1\r\nHost: " + w.proxy + "\r\nProxy-Authorization: " + basic("billing", w.token) + "\r\n\r\n"
	ask := func(name string, conn net.Conn, request string, closes bool) {
		t.Helper()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := good(resp, nil); err != nil || resp.Close != closes {
			t.Errorf("%s: %v, close %t; want %t", name, err, resp.Close, closes)
		}
		if closes {
			if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("%s: after the answer %d bytes, %v; want the end", name, n, err)
			}
		}
	}
	ask("tunnel, before", tunnel, inside, false)
	ask("front, before", front, base, false)

	held, err := w.gateway.Yield(t.Context(), time.Second)
	if err != nil || len(held) != 4 {
		t.Fatalf("%d connections, %v; want 4", len(held), err)
	}
	var relays sync.WaitGroup
	for _, h := range held {
		near, far, err := handover.Pair()
		if err != nil {
			t.Fatal(err)
		}
		conn := must(net.FileConn(far))(t)
		far.Close()
		if err := next.Adopt(h.Provenance(), conn); err != nil {
			t.Fatal(err)
		}
		relays.Go(func() { h.Relay(near) })
	}
	ask("tunnel, after", tunnel, inside, true)
	ask("tunnel not used before", unused, inside, true)
	ask("front, after", front, base, true)
	ask("silent before", silent, base, true)
	relays.Wait()

	for _, r := range w.records() {
		if r.Client != "billing" || r.ClientAddr == "" || r.Status != 200 || !strings.HasPrefix(r.ClientAddr, "127.0.0.1:") {
			t.Errorf("record %+v", r)
		}
	}
	if n := len(w.records()); n != 6 {
		t.Errorf("%d records, want 6", n)
	}
	if err := next.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestATunnelOfARemovedClientIsNotTakenOver: who a tunnel belongs to is found out
// again by the gateway that takes it over.
func TestATunnelOfARemovedClientIsNotTakenOver(t *testing.T) {
	w := newWorld(t, change{})
	tunnel := w.tunnel(site+":443", site, "http/1.1")
	if err := tunnel.Handshake(); err != nil {
		t.Fatal(err)
	}
	held, err := w.gateway.Yield(t.Context(), time.Second)
	if err != nil || len(held) != 1 {
		t.Fatalf("%d connections, %v", len(held), err)
	}
	if err := w.store.RemoveClient(t.Context(), "billing"); err != nil {
		t.Fatal(err)
	}
	next := must(gateway.New(w.options))(t)
	if err := next.Adopt(held[0].Provenance(), held[0].Conn()); err == nil {
		t.Error("it was taken over")
	}
	if n, err := tunnel.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("%d bytes, %v; want the end", n, err)
	}
	if err := next.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestATunnelIsTakenOverWhateverOthersDo: one that was let in is not cut for wrong tokens
// from its address, nor for a moment in which nothing new is let in.
func TestATunnelIsTakenOverWhateverOthersDo(t *testing.T) {
	w := newWorld(t, change{})
	w.token = "a token of its owner's own making"
	if err := w.store.SetClientToken(t.Context(), "billing", tokenstore.TokenSHA256(w.token)); err != nil {
		t.Fatal(err)
	}
	tunnel := w.tunnel(site+":443", site, "http/1.1")
	if err := tunnel.Handshake(); err != nil {
		t.Fatal(err)
	}
	held, err := w.gateway.Yield(t.Context(), time.Second)
	if err != nil || len(held) != 1 {
		t.Fatalf("%d connections, %v", len(held), err)
	}
	w.options.Limits.Memory, w.options.Limits.MemoryUsed = 1000, func() uint64 { return 1000 }
	next := must(gateway.New(w.options))(t)
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	served := make(chan error, 1)
	go func() { served <- next.Serve(l) }()
	w.proxy = l.Addr().String()
	for range 20 {
		w.raw(w.absolute("https://"+site+"/", "Proxy-Authorization: "+basic("billing", "wrong")))
	}
	w.eventually("memory is short", func() bool { return next.Ready() != nil })
	if err := next.Adopt(held[0].Provenance(), held[0].Conn()); err != nil {
		t.Errorf("it was cut: %v", err)
	}
	tunnel.Close()
	if err := next.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-served
}

// TestACallThatTakesLongerGoesOn: who can't wait for a call is told how many there
// are; the gateway takes up again, and neither the call nor the next one notices.
func TestACallThatTakesLongerGoesOn(t *testing.T) {
	kept := &keptOpen{t: t}
	w := newWorld(t, change{wrap: kept.wrap})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: time.Second, Times: 1})
	conn := must(net.Dial("tcp", w.proxy))(t)
	defer conn.Close()
	request := "GET /c/acme/rest/api/3/myself HTTP/1.1\r\nHost: " + w.proxy + "\r\nProxy-Authorization: " + basic("billing", w.token) + "\r\n\r\n"
	io.WriteString(conn, request)
	w.arrived()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	held, err := w.gateway.Yield(ctx, time.Second)
	cut, ok := errors.AsType[*gateway.CutError](err)
	if !ok || cut.Calls != 1 || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Yield: %v, want one call that is under way", err)
	}
	kept.serveAgain(w.gateway, held)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err := good(resp, err); err != nil {
		t.Error(err)
	}
	if r := w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", ""); r.StatusCode != 200 {
		t.Errorf("the next call: %s", r.Status)
	}
}

// TestShutdownTellsWhatItCuts counts the calls that were still under way.
func TestShutdownTellsWhatItCuts(t *testing.T) {
	w := newWorld(t, change{})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: 30 * time.Second, Times: 1})
	failed := make(chan error, 1)
	client := w.billing()
	go func() {
		failed <- good(client.Get(w.sim.SiteURL() + "/rest/api/3/myself"))
	}()
	w.arrived()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	cut, ok := errors.AsType[*gateway.CutError](w.gateway.Shutdown(ctx))
	if !ok || cut.Calls != 1 {
		t.Errorf("Shutdown: %v, want one call that was cut", cut)
	}
	if err := <-failed; err == nil {
		t.Error("the call that was cut succeeded")
	}
}

// TestHTTP2EndsByGOAWAY: a client whose HTTP/2 connection is idle is told to go away
// before it is closed, so that it knows what was not served.
func TestHTTP2EndsByGOAWAY(t *testing.T) {
	w := newWorld(t, change{})
	tunnel := w.tunnel(site+":443", site, "h2")
	io.WriteString(tunnel, http2.ClientPreface)
	frames := http2.NewFramer(tunnel, tunnel)
	if err := frames.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	for shutting := false; ; {
		f, err := frames.ReadFrame()
		if err != nil {
			t.Fatalf("no GOAWAY: %v", err)
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !shutting {
				shutting = true
				go func() { ended <- w.gateway.Shutdown(context.WithoutCancel(t.Context())) }()
			}
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				t.Errorf("GOAWAY with %v", f.ErrCode)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			return
		}
	}
}
