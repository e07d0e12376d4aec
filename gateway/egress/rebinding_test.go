package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

// A hostile resolver says "public" when asked first and "loopback" when asked
// again. The name is asked for once, and the judged address is the dialled one.
func TestRebindingResolver(t *testing.T) {
	lookups := 0
	n := &fakeNetwork{}
	e := newFake(t, n, Options{Addresses: usAddresses(), Resolver: resolverFunc(func(context.Context, string, string) ([]netip.Addr, error) {
		lookups++
		if lookups > 1 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("104.192.141.1")}, nil
	})})
	if _, err := e.DialContext(t.Context(), "initech", "tcp", "jira.acme.com:443"); err != nil {
		t.Fatal(err)
	}
	n.expect(t, fromEast)
	if lookups != 1 {
		t.Errorf("%d lookups for one dial", lookups)
	}
	if _, err := e.DialContext(t.Context(), "initech", "tcp", "jira.acme.com:443"); !errors.Is(err, ErrForbiddenAddress) {
		t.Errorf("error %v, want %v", err, ErrForbiddenAddress)
	}
	n.expect(t)
}

// As if the check before the dial had been fooled, the socket is asked for with
// a forbidden address. A real listener waits there and must not be reached.
func TestControlHookJudgesAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan struct{})
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.Close()
			close(accepted)
		}
	}()
	for _, pinned := range []bool{false, true} {
		local := netip.Addr{}
		if pinned {
			local = netip.MustParseAddr("127.0.0.1")
		}
		e := newFake(t, &fakeNetwork{}, Options{})
		target := netip.MustParseAddrPort(l.Addr().String())
		conn, err := connectTCP(t.Context(), local, target, func(actual netip.AddrPort) error {
			if actual != target {
				t.Errorf("judged %s, connecting to %s", actual, target)
			}
			return e.current.Load().check(errand{"acme", "jira.acme.com"}, actual)
		})
		var refused *AddressError
		if !errors.As(err, &refused) || refused.Class != ClassLoopback {
			t.Errorf("pinned %v: %v, %v, want a refused loopback address", pinned, conn, err)
		}
	}
	select {
	case <-accepted:
		t.Error("the listener was reached")
	default:
	}
}

// Between the two judgements of a dial the interface gets the address that is
// dialled, which makes it the gateway's own listener.
func TestControlHookStopsTheDial(t *testing.T) {
	calls := 0
	sys := (&fakeNetwork{}).system()
	sys.interfaces = func() ([]net.Addr, error) {
		calls++
		if calls == 1 {
			return nil, nil
		}
		return []net.Addr{&net.IPNet{IP: net.ParseIP("104.192.141.1"), Mask: net.CIDRMask(24, 32)}}, nil
	}
	sys.connect = connectTCP
	e, err := newOn(sys, Options{Own: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:443")}, Resolver: answers("104.192.141.1")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.DialContext(t.Context(), "acme", "tcp", "jira.acme.com:443")
	var refused *AddressError
	if !errors.As(err, &refused) || refused.Class != ClassOwnListener || calls != 2 {
		t.Errorf("error %v after %d judgements, want %s after 2", err, calls, ClassOwnListener)
	}
}

// noSocket fails the test if the hook comes so far as to touch the socket.
type noSocket struct{ t *testing.T }

func (s noSocket) Control(func(uintptr)) error    { s.t.Error("socket was prepared"); return nil }
func (s noSocket) Read(func(uintptr) bool) error  { return errors.ErrUnsupported }
func (s noSocket) Write(func(uintptr) bool) error { return errors.ErrUnsupported }

var _ syscall.RawConn = noSocket{}

func TestControlHookFailsClosed(t *testing.T) {
	tests := []struct {
		name    string
		address string
		class   Class
	}{
		{"not an address", "jira.acme.com:443", ClassMalformed},
		{"empty", "", ClassMalformed},
		{"no port", "104.192.141.1", ClassMalformed},
		{"service name", "104.192.141.1:https", ClassMalformed},
		{"private", "10.0.0.1:443", ClassPrivate},
		{"IPv4-mapped loopback", "[::ffff:127.0.0.1]:443", ClassLoopback},
		{"zone", "[fe80::1%eth0]:443", ClassZoned},
		{"another family", "[2401:1d80:3000::1]:443", ClassOtherFamily},
	}
	e := newFake(t, &fakeNetwork{}, Options{Addresses: usAddresses()})
	hook := control(usEast.Local, func(actual netip.AddrPort) error {
		return e.current.Load().check(errand{"acme", "jira.acme.com"}, actual)
	})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := hook(t.Context(), "tcp4", test.address, noSocket{t})
			var refused *AddressError
			if !errors.As(err, &refused) || refused.Class != test.class {
				t.Errorf("error %v, want class %s", err, test.class)
			}
		})
	}
}

// Where addresses of both families are published, each is for its own only.
func TestControlHookKeepsTheFamilyOfTheEgressAddress(t *testing.T) {
	hook := control(usEast.Local, func(netip.AddrPort) error { return nil })
	var refused *AddressError
	if err := hook(t.Context(), "tcp6", "[2401:1d80:3000::1]:443", noSocket{t}); !errors.As(err, &refused) || refused.Class != ClassOtherFamily {
		t.Errorf("error %v, want class %s", err, ClassOtherFamily)
	}
}

func TestNewRefusesOptionsThatCannotHold(t *testing.T) {
	tests := []struct {
		name    string
		options Options
		message string
	}{
		{"own listener without port", Options{Own: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}}, "own listener 127.0.0.1:0"},
		{"own listener missing", Options{Own: []netip.AddrPort{{}}}, "own listener"},
		{"everything allowed", Options{AllowPrivate: open("0.0.0.0/0")}, "wider than"},
		{"link-local allowed", Options{AllowPrivate: open("169.254.0.0/16")}, "could never take effect"},
		{"no network", Options{AllowPrivate: []PrivateNetwork{{}}}, "not a CIDR"},
		{"empty address", Options{Addresses: []Address{{}}}, "same family"},
		{"two families", Options{Addresses: []Address{address("52.54.159.237", "fd00::5")}}, "same family"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := newOn((&fakeNetwork{}).system(), test.options); err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("error %v, want one with %q", err, test.message)
			}
		})
	}
}
