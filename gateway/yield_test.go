package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jiragate/gateway"
	"jiragate/internal/handover"
	"jiragate/internal/jirasim"
)

// watchedListener counts what the gateway has read of its clients.
type watchedListener struct {
	net.Listener
	read atomic.Int64
}

type watchedConn struct {
	net.Conn
	read *atomic.Int64
}

func (l *watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return watchedConn{c, &l.read}, nil
}

func (c watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func (w *world) baseRequest() string {
	return "GET /c/acme/rest/api/3/myself HTTP/1.1\r\nHost: " + w.proxy + "\r\nProxy-Authorization: " + basic("billing", w.token) + "\r\n\r\n"
}

func (w *world) dial() net.Conn {
	conn := must(net.Dial("tcp", w.proxy))(w.t)
	w.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func answered(conn io.Reader) error { return good(http.ReadResponse(bufio.NewReader(conn), nil)) }

// TestABeginningOfAHeadDoesNotHoldBack: a client that has sent some of a request's
// head keeps nobody waiting, and its request is served by whoever serves then: by
// the same gateway, or by the next one that another passes its bytes on to.
func TestABeginningOfAHeadDoesNotHoldBack(t *testing.T) {
	for _, door := range []string{"front", "tunnel"} {
		for _, successor := range []bool{false, true} {
			name := door + " resumed"
			if successor {
				name = door + " adopted"
			}
			t.Run(name, func(t *testing.T) {
				kept := &keptOpen{t: t}
				watched := &watchedListener{}
				w := newWorld(t, change{wrap: func(l net.Listener) net.Listener {
					watched.Listener = kept.wrap(l)
					return watched
				}})
				request, conn := w.baseRequest(), w.dial()
				if door == "tunnel" {
					request = "GET /rest/api/3/myself HTTP/1.1\r\nHost: " + site + "\r\n\r\n"
					tunnel := w.tunnel(site+":443", site, "http/1.1")
					if err := tunnel.Handshake(); err != nil {
						t.Fatal(err)
					}
					conn = tunnel
				}
				before := watched.read.Load()
				io.WriteString(conn, request[:20])
				w.eventually("the beginning is read", func() bool { return watched.read.Load() >= before+20 })

				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				held, err := w.gateway.Yield(ctx, time.Second)
				if err != nil {
					t.Fatal(err)
				}
				var relays sync.WaitGroup
				if successor {
					next := must(gateway.New(w.options))(t)
					defer next.Shutdown(t.Context())
					for _, h := range held {
						near, far, err := handover.Pair()
						if err != nil {
							t.Fatal(err)
						}
						if err := next.Adopt(h.Provenance(), must(net.FileConn(far))(t)); err != nil {
							t.Fatal(err)
						}
						far.Close()
						relays.Go(func() { h.Relay(near) })
					}
				} else {
					kept.serveAgain(w.gateway, held)
				}
				io.WriteString(conn, request[20:])
				if err := answered(conn); err != nil {
					t.Error(err)
				}
				relays.Wait()
			})
		}
	}
}

// lateListener hands its second connection out only when it is closed, as it happens to
// one that arrives in that moment.
type lateListener struct {
	net.Listener
	accepted atomic.Int32
	closed   chan struct{}
	once     sync.Once
}

func (l *lateListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if n := l.accepted.Add(1); err == nil && n == 2 {
		<-l.closed
		time.Sleep(10 * time.Millisecond) // whoever doesn't wait is gone by then
	}
	return c, err
}

func (l *lateListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// TestAConnectionThatArrivesInTheLastMomentIsHeld, not forgotten.
func TestAConnectionThatArrivesInTheLastMomentIsHeld(t *testing.T) {
	late := &lateListener{closed: make(chan struct{})}
	w := newWorld(t, change{wrap: func(l net.Listener) net.Listener {
		late.Listener = l
		return late
	}})
	for range 2 {
		w.dial()
	}
	w.eventually("both have arrived", func() bool { return late.accepted.Load() == 2 })
	held, err := w.gateway.Yield(t.Context(), time.Second)
	if err != nil || len(held) != 2 {
		t.Errorf("%d connections, %v; want 2", len(held), err)
	}
	for _, h := range held {
		h.Close()
	}
}

// TestHandshakeGoesOnWhereTheGatewayTakesUpAgain: a tunnel that was being made when
// serving ended belongs to the gateway that serves on, and can be handed over later.
func TestHandshakeGoesOnWhereTheGatewayTakesUpAgain(t *testing.T) {
	kept := &keptOpen{t: t}
	w := newWorld(t, change{wrap: kept.wrap})
	tunnel := w.tunnel(site+":443", site, "http/1.1")
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	held, err := w.gateway.Yield(soon, time.Millisecond)
	cancel()
	if err == nil {
		t.Fatal("nobody waited for the handshake")
	}
	kept.serveAgain(w.gateway, held)
	io.WriteString(tunnel, "GET /rest/api/3/myself HTTP/1.1\r\nHost: "+site+"\r\n\r\n")
	if err := answered(tunnel); err != nil {
		t.Error(err)
	}
	held, err = w.gateway.Yield(t.Context(), time.Second)
	if err != nil || len(held) != 1 {
		t.Errorf("then %d connections, %v; want 1", len(held), err)
	}
	for _, h := range held {
		h.Close()
	}
}

// TestAnUnfinishedHandshakeIsWaitedForAfterTakingUpAgain, too: the CONNECT is of a time of
// serving that is over, and still it is known.
func TestAnUnfinishedHandshakeIsWaitedForAfterTakingUpAgain(t *testing.T) {
	kept := &keptOpen{t: t}
	w := newWorld(t, change{wrap: kept.wrap})
	tunnel := w.tunnel(site+":443", site, "http/1.1")
	for range 2 {
		soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		held, err := w.gateway.Yield(soon, time.Millisecond)
		cancel()
		if err == nil {
			t.Fatal("nobody waited for the handshake")
		}
		kept.serveAgain(w.gateway, held)
	}
	if err := tunnel.Handshake(); err != nil {
		t.Error(err)
	}
}

// TestPipeliningDoesNotHoldBack: who always has the next request on its way is asked to
// close, as by any limit of a connection's life.
func TestPipeliningDoesNotHoldBack(t *testing.T) {
	w := newWorld(t, change{})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: time.Second, Times: 1})
	conn := w.dial()
	const sent = 50
	io.WriteString(conn, strings.Repeat(w.baseRequest(), sent))
	w.arrived()
	ended := make(chan error, 1)
	go func() {
		held, err := w.gateway.Yield(t.Context(), time.Second)
		if len(held) > 0 {
			t.Errorf("%d connections are held", len(held))
		}
		ended <- err
	}()
	answers := bufio.NewReader(conn)
	for n := 1; ; n++ {
		resp, err := http.ReadResponse(answers, nil)
		if err := good(resp, err); err != nil {
			t.Fatalf("answer %d: %v", n, err)
		}
		if resp.Close {
			break
		}
		if n == sent {
			t.Fatal("all were answered first")
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestShutdownCutsCallsOfBeforeTakingUpAgain, and each has its record.
func TestShutdownCutsCallsOfBeforeTakingUpAgain(t *testing.T) {
	kept := &keptOpen{t: t}
	w := newWorld(t, change{wrap: kept.wrap})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: 30 * time.Second, Times: 1})
	conn := w.dial()
	io.WriteString(conn, w.baseRequest())
	w.arrived()
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	held, err := w.gateway.Yield(soon, time.Millisecond)
	if err == nil {
		t.Fatal("nobody waited for the call")
	}
	kept.serveAgain(w.gateway, held)
	if cut, ok := errors.AsType[*gateway.CutError](w.gateway.Shutdown(soon)); !ok || cut.Calls != 1 {
		t.Errorf("Shutdown: %v, want one call that was cut", cut)
	}
	if records := w.records(); len(records) != 1 || records[0].Code != string(gateway.CodeClientDisconnected) {
		t.Errorf("records: %+v", records)
	}
}

// TestNothingIsAdoptedOnceServingHasEnded: the connection is closed, not kept waiting.
func TestNothingIsAdoptedOnceServingHasEnded(t *testing.T) {
	w := newWorld(t, change{})
	if _, err := w.gateway.Yield(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	if err := w.gateway.Adopt(gateway.Provenance{}, far); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Adopt: %v", err)
	}
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection: %v", err)
	}
}

// TestProvenanceThatMakesNoSenseIsRefused: nothing but a closed connection comes of it.
func TestProvenanceThatMakesNoSenseIsRefused(t *testing.T) {
	w := newWorld(t, change{})
	identified := http.Header{"Proxy-Authorization": {basic("billing", w.token)}}
	for name, p := range map[string]gateway.Provenance{
		"no certificate":        {Certificates: [][]byte{[]byte("DER?")}},
		"nobody":                {Connect: &gateway.Connect{Target: site + ":443"}},
		"no target":             {Connect: &gateway.Connect{Header: identified}},
		"a target out of reach": {Connect: &gateway.Connect{Target: "elsewhere.example:443", Header: identified}},
	} {
		near, far := net.Pipe()
		if err := w.gateway.Adopt(p, far); err == nil {
			t.Errorf("%s: it was adopted", name)
		}
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the connection: %v", name, err)
		}
	}
}
