package egress

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// using is an Options.InUse that the test changes.
type using map[netip.Addr]bool

func (u using) in(public netip.Addr) bool { return u[public] }

// An address that customers may not know yet is not the last resort of anybody.
func TestAddressNotInUseIsNeverDialled(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ECONNREFUSED, syscall.ETIMEDOUT, syscall.EADDRNOTAVAIL, syscall.EHOSTUNREACH} {
		for _, call := range []string{"bind", "connect"} {
			n := &proxyNetwork{}
			n.onConnect = func(context.Context, attempt) error { return failing(call, errno) }
			e := newProxied(t, n, Options{Addresses: []Address{usEast, usWest, viaProxy("3.33.186.135", proxyEast)}, InUse: using{usWest.Public: true}.in})
			for range 2 {
				for _, connection := range []string{"initech", "acme"} {
					if _, err := e.DialContext(t.Context(), connection, "tcp", jira); !errors.Is(err, errno) {
						t.Errorf("error %v, want %v", err, errno)
					}
					n.expect(t, fromWest)
				}
				_ = e.Ready(t.Context())
			}
		}
	}
}

func TestNoAddressInUse(t *testing.T) {
	n := &proxyNetwork{}
	asked := false
	n.onBindable = func(netip.Addr) error { asked = true; return nil }
	used := using{}
	e := newProxied(t, n, Options{Addresses: []Address{usEast, westByProxy}, InUse: used.in})
	asked = false // New has to
	if _, err := dialInitech(e); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v", err)
	}
	if err := e.Ready(t.Context()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "in use") || asked {
		t.Errorf("ready: %v; an address was tried: %v", err, asked)
	}
	for _, h := range e.Health() {
		if h.InUse || !h.Up {
			t.Errorf("health %+v", h)
		}
	}
	n.expect(t)

	// From one moment to the next.
	used[usEast.Public] = true
	if _, err := dialInitech(e); err != nil {
		t.Error(err)
	}
	if h := e.Health(); !h[0].InUse || h[1].InUse {
		t.Errorf("health %+v", h)
	}
	if err := e.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
	delete(used, usEast.Public)
	if _, err := dialInitech(e); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	n.expect(t, fromEast)
}

// An address that comes into use takes over the connections that rank it first,
// and no other; one that goes out of use gives back its own.
func TestComingIntoUseMovesNobodyElse(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		addresses := genAddresses(rt)
		used := using{}
		for _, a := range addresses {
			used[a.Public] = rapid.Bool().Draw(rt, a.String())
		}
		comes := rapid.SampledFrom(addresses).Draw(rt, "comes")
		n := &fakeNetwork{}
		e := newFake(t, n, Options{Addresses: addresses, InUse: used.in})
		leaves := func(connection string) string {
			conn, err := e.DialContext(t.Context(), connection, "tcp", jira)
			if errors.Is(err, ErrUnavailable) {
				return ""
			}
			if err != nil {
				rt.Fatal(err)
			}
			return conn.(*Conn).PublicIP()
		}
		for i := range 10 {
			connection := fmt.Sprint(rapid.StringMatching("[a-z]{1,8}").Draw(rt, "connection"), i)
			used[comes.Public] = false
			before := leaves(connection)
			used[comes.Public] = true
			after := leaves(connection)
			first := slices.IndexFunc(rank(connection, addresses), func(a Address) bool { return used[a.Public] })
			switch want := rank(connection, addresses)[first]; {
			case after != want.Public.String():
				rt.Fatalf("%s leaves by %s, and %s ranks first", connection, after, want)
			case after != before && after != comes.Public.String():
				rt.Fatalf("%s moved from %s to %s, because of %s", connection, before, after, comes)
			}
		}
	})
}

// DialFrom takes the one address, whatever its state and that of the others.
func TestDialFrom(t *testing.T) {
	n := &proxyNetwork{}
	var fail error
	n.onConnect = func(context.Context, attempt) error { return fail }
	e := newProxied(t, n, Options{Addresses: []Address{usEast, usWest, viaProxy("3.33.186.135", proxyEast)}, InUse: using{}.in, Resolver: answers("104.192.141.1", "104.192.141.2")})
	for public, want := range map[string]attempt{"52.54.159.237": fromEast, "52.73.143.252": fromWest, "3.33.186.135": toProxyEast} {
		conn, err := e.DialFrom(t.Context(), netip.MustParseAddr(public), "tcp", jira)
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.(*Conn).PublicIP(); got != public {
			t.Errorf("left by %s, want %s", got, public)
		}
		n.expect(t, want)
	}
	n.expectAsked(t, ask{proxyEast, jira})

	for _, public := range []netip.Addr{netip.MustParseAddr("52.54.159.238"), netip.MustParseAddr("::ffff:52.54.159.237"), usEast.Local, {}} {
		if _, err := e.DialFrom(t.Context(), public, "tcp", jira); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "not a configured") {
			t.Errorf("from %s: %v", public, err)
		}
	}
	unpinned := newFake(t, &n.fakeNetwork, Options{})
	for _, public := range []netip.Addr{usEast.Public, {}} {
		if _, err := unpinned.DialFrom(t.Context(), public, "tcp", jira); !errors.Is(err, ErrUnavailable) {
			t.Errorf("unpinned, from %s: %v", public, err)
		}
	}
	for _, target := range []string{"169.254.169.254:80", "10.0.0.1:443", "127.0.0.1:443", "[2401:1d80:3000::1]:443"} {
		if _, err := e.DialFrom(t.Context(), usEast.Public, "tcp", target); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("to %s: %v", target, err)
		}
	}
	n.expect(t)

	// No other address steps in, though two could.
	fail = failing("bind", syscall.EADDRNOTAVAIL)
	if _, err := e.DialFrom(t.Context(), usEast.Public, "tcp", jira); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	n.expect(t, fromEast)
	fail = failing("connect", syscall.ECONNREFUSED)
	if _, err := e.DialFrom(t.Context(), usWest.Public, "tcp", "jira.acme.example:443"); !errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	n.expect(t, fromWest, attempt{"10.0.0.6", "104.192.141.2:443"})
}

// Where the only addresses of a host's family are out of use or out of order, the
// fault is on this side.
func TestNoUsableAddressOfTheFamily(t *testing.T) {
	v6 := address("2600:1f18::5", "fd00::5")
	used := using{v6.Public: true}
	n, c := &proxyNetwork{}, newClock()
	e := newProxied(t, n, Options{Addresses: []Address{eastByProxy, v6}, InUse: used.in, Now: c.Now})
	expectUnavailable := func(when string) {
		t.Helper()
		if _, err := dialInitech(e); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrResolve) {
			t.Errorf("%s: %v, want %v", when, err, ErrUnavailable)
		}
	}
	expectUnavailable("not in use")
	used[eastByProxy.Public] = true
	n.onConnect = func(context.Context, attempt) error { return failing("connect", syscall.ECONNREFUSED) }
	expectUnavailable("failing")
	n.expect(t, toProxyEast)
	expectUnavailable("in its cool-down")
	n.expect(t)
	if _, err := e.DialContext(t.Context(), "initech", "tcp6", jira); !errors.Is(err, ErrResolve) || errors.Is(err, ErrUnavailable) {
		t.Errorf("IPv6 to an IPv4 address: %v, want %v", err, ErrResolve)
	}
}
