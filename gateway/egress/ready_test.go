package egress

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Ready asks nobody while nothing is known against a proxy, goes to the door of
// one whose cool-down is over, and leaves the proof to the next dial.
func TestReadyWithProxies(t *testing.T) {
	n, c := &proxyNetwork{}, newClock()
	failingProxies := map[attempt]bool{}
	n.onConnect = func(_ context.Context, a attempt) error {
		if failingProxies[a] {
			return failing("connect", syscall.ECONNREFUSED)
		}
		return nil
	}
	e := newProxied(t, n, Options{Addresses: proxies(), Now: c.Now})
	if err := e.Ready(t.Context()); err != nil {
		t.Errorf("nothing known: %v", err)
	}
	n.expect(t)

	failingProxies[toProxyEast] = true
	if _, err := dialInitech(e); err != nil {
		t.Fatal(err)
	}
	n.made()
	if err := e.Ready(t.Context()); err != nil {
		t.Errorf("one down: %v", err)
	}
	n.expect(t)
	failingProxies[toProxyWest] = true
	if _, err := dialInitech(e); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	n.made()
	err := e.Ready(t.Context())
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), proxyEast) || !strings.Contains(err.Error(), proxyWest) || !strings.Contains(err.Error(), "03:04:10 UTC") {
		t.Errorf("both down: %v", err)
	}
	n.expect(t)

	// The cool-down is over, they are not: it doubles, as after a dial.
	c.Advance(proxyCooldown)
	if err := e.Ready(t.Context()); !errors.Is(err, ErrUnavailable) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("both down still: %v", err)
	}
	n.expectBoth(t)
	c.Advance(proxyCooldown)
	if err := e.Ready(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("both down still: %v", err)
	}
	n.expect(t)

	// They can be reached again, which says nothing of credentials.
	c.Advance(proxyCooldown)
	clear(failingProxies)
	before := n.left()
	for range 2 {
		if err := e.Ready(t.Context()); err != nil {
			t.Errorf("both can be reached: %v", err)
		}
		n.expectBoth(t)
	}
	n.expectAsked(t, ask{proxyWest, jira}) // by the dial above, and by nobody since
	if left := n.left(); left != before {
		t.Errorf("Ready left %d connections open", left-before)
	}
	for _, h := range e.Health() {
		if h.Up {
			t.Errorf("%s is up before anybody asked it", h.Public)
		}
	}
	if _, err := dialInitech(e); err != nil {
		t.Errorf("the dial after it: %v", err)
	}
	n.expect(t, toProxyEast)
	if h := e.Health(); !h[0].Up || h[1].Up {
		t.Errorf("health %+v", h)
	}
}

// A proxy that lets connections in and refuses credentials is not ready for calls,
// and Ready's success does not open it for more than one dial at a time.
func TestReadyDoesNotCloseTheCircuit(t *testing.T) {
	n, c := &proxyNetwork{answer: func(string, string) string { return "HTTP/1.1 407 x\r\n\r\n" }}, newClock()
	e := newProxied(t, n, Options{Addresses: []Address{eastByProxy}, Now: c.Now})
	for range 3 {
		if _, err := dialInitech(e); kindOf(t, err) != ofProxy {
			t.Errorf("error %v", err)
		}
		n.expect(t, toProxyEast)
		if _, err := dialInitech(e); !errors.Is(err, ErrUnavailable) {
			t.Errorf("error %v", err)
		}
		n.expect(t)
		c.Advance(maxProxyCooldown)
		if err := e.Ready(t.Context()); err != nil {
			t.Errorf("it can be reached: %v", err)
		}
		n.expect(t, toProxyEast)
	}
	if n.left() != 0 {
		t.Errorf("%d connections are open", n.left())
	}
}

// expectBoth: both proxies were connected to, in any order.
func (n *proxyNetwork) expectBoth(t *testing.T) {
	t.Helper()
	made := n.made()
	slices.SortFunc(made, func(a, b attempt) int { return strings.Compare(a.target, b.target) })
	if !slices.Equal(made, []attempt{toProxyEast, toProxyWest}) {
		t.Errorf("attempts %v", made)
	}
}
