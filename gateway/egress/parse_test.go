package egress

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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
		{"a proxy without public address", "http://user:hunter2@proxy:9293", "address 1: public address: missing; write PUBLIC_IP=URL"},
		{"a proxy of another kind, second", "52.54.159.237=10.0.0.5,52.73.143.252=ftp://user:hunter2@proxy:21", "address 2: proxy of 52.73.143.252: the URL of the proxy must begin with"},
		{"SOCKS that resolves elsewhere", "52.54.159.237=socks5h://user:hunter2@proxy:1080", "must begin with"},
		{"a scheme in capitals", "52.54.159.237=HTTP://user:hunter2@proxy:1080", "must begin with"},
		{"a proxy without a port", "52.54.159.237=https://user:hunter2@proxy", "must name its port"},
		{"a proxy with port 0", "52.54.159.237=https://user:hunter2@proxy:0", "must name its port"},
		{"a proxy with a padded port", "52.54.159.237=https://user:hunter2@proxy:09293", "must name its port"},
		{"a proxy without a host", "52.54.159.237=https://user:hunter2@:9293", "neither a host name nor an IP address"},
		{"a proxy with a host that is a number", "52.54.159.237=https://user:hunter2@2130706433:9293", "neither a host name nor an IP address"},
		{"a proxy on link-local", "52.54.159.237=http://169.254.169.254:80", "not one that a proxy can have"},
		{"a proxy on the unspecified address", "52.54.159.237=http://0.0.0.0:80", "not one that a proxy can have"},
		{"a proxy that is IPv4 inside IPv6", "52.54.159.237=http://[::ffff:127.0.0.1]:80", "not one that a proxy can have"},
		{"a path after a proxy", "52.54.159.237=https://user:hunter2@proxy:9293/x", "must end after HOST:PORT"},
		{"a query after a proxy", "52.54.159.237=https://proxy:9293?hunter2", "must end after HOST:PORT"},
		{"a fragment after a proxy", "52.54.159.237=https://proxy:9293#hunter2", "must end after HOST:PORT"},
		{"a password with a slash", "52.54.159.237=https://user:hunter2/x@proxy:9293", "cannot be read"},
		{"a password with a comma", "52.54.159.237=http://user:a,hunter2@proxy:9293", "address 1: proxy of 52.54.159.237"},
		{"a password with a line break", "52.54.159.237=http://user:hunter2%0d%0aX@proxy:9293", "no control characters"},
		{"a password without a user", "52.54.159.237=http://:hunter2@proxy:9293", "without a user name"},
		{"a user with a colon", "52.54.159.237=http://us%3Aer:hunter2@proxy:9293", "no colon"},
		{"a SOCKS user without a password", "52.54.159.237=socks5://hunter2@proxy:1080", "1 to 255 bytes"},
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

func TestParseProxies(t *testing.T) {
	tests := []struct {
		name           string
		in             string
		proxy          string // scheme, host and port
		user, password string
	}{
		{"CONNECT over TCP", "52.54.159.237=http://quota:hunter2@us-east-static.quotaguard.com:9293", "http://us-east-static.quotaguard.com:9293", "quota", "hunter2"},
		{"CONNECT over TLS", "52.54.159.237=https://quota:hunter2@us-east-static.quotaguard.com:9294", "https://us-east-static.quotaguard.com:9294", "quota", "hunter2"},
		{"SOCKS5", "52.54.159.237=socks5://quota:hunter2@us-east-static.quotaguard.com:1080", "socks5://us-east-static.quotaguard.com:1080", "quota", "hunter2"},
		{"without credentials", "52.54.159.237=socks5://10.0.0.7:1080", "socks5://10.0.0.7:1080", "", ""},
		{"a slash at the end", "52.54.159.237=http://proxy:3128/", "http://proxy:3128", "", ""},
		{"IPv6", "2600:1f18::1=https://[fd00::7]:3128", "https://[fd00::7]:3128", "", ""},
		{"an IPv4 address by an IPv6 proxy", "52.54.159.237=https://[fd00::7]:3128", "https://[fd00::7]:3128", "", ""},
		{"percent-encoded", "52.54.159.237=http://us%40er:a%2Cb%2F%3D%3A@proxy:3128", "http://proxy:3128", "us@er", "a,b/=:"},
		{"a password with = and :", "52.54.159.237=http://user:a=b:c@proxy:3128", "http://proxy:3128", "user", "a=b:c"},
		{"a user alone", "52.54.159.237=http://token@proxy:3128", "http://proxy:3128", "token", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseAddresses(test.in)
			if err != nil || len(got) != 1 || got[0].Proxy == nil {
				t.Fatalf("ParseAddresses(%q) = %v, %v", test.in, got, err)
			}
			p := got[0].Proxy
			if p.String() != test.proxy || p.Username.Reveal() != test.user || p.Password.Reveal() != test.password {
				t.Errorf("got %s, %q, %q", p, p.Username.Reveal(), p.Password.Reveal())
			}
			if got[0].Local.IsValid() {
				t.Errorf("bound to %s as well", got[0].Local)
			}
		})
	}
}

// Two addresses of one provider differ in their credentials only.
func TestTwoAddressesByOneProxy(t *testing.T) {
	got, err := ParseAddresses("52.54.159.237=http://a:x@proxy:9293,52.73.143.252=http://b:x@proxy:9293,18.200.77.86=10.0.0.5")
	if err != nil || len(got) != 3 {
		t.Errorf("got %v, %v", got, err)
	}
}

// FuzzParseAddresses: what parses is written back, its credentials aside, and
// parsed to the same; and neither an error nor what is printed of an address ever
// repeats a password, wherever it stands.
func FuzzParseAddresses(f *testing.F) {
	for _, seed := range []string{
		"", "52.54.159.237=10.0.0.5,52.73.143.252=10.0.0.6", "2600:1f18::1=fd00::2", "52.54.159.237",
		"1.1.1.1=http://user:", "1.1.1.1=socks5://", "1.1.1.1=https://[fd00::7]:3128", "1.1.1.1=,", "::ffff:1.1.1.1",
	} {
		f.Add(seed, "@proxy:9293")
	}
	f.Fuzz(func(t *testing.T, s, rest string) {
		if addresses, err := ParseAddresses(s); err == nil {
			var parts []string
			for _, a := range addresses {
				if a.Proxy == nil && a.Public.Is4() != a.Local.Is4() || a.Public.Is4In6() {
					t.Errorf("%q gave %v", s, a)
				}
				parts = append(parts, a.String())
			}
			text := strings.Join(parts, ",")
			again, err := ParseAddresses(text)
			if err != nil || !slices.EqualFunc(again, addresses, func(a, b Address) bool { return a.String() == b.String() && a.Local == b.Local }) {
				t.Errorf("%q gave %v, which gave %v, %v", s, addresses, again, err)
			}
		}
		sum := sha256.Sum256([]byte(s + rest))
		password := "p" + hex.EncodeToString(sum[:8])
		addresses, err := ParseAddresses(s + password + rest)
		printed := fmt.Sprintf("%v %+v %#v %v", addresses, addresses, addresses, err)
		for _, a := range addresses {
			if a.Proxy != nil && strings.Contains(a.Proxy.Host, password) {
				return // here it is no password
			}
			printed += fmt.Sprintf("%v %+v %#v %s", a, a.Proxy, a.Proxy, a.Proxy)
		}
		if strings.Contains(printed, password) {
			t.Errorf("%q shows the password", printed)
		}
	})
}
