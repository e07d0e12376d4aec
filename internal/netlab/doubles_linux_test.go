package netlab

import (
	"context"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/proxy"
)

// A provider's proxies in a host of their own: the target sees the address that
// the proxy dials from, and the client talks to nobody but the proxy.
func TestProxiesInALab(t *testing.T) {
	l := New(t)
	gateway := l.Host("gateway", "10.0.0.5/24")
	provider := l.Host("provider", "198.51.100.1/32", "52.54.159.237/32")
	jira := l.Host("jira", "104.192.141.1/32")
	echoSource(t, listen(t, jira, "104.192.141.1:443"))
	options := ProxyOptions{Dial: provider.DialFrom(netip.MustParseAddr("52.54.159.237"))}
	http := ServeConnect(listen(t, provider, "198.51.100.1:3128"), options)
	stop(t, http)
	socks := ServeSOCKS5(listen(t, provider, "198.51.100.1:1080"), options)
	stop(t, socks)

	capture, arrived := gateway.Capture(), jira.Capture()
	conn, err := gateway.DialContext(t.Context(), "tcp", http.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := talk(t, conn, connect("104.192.141.1:443")); err != nil || !strings.HasSuffix(answer, "\r\n\r\n52.54.159.237") {
		t.Errorf("answer %q, %v", answer, err)
	}
	dialer, err := proxy.SOCKS5("tcp", socks.Addr(), nil, forward(gateway.DialContext))
	if err != nil {
		t.Fatal(err)
	}
	if conn, err = dialer.Dial("tcp", "104.192.141.1:443"); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if b, err := io.ReadAll(conn); err != nil || string(b) != "52.54.159.237" {
		t.Errorf("came from %q, %v", b, err)
	}
	conn.Close()

	spoken := map[netip.AddrPort]bool{}
	for _, p := range capture.Stop() {
		if p.Outgoing && p.Protocol == TCP {
			spoken[p.Dst] = true
		}
	}
	want := map[netip.AddrPort]bool{netip.MustParseAddrPort(http.Addr()): true, netip.MustParseAddrPort(socks.Addr()): true}
	if !maps.Equal(spoken, want) {
		t.Errorf("the client spoke to %v, want %v", spoken, want)
	}
	for _, p := range arrived.Stop() {
		if !p.Outgoing && p.Protocol == TCP && p.Src.Addr() != netip.MustParseAddr("52.54.159.237") {
			t.Errorf("arrived at the target: %s", p)
		}
	}
	for _, r := range slices.Concat(http.Requests(), socks.Requests()) {
		if r.Client.Addr() != netip.MustParseAddr("10.0.0.5") || r.Source.Addr() != netip.MustParseAddr("52.54.159.237") || r.Target != "104.192.141.1:443" {
			t.Errorf("request %+v", r)
		}
	}
}

type forward DialFunc

func (f forward) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return f(ctx, network, address)
}

func TestResolverInALab(t *testing.T) {
	l := New(t)
	gateway := l.Host("gateway", "10.0.0.5/24", "2600:1f18::5/64")
	socket, err := l.Host("dns", "10.0.0.53/24").ListenPacket("udp", "10.0.0.53:53")
	if err != nil {
		t.Fatal(err)
	}
	d := ServeDNS(socket, InTurn(Addresses("104.192.141.1", "2401:1d80::1")))
	defer d.Close()
	capture := gateway.Capture()
	addrs, err := d.Resolver(gateway.DialContext).LookupNetIP(t.Context(), "ip", "jira.acme.example.")
	if err != nil || len(addrs) != 2 {
		t.Errorf("addresses %v, %v", addrs, err)
	}
	want := map[netip.Addr]int{netip.MustParseAddr("10.0.0.5"): 2} // a datagram for each family
	if got := Sources(capture.Stop()); !maps.Equal(got, want) {
		t.Errorf("asked from %v, want %v", got, want)
	}
}
