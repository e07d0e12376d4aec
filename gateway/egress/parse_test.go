package egress

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func address(public, local string) Address {
	return Address{Public: netip.MustParseAddr(public), Local: netip.MustParseAddr(local)}
}

func TestParseAddresses(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want []Address
	}{
		{"none", "", nil},
		{"behind NAT", "52.54.159.237=10.0.0.5,52.73.143.252=10.0.0.6", []Address{address("52.54.159.237", "10.0.0.5"), address("52.73.143.252", "10.0.0.6")}},
		{"on the machine itself", "52.54.159.237", []Address{address("52.54.159.237", "52.54.159.237")}},
		{"the same, spelled out", "52.54.159.237=52.54.159.237", []Address{address("52.54.159.237", "52.54.159.237")}},
		{"IPv6", "2600:1f18::1=fd00::2", []Address{address("2600:1f18::1", "fd00::2")}},
		{"both families", "52.54.159.237=10.0.0.5,2600:1f18::1", []Address{address("52.54.159.237", "10.0.0.5"), address("2600:1f18::1", "2600:1f18::1")}},
		{"loopback, for a simulator", "127.0.0.2,127.0.0.3", []Address{address("127.0.0.2", "127.0.0.2"), address("127.0.0.3", "127.0.0.3")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseAddresses(test.in)
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("ParseAddresses(%q) = %v, %v; want %v", test.in, got, err, test.want)
			}
		})
	}
}

func TestParseAddressesRefuses(t *testing.T) {
	tests := []struct {
		name    string
		in      string
		message string // part of the error
	}{
		{"a space", "52.54.159.237=10.0.0.5, 52.73.143.252=10.0.0.6", "address 2: public address: not an IP address"},
		{"a comma at the end", "52.54.159.237,", "address 2: public address: missing"},
		{"no local address", "52.54.159.237=", "local address of 52.54.159.237: missing"},
		{"no public address", "=10.0.0.5", "address 1: public address: missing"},
		{"two equal signs", "52.54.159.237=10.0.0.5=10.0.0.6", "local address of 52.54.159.237: not an IP address"},
		{"a name", "egress.example.com=10.0.0.5", "public address: not an IP address"},
		{"a network", "52.54.159.237/32", "not an IP address"},
		{"a port", "52.54.159.237=10.0.0.5:0", "not an IP address"},
		{"leading zeros", "052.54.159.237", "not an IP address"},
		{"IPv6 in capitals", "2600:1F18::1", "write 2600:1f18::1"},
		{"IPv6 in full", "2600:1f18:0:0:0:0:0:1", "write 2600:1f18::1"},
		{"IPv4 inside IPv6", "::ffff:52.54.159.237", "write 52.54.159.237"},
		{"two families in one entry", "52.54.159.237=fd00::2", "same family"},
		{"the wrong way round", "10.0.0.5=52.54.159.237", "wrong way round"},
		{"a public address twice", "52.54.159.237=10.0.0.5,52.54.159.237=10.0.0.6", "public address 52.54.159.237 is already entry 1"},
		{"a local address twice", "52.54.159.237=10.0.0.5,52.73.143.252=10.0.0.5", "local address 10.0.0.5 is already entry 1"},
		{"unspecified", "52.54.159.237=0.0.0.0", "unspecified"},
		{"multicast", "52.54.159.237=224.0.0.1", "multicast"},
		{"link-local", "52.54.159.237=169.254.1.1", "link_local"},
		{"a zone", "2600::1=fe80::1%eth0", "zoned"},
		{"a proxy", "52.54.159.237=http://user:hunter2@us-east-static.quotaguard.com:9293", "address 1: a static-IP provider's proxy (http, https, socks5) is not supported"},
		{"a TLS proxy, second", "52.54.159.237=10.0.0.5,52.73.143.252=https://user:hunter2@proxy:9293", "address 2: a static-IP"},
		{"a SOCKS proxy", "52.54.159.237=socks5://user:hunter2@proxy:1080", "socks5"},
		{"a password with a comma", "52.54.159.237=http://user:a,hunter2@proxy:9293", "address 1: a static-IP"},
		{"a proxy without public address", "http://user:hunter2@proxy:9293", "address 1: a static-IP"},
		{"a proxy without scheme", "52.54.159.237=user:hunter2@proxy:9293", "local address of 52.54.159.237: not an IP address"},
		{"a proxy with a broken scheme", "52.54.159.237=http:/user:hunter2@proxy:9293", "local address of 52.54.159.237: not an IP address"},
		{"a password where an address should be", "hunter2", "public address: not an IP address"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseAddresses(test.in)
			if err == nil {
				t.Fatalf("ParseAddresses(%q) = %v", test.in, got)
			}
			if !strings.Contains(err.Error(), test.message) {
				t.Errorf("error %q does not contain %q", err, test.message)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %q contains the password", err)
			}
		})
	}
}

// FuzzParseAddresses: what parses is written back and parsed to the same, and
// an error never repeats a password, wherever it stands.
func FuzzParseAddresses(f *testing.F) {
	for _, seed := range []string{"", "52.54.159.237=10.0.0.5,52.73.143.252=10.0.0.6", "2600:1f18::1=fd00::2", "52.54.159.237", "1.1.1.1=http://user:", "1.1.1.1=,", "::ffff:1.1.1.1"} {
		f.Add(seed, "@proxy:9293")
	}
	f.Fuzz(func(t *testing.T, s, rest string) {
		if addresses, err := ParseAddresses(s); err == nil {
			var parts []string
			for _, a := range addresses {
				if a.Public.Is4() != a.Local.Is4() || a.Public.Is4In6() {
					t.Errorf("%q gave %v", s, a)
				}
				parts = append(parts, a.String())
			}
			again, err := ParseAddresses(strings.Join(parts, ","))
			if err != nil || !slices.Equal(again, addresses) {
				t.Errorf("%q gave %v, which gave %v, %v", s, addresses, again, err)
			}
		}
		sum := sha256.Sum256([]byte(s + rest))
		password := "p" + hex.EncodeToString(sum[:8])
		if _, err := ParseAddresses(s + password + rest); err == nil {
			t.Errorf("%q parsed", s+password+rest)
		} else if strings.Contains(err.Error(), password) {
			t.Errorf("error %q contains the password", err)
		}
	})
}
