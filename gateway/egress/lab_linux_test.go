package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"jiragate/internal/netlab"
)

func TestPacketsLeaveFromThePinnedAddressesOnly(t *testing.T) {
	l := newLab(t)
	conn, err := l.gateway.DialContext(t.Context(), "tcp", labJira.String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if !soon(func() bool { return len(l.came.all()) == 1 }) || l.came.all()[0] != labDefault {
		t.Fatalf("without binding, the kernel sends from %v; the lab proves nothing", l.came.all())
	}
	e := l.egress(t, Options{Addresses: labAddresses()})
	capture := l.gateway.Capture()
	for range 3 {
		for connection, want := range map[string]netip.Addr{"initech": labEast, "demo-dc": labEast, "acme": labWest, "umbrella": labWest} {
			if seen, err := call(t, e, connection, labJira.String()); err != nil || seen != want.String() {
				t.Errorf("%s came from %s, %v; want %s", connection, seen, err, want)
			}
		}
	}
	if err := e.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	var packets []netlab.Packet
	for _, p := range capture.Stop() {
		// The last of the connection above may be on its way still.
		if p.Src != netip.MustParseAddrPort(conn.LocalAddr().String()) {
			packets = append(packets, p)
		}
	}
	expectSources(t, packets, labEast, labWest)
	if got := len(l.came.all()); got != 1+12 {
		t.Errorf("Jira got %d connections, want 13", got)
	}
}

// An address leaves the machine while calls run. They go on from the other one,
// and when that is gone too, from none.
func TestAddressLeavesWhileCallsRun(t *testing.T) {
	l := newLab(t)
	log := &quiet{}
	e := l.egress(t, Options{Addresses: labAddresses(), Logger: log.logger()})
	capture := l.gateway.Capture()
	var leaves, left atomic.Bool // begins, is over
	var running sync.WaitGroup
	for _, connection := range []string{"initech", "acme"} {
		running.Go(func() {
			for after := 0; after < 5; {
				wasLeft := left.Load()
				if wasLeft {
					after++
				}
				ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
				conn, err := e.DialContext(ctx, connection, "tcp", labJira.String())
				cancel()
				if err != nil {
					t.Errorf("%s: %v", connection, err)
					continue
				}
				public := conn.(*Conn).PublicIP()
				if wasLeft && public != labWest.String() {
					t.Errorf("%s left by %s, which is gone", connection, public)
				}
				_ = conn.SetReadDeadline(time.Now().Add(time.Second))
				var seen string
				_, err = fmt.Fscanln(conn, &seen)
				conn.Close()
				// A call that had got through before loses its answer.
				if seen != public && (!leaves.Load() || public != labEast.String()) {
					t.Errorf("%s left by %s, and Jira saw %q, %v", connection, public, seen, err)
				}
			}
		})
	}
	if !soon(func() bool { return len(l.came.all()) > 10 }) {
		t.Error("no calls")
	}
	leaves.Store(true)
	if err := l.gateway.RemoveAddress(whole(labEast)); err != nil {
		t.Fatal(err)
	}
	left.Store(true)
	running.Wait()
	expectSources(t, capture.Stop(), labEast, labWest)
	if err := e.Ready(t.Context()); err != nil || !strings.Contains(log.String(), "cannot be used") {
		t.Errorf("one is left: %v; log %s", err, log)
	}

	if err := l.gateway.RemoveAddress(whole(labWest)); err != nil {
		t.Fatal(err)
	}
	before := len(l.came.all())
	capture = l.gateway.Capture()
	for _, connection := range []string{"initech", "acme"} {
		if _, err := call(t, e, connection, labJira.String()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v, want %v", connection, err, ErrUnavailable)
		}
		if _, err := e.DialFrom(t.Context(), labEast, "tcp", labJira.String()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("error %v", err)
		}
	}
	if err := e.Ready(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("ready: %v", err)
	}
	if sent := to(capture.Stop(), labJira.Addr()); len(sent) != 0 || len(l.came.all()) != before {
		t.Errorf("left without an address: %v", sent)
	}

	if err := l.gateway.AddAddress(whole(labEast)); err != nil {
		t.Fatal(err)
	}
	capture = l.gateway.Capture()
	for _, connection := range []string{"initech", "acme"} {
		if seen, err := call(t, e, connection, labJira.String()); err != nil || seen != labEast.String() {
			t.Errorf("back again, %s came from %s, %v", connection, seen, err)
		}
	}
	expectSources(t, capture.Stop(), labEast)
}

// The gateway's host and Jira both have IPv6, and IPv4 alone is published.
func TestNoIPv6LeavesWhereOnlyIPv4IsPublished(t *testing.T) {
	l := newLab(t)
	jira6 := netip.MustParseAddrPort("[2401:1d80:3000::1]:443")
	conn, err := l.gateway.DialContext(t.Context(), "tcp", jira6.String())
	if err != nil {
		t.Fatalf("IPv6 does not work; the lab proves nothing: %v", err)
	}
	conn.Close()
	resolver, dns := l.resolver(t, "198.51.100.53", func(q netlab.DNSQuestion) netlab.DNSAnswer {
		if strings.HasPrefix(q.Name, "only6.") {
			return netlab.Addresses(jira6.Addr().String())
		}
		return netlab.Addresses(jira6.Addr().String(), labJira.Addr().String())
	})
	e := l.egress(t, Options{Addresses: labAddresses(), Resolver: resolver})
	capture := l.gateway.Capture()
	for _, connection := range []string{"initech", "acme"} {
		if _, err := call(t, e, connection, "jira.acme.example:443"); err != nil {
			t.Error(err)
		}
		if _, err := call(t, e, connection, "only6.acme.example:443"); !errors.Is(err, ErrResolve) {
			t.Errorf("a host with IPv6 alone: %v, want %v", err, ErrResolve)
		}
		if _, err := call(t, e, connection, jira6.String()); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("an IPv6 literal: %v, want %v", err, ErrForbiddenAddress)
		}
	}
	for _, p := range capture.Stop() {
		if p.Outgoing && p.Src.Addr().Is6() && p.Protocol != netlab.ICMPv6 && p.Src != netip.MustParseAddrPort(conn.LocalAddr().String()) {
			t.Errorf("IPv6 left: %s", p)
		}
	}
	for _, q := range dns.Questions() {
		if q.Type != dnsmessage.TypeA {
			t.Errorf("asked for %s of %s", q.Type, q.Name)
		}
	}
}

// The way out is a provider's proxy behind TLS, found by its name. Jira and the
// gateway never exchange a packet.
func TestWayOutByAProvider(t *testing.T) {
	const name = "proxy.provider.example"
	l := newLab(t)
	provider := l.Host("provider", "52.0.0.50/32", "3.33.186.135/32")
	resolver, dns := l.resolver(t, "198.51.100.53", netlab.InTurn(netlab.Addresses("52.0.0.50")))
	certificate, root := netlab.NewCertificate(t, name)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	listener, err := provider.Listen("tcp", "52.0.0.50:8443")
	if err != nil {
		t.Fatal(err)
	}
	proxy := netlab.ServeConnect(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}}), netlab.ProxyOptions{
		Username: "token", Password: "p@ss,word",
		Dial: provider.DialFrom(netip.MustParseAddr("3.33.186.135")),
	})
	t.Cleanup(func() { proxy.Close() })
	egress := func(password string) *Egress {
		addresses, err := ParseAddresses("3.33.186.135=https://token:" + password + "@" + name + ":8443")
		if err != nil {
			t.Fatal(err)
		}
		return l.egress(t, Options{Addresses: addresses, ProxyRoots: roots, Resolver: resolver})
	}
	atGateway, atJira := l.gateway.Capture(), l.jira.Capture()

	if _, err := call(t, egress("wrong"), "acme", labJira.String()); err == nil || kindOf(t, err) != ofProxy {
		t.Errorf("the wrong password: %v", err)
	}
	if arrived := to(atJira.Stop(), labJira.Addr()); len(arrived) != 0 || len(l.came.all()) != 0 {
		t.Errorf("with the wrong password Jira got %v", arrived)
	}

	atJira = l.jira.Capture()
	for _, connection := range []string{"initech", "acme"} {
		if seen, err := call(t, egress("p%40ss%2Cword"), connection, labJira.String()); err != nil || seen != "3.33.186.135" {
			t.Errorf("%s came from %s, %v", connection, seen, err)
		}
	}
	for _, p := range to(atJira.Stop(), labJira.Addr()) {
		if p.Src.Addr() != netip.MustParseAddr("3.33.186.135") {
			t.Errorf("arrived at Jira: %s", p)
		}
	}
	allowed := map[netip.AddrPort]bool{netip.MustParseAddrPort("52.0.0.50:8443"): true, netip.MustParseAddrPort("198.51.100.53:53"): true}
	for _, p := range atGateway.Stop() {
		if p.Outgoing && p.Protocol != netlab.ICMP && p.Protocol != netlab.ICMPv6 && !allowed[p.Dst] {
			t.Errorf("left the gateway: %s", p)
		}
	}
	for _, q := range dns.Questions() {
		if q.Name != name {
			t.Errorf("asked for %s", q.Name)
		}
	}
	for _, r := range proxy.Requests() {
		if r.Target != labJira.String() || r.Username != "token" {
			t.Errorf("the proxy was asked for %s by %s", r.Target, r.Username)
		}
	}
}

// The name of a Jira turns to hosts inside, between one lookup and the next. They
// listen, and get not one packet.
func TestRebindingNeverReachesTheInside(t *testing.T) {
	l := newLab(t)
	inside := []string{"10.0.0.7", "169.254.169.254", "192.168.1.1"}
	victim := l.Host("inside", "10.0.0.7/32", "169.254.169.254/32", "192.168.1.1/32")
	visited := arrive(t, victim, ":443")
	conn, err := l.gateway.DialContext(t.Context(), "tcp", "10.0.0.7:443")
	if err != nil {
		t.Fatalf("the host inside cannot be reached by anybody; the lab proves nothing: %v", err)
	}
	conn.Close()
	if !soon(func() bool { return len(visited.all()) == 1 }) {
		t.Fatal("not visited")
	}
	provider := l.Host("provider", "52.0.0.50/32")
	listener, err := provider.Listen("tcp", "52.0.0.50:1080")
	if err != nil {
		t.Fatal(err)
	}
	proxy := netlab.ServeSOCKS5(listener, netlab.ProxyOptions{Dial: provider.DialContext})
	t.Cleanup(func() { proxy.Close() })
	resolver, dns := l.resolver(t, "198.51.100.53", netlab.InTurn(
		netlab.Addresses(labJira.Addr().String()), netlab.Addresses(inside...),
		netlab.Addresses(append(inside, labJira.Addr().String())...), netlab.Addresses(inside[1]), netlab.Addresses(inside...),
	))
	arrived := victim.Capture()
	byProxy := viaProxy("3.33.186.135", "52.0.0.50:1080")
	byProxy.Proxy.Scheme = ProxySOCKS5
	for i, addresses := range [][]Address{labAddresses(), {byProxy}} {
		e := l.egress(t, Options{Addresses: addresses, Resolver: resolver})
		host := fmt.Sprintf("jira%d.evil.example:443", i)
		for _, forbidden := range []bool{false, true, false, true, true} {
			conn, err := e.DialContext(t.Context(), "initech", "tcp", host)
			if errors.Is(err, ErrForbiddenAddress) != forbidden || err != nil && !forbidden {
				t.Errorf("%s: %v, want forbidden %v", host, err, forbidden)
			}
			if err == nil {
				conn.Close()
			}
		}
	}
	earlier := netip.MustParseAddrPort(conn.LocalAddr().String())
	for _, p := range arrived.Stop() {
		if !p.Outgoing && p.Protocol != netlab.ICMPv6 && p.Src != earlier {
			t.Errorf("arrived inside: %s", p)
		}
	}
	if len(visited.all()) != 1 || len(dns.Questions()) != 10 {
		t.Errorf("%d visits inside, %d lookups", len(visited.all()), len(dns.Questions()))
	}
	for _, r := range proxy.Requests() {
		if r.Target != labJira.String() {
			t.Errorf("the proxy was asked for %s", r.Target)
		}
	}
}
