package egress

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"jiragate/tokenstore/secret"
)

// Other addresses are checked before they are in force, and then are the only ones.
func TestReplacedAddresses(t *testing.T) {
	n := &fakeNetwork{onBindable: func(local netip.Addr) error {
		if local.String() == "10.0.0.99" {
			return failing("bind", syscall.EADDRNOTAVAIL)
		}
		return nil
	}}
	e := newFake(t, n, Options{Addresses: []Address{usEast}})
	leavesFrom := func(when string, want Address) {
		t.Helper()
		conn, err := e.DialContext(t.Context(), "acme", "tcp", jira)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if got := conn.(*Conn).PublicIP(); got != want.Public.String() {
			t.Errorf("%s: the call left from %s, want %s", when, got, want.Public)
		}
	}
	before := e.InUse()
	if _, err := e.Replace([]Address{usWest, address("52.0.0.1", "10.0.0.99")}, nil); err == nil {
		t.Fatal("an address that is not on this machine was taken")
	}
	leavesFrom("after a replacement that was refused", usEast)
	put, err := e.Replace([]Address{usWest}, nil)
	if err != nil {
		t.Fatal(err)
	}
	leavesFrom("checked, and not put", usEast)
	if e.InUse() != before {
		t.Error("another set is in use before the replacement")
	}
	put()
	leavesFrom("replaced", usWest)
	if e.InUse() == before {
		t.Error("the same set is in use: connections from the old address would be kept")
	}
	if got := e.Addresses(); !SameAddresses(got, []Address{usWest}) {
		t.Errorf("addresses %v", got)
	}
	if _, err := e.DialFrom(t.Context(), usEast.Public, "tcp", jira); !errors.Is(err, ErrUnavailable) {
		t.Errorf("from the removed address: %v", err)
	}
}

// A call that began before ends as it would have, although the new addresses are of
// the other family.
func TestDialUnderWayKeepsItsAddresses(t *testing.T) {
	n := &fakeNetwork{}
	var e *Egress
	replaced := false
	n.onConnect = func(context.Context, attempt) error {
		if !replaced {
			replaced = true
			put, err := e.Replace([]Address{address("2600:1f18::7", "fd00::7")}, nil)
			if err != nil {
				t.Error(err)
				return nil
			}
			put()
			return failing("connect", syscall.ECONNREFUSED) // the next attempt is of the same dial
		}
		return nil
	}
	e = newFake(t, n, Options{Addresses: []Address{usEast, usWest}})
	conn, err := e.DialContext(t.Context(), "initech", "tcp", jira)
	if err != nil {
		t.Fatalf("the dial under way failed: %v", err)
	}
	if got := conn.(*Conn).PublicIP(); got != usWest.Public.String() {
		t.Errorf("left from %s, want the other address that it began with, %s", got, usWest.Public)
	}
}

// What a proxy did with another password says nothing about it; what an address that
// stays has done is remembered.
func TestReplacementForgetsWhatChanged(t *testing.T) {
	n := &proxyNetwork{}
	n.answer = func(string, string) string { return "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n" }
	e := newProxied(t, n, Options{Addresses: []Address{eastByProxy, westByProxy}})
	if _, err := dialInitech(e); err == nil {
		t.Fatal("the proxies let the old password in")
	}
	n.expectAsked(t, ask{proxyEast, jira}, ask{proxyWest, jira})
	n.answer = nil
	changed := eastByProxy
	proxy := *eastByProxy.Proxy
	proxy.Username, proxy.Password = secret.New("token"), secret.New("the new one")
	changed.Proxy = &proxy
	old := e.current.Load()
	put, err := e.Replace([]Address{changed, westByProxy}, nil)
	if err != nil {
		t.Fatal(err)
	}
	put()
	old.noteDown(eastByProxy, errors.New("a dial that was under way")) // says nothing either
	for _, h := range e.Health() {
		if want := h.Public == changed.Public; h.Up != want {
			t.Errorf("%s is up: %v, want %v", h.Public, h.Up, want)
		}
	}
	if _, err := dialInitech(e); err != nil {
		t.Errorf("with the new password: %v", err)
	}
	n.expectAsked(t, ask{proxyEast, jira})
}
