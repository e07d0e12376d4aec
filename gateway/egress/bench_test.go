package egress

import (
	"context"
	"net"
	"net/netip"
	"testing"
)

// BenchmarkDial is what a dial costs besides the socket: the look at the address in use,
// the check of the host's address, the order of the egress addresses and their health.
func BenchmarkDial(b *testing.B) {
	local := netip.MustParseAddr("10.0.0.5")
	sys := system{
		connect: func(_ context.Context, from netip.Addr, target netip.AddrPort, check checkFunc) (net.Conn, error) {
			return &fakeConn{source: netip.AddrPortFrom(from, 40000).String()}, check(target)
		},
		bindable:   func(netip.Addr) error { return nil },
		interfaces: func() ([]net.Addr, error) { return nil, nil },
	}
	for _, bb := range []struct{ name, target string }{{"address", jira}, {"name", "acme.atlassian.net:443"}} {
		b.Run(bb.name, func(b *testing.B) {
			e, err := newOn(sys, Options{Addresses: []Address{{Public: usEast.Public, Local: local}, {Public: usWest.Public, Local: local.Next()}}, Resolver: answers("104.192.141.1", "104.192.142.1")})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				c, err := e.DialContext(b.Context(), "acme", "tcp", bb.target)
				if err != nil {
					b.Fatal(err)
				}
				_ = c.Close()
			}
		})
	}
}
