package netlab

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

func TestHostsSeeEachOther(t *testing.T) {
	l := New(t)
	gateway := l.Host("gateway", "10.0.0.5/24", "10.0.0.6/24", "52.54.159.237/32", "2600:1f18::5/64", "2600:1f18::6/64")
	jira := l.Host("jira", "10.0.0.9/24", "104.192.141.1/32", "2401:1d80::1/128")
	echoSource(t, listen(t, jira, ":443"))
	tests := []struct {
		name, from, to, want string
	}{
		{"the kernel's choice is the first address", "", "10.0.0.9:443", "10.0.0.5"},
		{"bound to the second", "10.0.0.6", "10.0.0.9:443", "10.0.0.6"},
		{"public addresses without a network in common", "52.54.159.237", "104.192.141.1:443", "52.54.159.237"},
		{"from a private address to a public one", "10.0.0.6", "104.192.141.1:443", "10.0.0.6"},
		{"IPv6", "2600:1f18::6", "[2401:1d80::1]:443", "2600:1f18::6"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dial := gateway.DialContext
			if test.from != "" {
				dial = gateway.DialFrom(netip.MustParseAddr(test.from))
			}
			if got, err := ask(t, dial, test.to); err != nil || got != test.want {
				t.Errorf("came from %q, %v; want %s", got, err, test.want)
			}
		})
	}
}

func TestRemovedAddress(t *testing.T) {
	l := New(t)
	gateway := l.Host("gateway", "10.0.0.5/24", "10.0.0.6/24", "10.0.0.7/24", "2600:1f18::5/64")
	jira := l.Host("jira", "10.0.0.9/24", "2600:1f18::9/64")
	echoSource(t, listen(t, jira, ":443"))
	open, err := gateway.DialFrom(netip.MustParseAddr("10.0.0.5"))(t.Context(), "tcp", "10.0.0.9:443")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	_, _ = io.ReadAll(open)

	if err := gateway.RemoveAddress("10.0.0.5/24"); err != nil {
		t.Fatal(err)
	}
	capture := gateway.Capture()
	_, _ = io.WriteString(open, "after the removal")
	if _, err := ask(t, gateway.DialFrom(netip.MustParseAddr("10.0.0.5")), "10.0.0.9:443"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("bound to a removed address: %v, want %v", err, syscall.EADDRNOTAVAIL)
	}
	if got, err := ask(t, gateway.DialContext, "10.0.0.9:443"); err != nil || got != "10.0.0.6" {
		t.Errorf("the kernel chose %q, %v; the first that is left is 10.0.0.6", got, err)
	}
	if got, err := ask(t, gateway.DialFrom(netip.MustParseAddr("2600:1f18::5")), "[2600:1f18::9]:443"); err != nil || got != "2600:1f18::5" {
		t.Errorf("IPv6 suffered: %q, %v", got, err)
	}
	if n := Sources(capture.Stop())[netip.MustParseAddr("10.0.0.5")]; n != 0 {
		t.Errorf("%d packets left from the removed address", n)
	}

	// The last of its family takes the routes with it; a new one brings them back.
	for _, cidr := range []string{"10.0.0.6/24", "10.0.0.7/24"} {
		if err := gateway.RemoveAddress(cidr); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ask(t, gateway.DialContext, "10.0.0.9:443"); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("without an address: %v, want %v", err, syscall.ENETUNREACH)
	}
	if err := gateway.AddAddress("52.54.159.237/32"); err != nil {
		t.Fatal(err)
	}
	if got, err := ask(t, gateway.DialContext, "10.0.0.9:443"); err != nil || got != "52.54.159.237" {
		t.Errorf("came from %q, %v", got, err)
	}
}

func TestAddressesAreChecked(t *testing.T) {
	l := New(t)
	gateway := l.Host("gateway", "10.0.0.5/24")
	jira := l.Host("jira", "10.0.0.9/24")
	tests := []struct {
		name string
		act  func() error
		want string
	}{
		{"no prefix length", func() error { return gateway.AddAddress("10.0.0.6") }, "ADDRESS/BITS"},
		{"IPv4 in IPv6", func() error { return gateway.AddAddress("::ffff:10.0.0.6/120") }, "ADDRESS/BITS"},
		{"another line of the batch", func() error { return gateway.AddAddress("10.0.0.6/24 dev lo\n") }, "ADDRESS/BITS"},
		{"of another host", func() error { return gateway.AddAddress("10.0.0.9/32") }, "on host jira already"},
		{"twice", func() error { return gateway.AddAddress("10.0.0.5/24") }, "on host gateway already"},
		{"remove another host's", func() error { return jira.RemoveAddress("10.0.0.5/24") }, "no address 10.0.0.5/24"},
		{"remove with another length", func() error { return gateway.RemoveAddress("10.0.0.5/16") }, "remove address 10.0.0.5/16"},
		{"dial a name", func() error { _, err := gateway.DialContext(t.Context(), "tcp", "jira.acme.com:443"); return err }, "not an IP address with a port"},
		{"listen on a name", func() error { _, err := gateway.Listen("tcp", "localhost:443"); return err }, "not an IP address with a port"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := test.act(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
	// What failed changed nothing.
	if err := gateway.RemoveAddress("10.0.0.5/24"); err != nil {
		t.Error(err)
	}
	if err := jira.AddAddress("10.0.0.5/24"); err != nil {
		t.Errorf("an address cannot move: %v", err)
	}
}
