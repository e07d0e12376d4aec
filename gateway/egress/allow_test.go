package egress

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestParseAllowPrivate(t *testing.T) {
	for _, s := range []string{
		"",
		"10.0.0.0/8",
		"10.1.2.3/32",
		"172.16.0.0/12,192.168.0.0/16",
		"100.64.0.0/10", // the metadata service inside stays shut
		"fd00::/8",
		"127.0.0.0/8",
		"127.0.0.1/32,::1/128",
		"acme=10.20.0.0/16",
		"acme=10.20.0.0/16,globex.eu_1=10.20.0.0/16,192.168.7.0/24",
	} {
		got, err := ParseAllowPrivate(s)
		if err != nil {
			t.Errorf("ParseAllowPrivate(%q): %v", s, err)
			continue
		}
		var parts []string
		for _, p := range got {
			parts = append(parts, p.String())
		}
		if back := strings.Join(parts, ","); back != s {
			t.Errorf("ParseAllowPrivate(%q) = %q", s, back)
		}
	}
}

func TestParseAllowPrivateRefuses(t *testing.T) {
	tests := []struct {
		name    string
		in      string
		message string
	}{
		{"everything", "0.0.0.0/0", "wider than 10.0.0.0/8"},
		{"everything, IPv6", "::/0", "wider than ::1/128"},
		{"wider than private", "10.0.0.0/7", "wider than 10.0.0.0/8"},
		{"wider than loopback", "126.0.0.0/7", "wider than 127.0.0.0/8"},
		{"wider than unique local", "fc00::/6", "wider than fc00::/7"},
		{"link-local", "169.254.0.0/16", "169.254.0.0/16 is link_local (RFC 3927, section 2.1), which stays forbidden"},
		{"wider than link-local", "169.254.0.0/15", "could never take effect"},
		{"link-local, IPv6", "fe80::/64", "link_local"},
		{"metadata", "169.254.169.254/32", "forbidden"},
		{"metadata inside CGNAT", "100.100.100.200/32", "cloud_metadata"},
		{"metadata inside unique local", "fd00:ec2::/48", "cloud_metadata"},
		{"multicast", "224.0.0.0/4", "multicast"},
		{"documentation", "192.0.2.0/24", "documentation"},
		{"unspecified", "0.0.0.0/32", "forbidden"},
		{"NAT64", "64:ff9b::/96", "nat64"},
		{"public", "104.192.136.0/21", "need no permission"},
		{"public, IPv6", "2600::/16", "need no permission"},
		{"bits below the length", "10.1.2.3/8", "write 10.0.0.0/8"},
		{"IPv4 inside IPv6", "::ffff:10.0.0.0/104", "IPv4"},
		{"not in normal form", "FD00::/8", "write fd00::/8"},
		{"an address", "10.1.2.3", "write 10.1.2.3/32"},
		{"an address, IPv6", "fd00::2", "write fd00::2/128"},
		{"a zone", "fe80::1%eth0/64", "not a CIDR"},
		{"a space", "10.0.0.0/8, 192.168.0.0/16", "without spaces"},
		{"a comma at the end", "10.0.0.0/8,", "not a CIDR"},
		{"a word", "private", "not a CIDR"},
		{"twice", "10.0.0.0/8,10.0.0.0/8", "named twice"},
		{"twice for one connection", "acme=10.0.0.0/8,acme=10.0.0.0/8", "named twice"},
		{"no connection", "=10.0.0.0/8", "not the id of a connection"},
		{"a connection in capitals", "ACME=10.0.0.0/8", "not the id of a connection"},
		{"a connection that begins with a dot", ".acme=10.0.0.0/8", "not the id of a connection"},
		{"a connection without a network", "acme=", "not a CIDR"},
		{"a connection and metadata", "acme=169.254.169.254/32", "forbidden"},
		{"two connections for one network", "acme=globex=10.0.0.0/8", "not a CIDR"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseAllowPrivate(test.in)
			if err == nil {
				t.Fatalf("ParseAllowPrivate(%q) = %v", test.in, got)
			}
			if !strings.Contains(err.Error(), test.message) {
				t.Errorf("error %q does not contain %q", err, test.message)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	interfaces := func() ([]net.Addr, error) {
		return []net.Addr{
			&net.IPNet{IP: net.ParseIP("10.0.0.5"), Mask: net.CIDRMask(24, 32)},
			&net.IPNet{IP: net.ParseIP("2600:1f18::5"), Mask: net.CIDRMask(64, 128)},
		}, nil
	}
	tests := []struct {
		name   string
		allow  string
		own    string
		target string
		want   Class // empty: may be dialled
	}{
		{"public", "", "", "104.192.141.1:443", ""},
		{"public, IPv4-mapped", "", "", "[::ffff:104.192.141.1]:443", ""},
		{"private", "", "", "10.1.2.3:443", ClassPrivate},
		{"private, allowed", "10.1.0.0/16", "", "10.1.2.3:443", ""},
		{"private, allowed, IPv4-mapped", "10.1.0.0/16", "", "[::ffff:10.1.2.3]:443", ""},
		{"private, another allowed", "10.1.0.0/16", "", "10.2.2.3:443", ClassPrivate},
		{"allowed inside NAT64", "10.1.0.0/16", "", "[64:ff9b::10.1.2.3]:443", ClassNAT64},
		{"allowed inside IPv4-compatible", "10.1.0.0/16", "", "[::10.1.2.3]:443", ClassIPv4Compatible},
		{"CGNAT, allowed", "100.64.0.0/10", "", "100.100.100.201:443", ""},
		{"metadata inside the allowed", "100.64.0.0/10", "", "100.100.100.200:80", ClassMetadata},
		{"metadata inside the allowed, IPv6", "fc00::/7", "", "[fd00:ec2::254]:80", ClassMetadata},
		{"unique local, allowed", "fd00::/8", "", "[fd12:3456::1]:443", ""},
		{"loopback, private allowed", "10.0.0.0/8,fc00::/7", "", "127.0.0.1:443", ClassLoopback},
		{"loopback, allowed", "127.0.0.0/8", "", "127.0.0.1:443", ""},
		{"IPv6 loopback, IPv4 loopback allowed", "127.0.0.0/8", "", "[::1]:443", ClassLoopback},
		{"private, allowed to this connection", "acme=10.1.0.0/16", "", "10.1.2.3:443", ""},
		{"private, allowed to another connection", "globex=10.1.0.0/16", "", "10.1.2.3:443", ClassPrivate},
		{"private, another network allowed to this connection", "acme=10.2.0.0/16,globex=10.1.0.0/16", "", "10.1.2.3:443", ClassPrivate},
		{"zone", "fd00::/8", "", "[fd00::1%eth0]:443", ClassZoned},

		{"own listener", "127.0.0.0/8", "127.0.0.1:8080", "127.0.0.1:8080", ClassOwnListener},
		{"own listener, IPv4-mapped", "127.0.0.0/8", "127.0.0.1:8080", "[::ffff:127.0.0.1]:8080", ClassOwnListener},
		{"own address, another port", "127.0.0.0/8", "127.0.0.1:8080", "127.0.0.1:8443", ""},
		{"own listener on all addresses", "127.0.0.0/8", "0.0.0.0:8080", "127.0.0.9:8080", ClassOwnListener},
		{"own listener on all addresses, by interface", "10.0.0.0/8", "[::]:8080", "10.0.0.5:8080", ClassOwnListener},
		{"own listener on all addresses, public interface", "", "[::]:8080", "[2600:1f18::5]:8080", ClassOwnListener},
		{"a neighbour's port", "10.0.0.0/8", "[::]:8080", "10.0.0.6:8080", ""},
		{"own public listener", "", "52.54.159.237:8080", "52.54.159.237:8080", ClassOwnListener},
		{"own listener behind NAT", "", "10.0.0.5:8080", "52.54.159.237:8080", ClassOwnListener},
		{"own listener on all addresses, behind NAT", "", "0.0.0.0:8080", "52.54.159.237:8080", ClassOwnListener},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			allow, err := ParseAllowPrivate(test.allow)
			if err != nil {
				t.Fatal(err)
			}
			j := &judge{allow: allow, addresses: []Address{address("52.54.159.237", "10.0.0.5")}, interfaces: interfaces}
			if test.own != "" {
				j.own = []netip.AddrPort{netip.MustParseAddrPort(test.own)}
			}
			err = j.check("acme", "jira.acme.com", netip.MustParseAddrPort(test.target))
			var refused *AddressError
			switch {
			case test.want == "":
				if err != nil {
					t.Errorf("refused: %v", err)
				}
			case !errors.As(err, &refused) || !errors.Is(err, ErrForbiddenAddress):
				t.Errorf("error %v, want an AddressError", err)
			case refused.Class != test.want || refused.Host != "jira.acme.com" || refused.Addr != netip.MustParseAddrPort(test.target).Addr():
				t.Errorf("refused as %+v, want class %s", refused, test.want)
			}
		})
	}
}

// What can't be known about this machine must not open its listeners.
func TestJudgeWithoutInterfaces(t *testing.T) {
	j := &judge{
		own:        []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8080")},
		interfaces: func() ([]net.Addr, error) { return nil, errors.New("netlink is gone") },
	}
	err := j.check("acme", "jira.acme.com", netip.MustParseAddrPort("104.192.141.1:8080"))
	if !errors.Is(err, ErrForbiddenAddress) {
		t.Errorf("error %v, want %v", err, ErrForbiddenAddress)
	}
}

// FuzzJudge: whatever the operator manages to allow, these stay shut, and the
// two spellings of an IPv4 address get one answer.
func FuzzJudge(f *testing.F) {
	ten := netip.MustParseAddr("10.0.0.1").As16()
	f.Add("10.0.0.0/8,127.0.0.0/8,fc00::/7,100.64.0.0/10,::1/128", ten[:])
	f.Add("0.0.0.0/0", []byte{169, 254, 169, 254})
	f.Add("100.100.100.200/31", []byte{100, 100, 100, 200})
	f.Add("fd00:ec2::/31", []byte{127, 0, 0, 1})
	f.Fuzz(func(t *testing.T, cidrs string, ip []byte) {
		addr, ok := netip.AddrFromSlice(ip)
		if !ok || len(cidrs) > 1<<10 {
			return
		}
		allow, err := ParseAllowPrivate(cidrs)
		if err != nil {
			allow = nil
		}
		for _, p := range allow {
			if again, err := ParseAllowPrivate(p.String()); err != nil || !slices.Equal(again, []PrivateNetwork{p}) {
				t.Errorf("%s does not survive another parse: %v, %v", p, again, err)
			}
		}
		j := &judge{allow: allow}
		opened := j.check("acme", "host", netip.AddrPortFrom(addr, 443)) == nil
		plain := addr.Unmap()
		metadata := plain == netip.MustParseAddr("100.100.100.200") || netip.MustParsePrefix("fd00:ec2::/32").Contains(plain)
		if opened && (metadata || plain.IsLinkLocalUnicast() || plain.IsMulticast() || plain.IsUnspecified() || !plain.IsGlobalUnicast() && !plain.IsLoopback()) {
			t.Errorf("%q opened %s", cidrs, addr)
		}
		if named := slices.ContainsFunc(allow, func(p PrivateNetwork) bool { return p.Prefix.Contains(plain) }); opened && !named && Classify(plain) != ClassPublic {
			t.Errorf("%q opened %s, which is not in it", cidrs, addr)
		}
		if addr.Is4() {
			mapped := netip.AddrFrom16(addr.As16())
			if got := j.check("acme", "host", netip.AddrPortFrom(mapped, 443)) == nil; got != opened {
				t.Errorf("%s: %v, %s: %v", addr, opened, mapped, got)
			}
		}
	})
}
