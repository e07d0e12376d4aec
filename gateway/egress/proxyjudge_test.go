package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"jiragate/internal/netlab"
)

// A private network is open to the one connection that it was named for, whatever
// the way out.
func TestPrivateNetworkOfOneConnection(t *testing.T) {
	allow, err := ParseAllowPrivate("acme=10.20.0.0/16")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		addresses []Address
		want      []attempt // acme's
		asked     []ask
	}{
		{"local address", []Address{usEast}, []attempt{{"10.0.0.5", "10.20.1.5:443"}}, nil},
		{"proxy", []Address{eastByProxy}, []attempt{toProxyEast}, []ask{{proxyEast, "10.20.1.5:443"}}},
		{"unpinned", nil, []attempt{{"", "10.20.1.5:443"}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := &proxyNetwork{}
			resolver := &names{known: map[string][]string{"jira.corp.example": {"10.20.1.5"}, "jira.other.example": {"10.21.1.5"}, "jira.mixed.example": {"10.21.1.5", "10.20.1.5", "169.254.169.254"}}}
			e := newProxied(t, n, Options{Addresses: test.addresses, AllowPrivate: allow, Resolver: resolver})
			for _, target := range []string{"jira.corp.example:443", "10.20.1.5:443", "[::ffff:10.20.1.5]:443", "jira.mixed.example:443"} {
				conn, err := e.DialContext(t.Context(), "acme", "tcp", target)
				if err != nil {
					t.Fatal(err)
				}
				if got := conn.RemoteAddr().String(); got != "10.20.1.5:443" {
					t.Errorf("reached %s", got)
				}
				n.expect(t, test.want...)
				n.expectAsked(t, test.asked...)
			}
			for _, target := range []string{"jira.corp.example:443", "10.20.1.5:443", "[::ffff:10.20.1.5]:443", "jira.mixed.example:443"} {
				for _, connection := range []string{"globex", "", "ACME", "acme2", "acme="} {
					if conn, err := e.DialContext(t.Context(), connection, "tcp", target); !errors.Is(err, ErrForbiddenAddress) || errors.Is(err, ErrUnavailable) {
						t.Errorf("%q to %s: %v, %v; want %v", connection, target, conn, err, ErrForbiddenAddress)
					}
				}
			}
			for _, target := range []string{"jira.other.example:443", "10.21.1.5:443"} {
				if _, err := e.DialContext(t.Context(), "acme", "tcp", target); !errors.Is(err, ErrForbiddenAddress) {
					t.Errorf("acme to %s: %v", target, err)
				}
			}
			for _, a := range test.addresses {
				if _, err := e.DialFrom(t.Context(), a.Public, "tcp", "jira.corp.example:443"); !errors.Is(err, ErrForbiddenAddress) {
					t.Errorf("for no connection: %v", err)
				}
			}
			n.expect(t)
			n.expectAsked(t)
		})
	}
}

// The same on sockets, where the kernel's hook judges once more.
func TestPrivateNetworkOfOneConnectionOnSockets(t *testing.T) {
	expectNoLeaks(t)
	jira := echo(t, loopbackListener(t))
	p := provide(t, ProxySOCKS5, "52.54.159.237", "", loopbackListener(t), known, netlab.ProxyOptions{})
	for _, addresses := range [][]Address{nil, {p.address}} {
		e := newReal(t, Options{
			Addresses:    addresses,
			AllowPrivate: []PrivateNetwork{{Connection: "acme", Prefix: netip.MustParsePrefix("127.0.0.0/8")}},
			Resolver:     answers("127.0.0.1"),
		})
		target := fmt.Sprintf("jira.acme.example:%d", jira.at.Port())
		conn, err := e.DialContext(t.Context(), "acme", "tcp", target)
		if err != nil {
			t.Fatal(err)
		}
		expectEcho(t, conn)
		if _, err := e.DialContext(t.Context(), "globex", "tcp", target); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("globex: %v", err)
		}
	}
	if jira.count() != 2 || len(p.Requests()) != 1 {
		t.Errorf("the upstream got %d connections, the proxy %d requests", jira.count(), len(p.Requests()))
	}
}

// rebinding is a resolver that answers a name once with the first addresses, and
// ever after with the second.
type rebinding struct {
	first, then []string
	asked       int
}

func (r *rebinding) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	r.asked++
	if r.asked == 1 {
		return answers(r.first...).LookupNetIP(ctx, network, host)
	}
	return answers(r.then...).LookupNetIP(ctx, network, host)
}

// A name that turns to an internal address while it is dialled gets no further by
// a proxy: that is asked for the address that was judged, and resolves nothing.
func TestRebindingByProxy(t *testing.T) {
	for _, turns := range []string{"169.254.169.254", "127.0.0.1", "10.0.0.1", "::ffff:169.254.169.254", "100.100.100.200"} {
		n := &proxyNetwork{answer: func(string, string) string { return refusedWay }}
		r := &rebinding{first: []string{"104.192.141.1", turns, "104.192.141.2"}, then: []string{turns}}
		log := &quiet{}
		e := newProxied(t, n, Options{Addresses: proxies(), Resolver: r, Logger: log.logger()})
		// Two addresses by two proxies, and still one lookup.
		if _, err := e.DialContext(t.Context(), "initech", "tcp", "jira.evil.example:443"); err == nil || kindOf(t, err) != ofUpstream {
			t.Errorf("error %v", err)
		}
		n.expectAsked(t, ask{proxyEast, "104.192.141.1:443"}, ask{proxyWest, "104.192.141.2:443"})
		if r.asked != 1 {
			t.Errorf("%d lookups for one dial", r.asked)
		}
		n.made()
		if _, err := e.DialContext(t.Context(), "initech", "tcp", "jira.evil.example:443"); !errors.Is(err, ErrForbiddenAddress) || errors.Is(err, ErrUnavailable) {
			t.Errorf("error %v, want %v", err, ErrForbiddenAddress)
		}
		n.expect(t)
		if !strings.Contains(log.String(), "upstream address refused") {
			t.Errorf("log %s", log)
		}
		for _, h := range e.Health() {
			if !h.Up {
				t.Errorf("%s is down for what a customer's name says", h.Public)
			}
		}
	}
}

// Between the judgement of the answer and the request to the proxy, the target
// becomes the gateway itself.
func TestTargetIsJudgedOnceMoreBeforeTheProxyIsAsked(t *testing.T) {
	n, calls := &proxyNetwork{}, 0
	e := newProxied(t, n, Options{Addresses: []Address{eastByProxy}, Own: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:443")}, Resolver: answers("104.192.141.1")})
	e.current.Load().judge.interfaces = func() ([]net.Addr, error) {
		calls++
		if calls == 1 {
			return nil, nil
		}
		return []net.Addr{&net.IPNet{IP: net.ParseIP("104.192.141.1"), Mask: net.CIDRMask(24, 32)}}, nil
	}
	_, err := e.DialContext(t.Context(), "acme", "tcp", "jira.acme.example:443")
	if refused, ok := errors.AsType[*AddressError](err); !ok || refused.Class != ClassOwnListener || errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want %s", err, ClassOwnListener)
	}
	n.expect(t)
	n.expectAsked(t)
}

// The proxy's own name rebinds: what it turns to is not connected to.
func TestNameOfAProxyRebinds(t *testing.T) {
	n := &proxyNetwork{}
	address := eastByProxy
	address.Proxy = &Proxy{Scheme: ProxyHTTP, Host: "proxy.provider.example", Port: 3128}
	r := &rebinding{first: []string{"10.9.0.1"}, then: []string{"169.254.169.254"}}
	e := newProxied(t, n, Options{Addresses: []Address{address}, Resolver: r})
	if _, err := e.DialContext(t.Context(), "acme", "tcp", jira); err != nil {
		t.Fatal(err)
	}
	n.expect(t, toProxyEast)
	_, err := e.DialContext(t.Context(), "acme", "tcp", jira)
	if kindOf(t, err) != ofProxy {
		t.Errorf("error %v", err)
	}
	n.expect(t)
}

// Whatever stands where a host name does, a proxy is asked for nothing but
// addresses.
func TestProxyIsNeverAskedForAName(t *testing.T) {
	n := &proxyNetwork{}
	e := newProxied(t, n, Options{Addresses: proxies(), Resolver: answers("104.192.141.1")})
	for _, host := range []string{
		"jira.acme.example", "jira.acme.example.", "JIRA.acme.example", "104.192.141.1", "[::ffff:104.192.141.1]", "localhost",
		"127.1", "0x7f.1", "2130706433", "0177.0.0.1", "104.192.141.1.", "[fe80::1%25eth0]", "[::1]", "evil.example\r\nX: y", "evil.example@127.0.0.1", "user:pw@evil.example", "evil.example/", "*", "",
	} {
		_, _ = e.DialContext(t.Context(), "initech", "tcp", host+":443")
	}
	n.asking.Lock()
	defer n.asking.Unlock()
	if len(n.asked) == 0 {
		t.Error("nothing was asked")
	}
	for _, a := range n.asked {
		if a.target != "104.192.141.1:443" {
			t.Errorf("the proxy was asked for %q", a.target)
		}
	}
}
