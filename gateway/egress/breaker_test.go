package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Of two proxies, connection "initech" prefers the eastern one.
func proxies() []Address { return []Address{eastByProxy, westByProxy} }

const refusedWay = "HTTP/1.1 502 Bad Gateway\r\n\r\n"

// eastDown makes the way to the eastern proxy fail while down is true.
func eastDown(n *proxyNetwork, down *bool) {
	n.onConnect = func(_ context.Context, a attempt) error {
		if *down && a == toProxyEast {
			return failing("connect", syscall.ECONNREFUSED)
		}
		return nil
	}
}

func TestProxyThatFailsIsNotAskedUntilItsCooldownEnds(t *testing.T) {
	n, c, log, down := &proxyNetwork{}, newClock(), &bytes.Buffer{}, true
	eastDown(n, &down)
	e := newProxied(t, n, Options{Addresses: proxies(), Now: c.Now, Logger: slog.New(slog.NewTextHandler(log, nil))})
	dial := func(want ...attempt) {
		t.Helper()
		conn, err := dialInitech(e)
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.(*Conn).PublicIP(); got != "52.73.143.252" && want[len(want)-1] == toProxyWest {
			t.Errorf("left by %s", got)
		}
		n.expect(t, want...)
	}
	dial(toProxyEast, toProxyWest)
	// Each failed trial doubles the time, up to the maximum.
	for _, cooldown := range []time.Duration{proxyCooldown, 2 * proxyCooldown, 4 * proxyCooldown, 8 * proxyCooldown, 16 * proxyCooldown, maxProxyCooldown, maxProxyCooldown} {
		if h := e.Health(); h[0].Up || !h[1].Up {
			t.Errorf("health %+v", h)
		}
		dial(toProxyWest)
		c.Advance(cooldown - time.Nanosecond)
		dial(toProxyWest)
		c.Advance(time.Nanosecond)
		dial(toProxyEast, toProxyWest)
	}
	if got := strings.Count(log.String(), "egress address cannot be used"); got != 1 {
		t.Errorf("the outage was logged %d times: %s", got, log)
	}
	c.Advance(maxProxyCooldown)
	down = false
	dial(toProxyEast)
	dial(toProxyEast)
	if h := e.Health(); !h[0].Up || strings.Count(log.String(), "can be used again") != 1 {
		t.Errorf("health %+v, log %s", h, log)
	}
	// The next outage begins as the first did.
	down = true
	dial(toProxyEast, toProxyWest)
	c.Advance(proxyCooldown)
	dial(toProxyEast, toProxyWest)
	if n.left() == 0 {
		t.Error("no connection is left, not even those that were returned")
	}
}

// Dials that were under way together fail together: that is one outage.
func TestOneOutageIsCountedOnce(t *testing.T) {
	const dials = 20
	n, c := &proxyNetwork{}, newClock()
	var arrived sync.WaitGroup
	arrived.Add(dials)
	n.onConnect = func(context.Context, attempt) error {
		arrived.Done()
		arrived.Wait()
		return failing("connect", syscall.ECONNREFUSED)
	}
	e := newProxied(t, n, Options{Addresses: []Address{eastByProxy}, Now: c.Now})
	var running sync.WaitGroup
	for range dials {
		running.Go(func() {
			if _, err := dialInitech(e); !errors.Is(err, ErrUnavailable) {
				t.Errorf("error %v", err)
			}
		})
	}
	running.Wait()
	if got := len(n.made()); got != dials {
		t.Fatalf("%d attempts, want %d", got, dials)
	}
	n.onConnect = nil
	c.Advance(proxyCooldown)
	if _, err := dialInitech(e); err != nil {
		t.Errorf("after one cool-down: %v", err)
	}
}

// After the cool-down one dial finds out; the others go another way, or hear at
// once that there is none.
func TestOneTrialAmongManyDials(t *testing.T) {
	for _, test := range []struct {
		name      string
		addresses []Address
		recovers  bool
	}{
		{"with another proxy", proxies(), true},
		{"with another proxy, in vain", proxies(), false},
		{"alone", []Address{eastByProxy}, true},
		{"alone, in vain", []Address{eastByProxy}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			const dials = 40
			n, c, down := &proxyNetwork{}, newClock(), true
			eastDown(n, &down)
			e := newProxied(t, n, Options{Addresses: test.addresses, Now: c.Now})
			_, _ = dialInitech(e)
			c.Advance(proxyCooldown)
			n.made()

			others := make(chan struct{}) // closed when all but the trial have ended
			n.onConnect = func(_ context.Context, a attempt) error {
				if a != toProxyEast {
					return nil
				}
				<-others
				if test.recovers {
					return nil
				}
				return failing("connect", syscall.ECONNREFUSED)
			}
			var running sync.WaitGroup
			var ended, east, west, none atomic.Int32
			for range dials {
				running.Go(func() {
					switch conn, err := dialInitech(e); {
					case errors.Is(err, ErrUnavailable):
						none.Add(1)
					case err != nil:
						t.Error(err)
					case conn.(*Conn).PublicIP() == "52.54.159.237":
						east.Add(1)
					default:
						west.Add(1)
					}
					if ended.Add(1) == dials-1 {
						close(others)
					}
				})
			}
			running.Wait()
			trials := 0
			for _, a := range n.made() {
				if a == toProxyEast {
					trials++
				}
			}
			if trials != 1 {
				t.Errorf("%d trials, want 1", trials)
			}
			got := fmt.Sprint(east.Load(), west.Load(), none.Load())
			want := map[string]string{
				"with another proxy":          fmt.Sprint(1, dials-1, 0),
				"with another proxy, in vain": fmt.Sprint(0, dials, 0),
				"alone":                       fmt.Sprint(1, 0, dials-1),
				"alone, in vain":              fmt.Sprint(0, 0, dials),
			}[test.name]
			if got != want {
				t.Errorf("%s went east, west and nowhere; want %s", got, want)
			}
			if up := e.Health()[0].Up; up != test.recovers {
				t.Errorf("up %v", up)
			}
		})
	}
}

// A trial that its caller leaves is nobody's verdict, and the next dial's turn.
func TestTrialThatIsLeftGoesToTheNext(t *testing.T) {
	n, c, down := &proxyNetwork{}, newClock(), true
	eastDown(n, &down)
	e := newProxied(t, n, Options{Addresses: []Address{eastByProxy}, Now: c.Now})
	_, _ = dialInitech(e)
	c.Advance(proxyCooldown)
	n.made()
	for range 3 {
		ctx, leave := context.WithCancelCause(t.Context())
		n.onConnect = func(ctx context.Context, _ attempt) error {
			leave(errors.New("the client went away"))
			<-ctx.Done()
			return &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
		}
		if _, err := e.DialContext(ctx, "initech", "tcp", jira); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		n.expect(t, toProxyEast)
	}
	n.onConnect = nil
	if _, err := dialInitech(e); err != nil {
		t.Errorf("the next dial: %v", err)
	}
	n.expect(t, toProxyEast)
}

// One customer's Jira cannot take a proxy from the others: neither by dropping what it
// is sent, nor by being where the provider lets nobody go.
func TestOneUpstreamDoesNotOpenTheCircuit(t *testing.T) {
	says := ""
	n, c := &proxyNetwork{answer: func(string, string) string { return says }}, newClock()
	e := newProxied(t, n, Options{Addresses: proxies(), Now: c.Now})
	for _, says = range []string{"", "HTTP/1.1 403 Forbidden\r\n\r\n", "HTTP/1.1 500 x\r\n\r\n"} {
		for range 20 {
			if _, err := e.DialContext(t.Context(), "black-hole", "tcp", "104.192.14.1:8443"); err == nil {
				t.Fatal("connected")
			}
		}
		for _, h := range e.Health() {
			if !h.Up {
				t.Errorf("%q: %s is down", says, h.Public)
			}
		}
		says = ""
		if _, err := e.DialFrom(t.Context(), eastByProxy.Public, "tcp", jira); err == nil {
			t.Fatal("connected")
		}
	}
	says = "HTTP/1.1 200 OK\r\n\r\n"
	if _, err := dialInitech(e); err != nil {
		t.Errorf("another customer: %v", err)
	}
}

// Silence may be the upstream's. Only several, of several upstreams, in a row are
// the proxy's.
func TestSilencesOpenTheCircuit(t *testing.T) {
	says := ""
	n, c := &proxyNetwork{answer: func(string, string) string { return says }}, newClock()
	e := newProxied(t, n, Options{Addresses: []Address{eastByProxy}, Now: c.Now})
	upstreams := 0
	dial := func(answer string) error {
		says = answer
		upstreams++
		_, err := e.DialContext(t.Context(), fmt.Sprint("customer-", upstreams), "tcp", fmt.Sprintf("104.192.%d.1:443", upstreams))
		return err
	}
	silences := func(count int) {
		t.Helper()
		for range count {
			if err := dial(""); err == nil || kindOf(t, err) != ofEither {
				t.Errorf("error %v", err)
			}
		}
	}
	up := func(want bool) {
		t.Helper()
		if got := e.Health()[0].Up; got != want {
			t.Errorf("up %v, want %v", got, want)
		}
	}
	// Whatever the proxy says of an upstream, it is alive.
	for _, answer := range []string{refusedWay, "HTTP/1.1 504 x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"} {
		silences(maxSilences - 1)
		up(true)
		if err := dial(answer); err != nil && kindOf(t, err) != ofUpstream {
			t.Errorf("error %v", err)
		}
	}
	silences(maxSilences)
	up(false)
	n.made()
	if err := dial(""); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	n.expect(t)
	// A silent trial says nothing new: there is another after as long.
	c.Advance(proxyCooldown)
	silences(1)
	up(false)
	c.Advance(proxyCooldown - time.Millisecond)
	n.made()
	if err := dial(""); !errors.Is(err, ErrUnavailable) {
		t.Errorf("during the second cool-down: %v", err)
	}
	n.expect(t)
	c.Advance(time.Millisecond)
	if err := dial(refusedWay); err == nil || kindOf(t, err) != ofUpstream {
		t.Errorf("error %v", err)
	}
	up(true)
	silences(maxSilences - 1)
	up(true)
}

// With every circuit open nothing is dialled, and the caller hears it at once.
func TestAllProxiesDown(t *testing.T) {
	n, c := &proxyNetwork{}, newClock()
	n.onConnect = func(context.Context, attempt) error { return failing("connect", syscall.ECONNREFUSED) }
	e := newProxied(t, n, Options{Addresses: proxies(), Now: c.Now})
	if _, err := dialInitech(e); kindOf(t, err) != ofProxy {
		t.Errorf("error %v", err)
	}
	n.expect(t, toProxyEast, toProxyWest)
	for _, connection := range []string{"initech", "acme"} {
		_, err := e.DialContext(t.Context(), connection, "tcp", jira)
		if !errors.Is(err, ErrUnavailable) || errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "cool-down") {
			t.Errorf("error %v", err)
		}
	}
	_, err := e.DialFrom(t.Context(), eastByProxy.Public, "tcp", jira)
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "cool-down") {
		t.Errorf("from one address: %v", err)
	}
	n.expect(t)
}

// A local address costs nothing to try, a proxy much.
func TestLocalAddressesBesideProxies(t *testing.T) {
	c, n := newClock(), &proxyNetwork{}
	broken := map[attempt]error{}
	n.onConnect = func(_ context.Context, a attempt) error { return broken[a] }
	e := newProxied(t, n, Options{Addresses: []Address{eastByProxy, usWest}, Now: c.Now})
	dial := func(want ...attempt) error {
		t.Helper()
		_, err := dialInitech(e)
		n.expect(t, want...)
		return err
	}
	if err := dial(toProxyEast); err != nil {
		t.Error(err)
	}
	broken[toProxyEast] = failing("connect", syscall.ECONNREFUSED)
	if err := dial(toProxyEast, fromWest); err != nil {
		t.Error(err)
	}
	broken[fromWest] = failing("bind", syscall.EADDRNOTAVAIL)
	if err := dial(fromWest); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	if err := dial(fromWest); !errors.Is(err, ErrUnavailable) { // it may be back any time
		t.Errorf("error %v", err)
	}
	broken[fromWest] = failing("connect", syscall.ECONNREFUSED)
	if err := dial(fromWest); !errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	c.Advance(proxyCooldown)
	clear(broken)
	if err := dial(toProxyEast); err != nil {
		t.Error(err)
	}
}

// One connection's trouble with its Jira is not another's, by proxies either.
func TestUpstreamThatOneProxyDoesNotReach(t *testing.T) {
	n := &proxyNetwork{answer: func(proxy, target string) string {
		if proxy == proxyEast && target == jira {
			return refusedWay
		}
		return "HTTP/1.1 200 OK\r\n\r\n"
	}}
	e := newProxied(t, n, Options{Addresses: proxies()})
	for _, want := range [][]attempt{{toProxyEast, toProxyWest}, {toProxyWest}} {
		if _, err := dialInitech(e); err != nil {
			t.Fatal(err)
		}
		n.expect(t, want...)
	}
	if _, err := e.DialContext(t.Context(), "demo-dc", "tcp", "104.192.141.2:443"); err != nil {
		t.Fatal(err)
	}
	n.expect(t, toProxyEast)
}
