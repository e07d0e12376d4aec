package egress

import (
	"net"
	"net/netip"
	"testing"
)

// Sockets count while they are open, and attempts by what came of them.
func TestUse(t *testing.T) {
	l := loopbackListener(t)
	defer l.Close()
	closed := loopbackListener(t)
	closed.Close()
	for _, tt := range []struct {
		name      string
		addresses []Address
		want      string
	}{
		{"pinned", []Address{{Public: netip.MustParseAddr("198.51.100.7"), Local: netip.MustParseAddr("127.0.0.1")}}, "198.51.100.7"},
		{"unpinned", nil, Unpinned},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newReal(t, Options{Addresses: tt.addresses})
			check := func(open, connected, failed, forbidden int64) {
				t.Helper()
				all := e.Use()
				if len(all) != 1 || all[0].PublicIP != tt.want {
					t.Fatalf("use of %+v, want that of %s", all, tt.want)
				}
				got := all[0]
				if got.Open != open || got.Attempts[Connected] != connected || got.Attempts[UpstreamFailed] != failed || got.Attempts[Forbidden] != forbidden || got.Attempts[AddressFailed] != 0 {
					t.Errorf("use %+v, want %d open, %d connected, %d failed, %d forbidden", got, open, connected, failed, forbidden)
				}
			}
			check(0, 0, 0, 0)
			first, err := e.DialContext(t.Context(), "c", "tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			second, err := e.DialContext(t.Context(), "c", "tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			check(2, 2, 0, 0)
			first.Close()
			first.Close() // as TLS and HTTP do
			check(1, 2, 0, 0)
			if _, err := e.DialContext(t.Context(), "c", "tcp", closed.Addr().String()); err == nil {
				t.Fatal("connected to nobody")
			}
			check(1, 2, 1, 0)
			second.Close()
			check(0, 2, 1, 0)
		})
	}
}

// An address that cannot be bound is the one to blame, not the upstream.
func TestUseOfAFailingAddress(t *testing.T) {
	l := loopbackListener(t)
	defer l.Close()
	proxy := loopbackListener(t)
	at := netip.MustParseAddrPort(proxy.Addr().String())
	proxy.Close() // out of order
	parsed, err := ParseProxy("http://" + net.JoinHostPort("127.0.0.1", at.String()[len("127.0.0.1:"):]))
	if err != nil {
		t.Fatal(err)
	}
	e := newReal(t, Options{Addresses: []Address{{Public: netip.MustParseAddr("198.51.100.7"), Proxy: parsed}}})
	if _, err := e.DialContext(t.Context(), "c", "tcp", l.Addr().String()); err == nil {
		t.Fatal("connected through nothing")
	}
	if got := e.Use()[0]; got.Attempts[AddressFailed] != 1 || got.Open != 0 {
		t.Errorf("use %+v, want an attempt of which the address is to blame", got)
	}
}

// An address that stays goes on counting when others come and go, and the sockets that
// were open before are still counted.
func TestUseOfAnAddressThatStays(t *testing.T) {
	l := loopbackListener(t)
	defer l.Close()
	at := func(public string) Address {
		return Address{Public: netip.MustParseAddr(public), Local: netip.MustParseAddr("127.0.0.1")}
	}
	e := newReal(t, Options{Addresses: []Address{at("198.51.100.7")}})
	conn, err := e.DialContext(t.Context(), "c", "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	put, err := e.Replace([]Address{at("198.51.100.8"), at("198.51.100.7")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	put()
	check := func(stayed int64) {
		t.Helper()
		all := e.Use()
		if len(all) != 2 || all[0].PublicIP != "198.51.100.8" || all[0].Open != 0 || all[0].Attempts[Connected] != 0 ||
			all[1].PublicIP != "198.51.100.7" || all[1].Open != stayed || all[1].Attempts[Connected] != 1 {
			t.Errorf("use %+v, want nothing of the new address, and %d open and 1 connected of the one that stayed", all, stayed)
		}
	}
	check(1)
	conn.Close()
	check(0)
}
