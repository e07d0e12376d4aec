package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

func TestWhichAddressesOfAnAnswerAreTried(t *testing.T) {
	v4 := usAddresses()
	v6 := []Address{address("2600:1f18::5", "fd00::5")}
	tests := []struct {
		name      string
		addresses []Address
		answer    []string
		want      []string // targets
		class     Class    // or the class refused
	}{
		{"one", v4, []string{"104.192.141.1"}, []string{"104.192.141.1:443"}, ""},
		{"three of five", v4, []string{"104.192.141.1", "104.192.141.2", "104.192.141.3", "104.192.141.4", "104.192.141.5"}, []string{"104.192.141.1:443", "104.192.141.2:443", "104.192.141.3:443"}, ""},
		{"the same twice, once IPv4-mapped", v4, []string{"104.192.141.1", "::ffff:104.192.141.1"}, []string{"104.192.141.1:443"}, ""},
		{"forbidden among allowed", v4, []string{"10.0.0.1", "104.192.141.1", "169.254.169.254"}, []string{"104.192.141.1:443"}, ""},
		{"forbidden only", v4, []string{"10.0.0.1"}, nil, ClassPrivate},
		{"metadata", v4, []string{"169.254.169.254"}, nil, ClassMetadata},
		{"IPv4-mapped loopback", v4, []string{"::ffff:127.0.0.1"}, nil, ClassLoopback},
		{"invalid", v4, []string{""}, nil, ClassMalformed},
		{"IPv6 where only IPv4 is published", v4, []string{"2401:1d80:3000::1"}, nil, ClassOtherFamily},
		{"IPv4 where only IPv6 is published", v6, []string{"104.192.141.1"}, nil, ClassOtherFamily},
		{"both families, IPv4 published", v4, []string{"2401:1d80:3000::1", "104.192.141.1"}, []string{"104.192.141.1:443"}, ""},
		{"both families, none published", nil, []string{"2401:1d80:3000::1", "2401:1d80:3000::2", "2401:1d80:3000::3", "104.192.141.1"}, []string{"[2401:1d80:3000::1]:443", "104.192.141.1:443", "[2401:1d80:3000::2]:443"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var answer []netip.Addr
			for _, a := range test.answer {
				addr, _ := netip.ParseAddr(a) // the zero Addr is a case of its own
				answer = append(answer, addr)
			}
			e := newFake(t, &fakeNetwork{}, Options{Addresses: test.addresses, Resolver: resolverFunc(func(context.Context, string, string) ([]netip.Addr, error) { return answer, nil })})
			targets, err := e.current.Load().resolve(t.Context(), errand{"acme", "jira.acme.com"}, 443)
			if test.class != "" {
				var refused *AddressError
				if !errors.As(err, &refused) || refused.Class != test.class || refused.Host != "jira.acme.com" {
					t.Errorf("error %v, want class %s", err, test.class)
				}
				return
			}
			var got []string
			for _, target := range targets {
				got = append(got, target.String())
			}
			if err != nil || fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("targets %v, %v; want %v", got, err, test.want)
			}
		})
	}
}

func TestEndlessAnswerIsCut(t *testing.T) {
	var hosts []string
	for range maxAnswers {
		hosts = append(hosts, "10.0.0.1")
	}
	e := newFake(t, &fakeNetwork{}, Options{Resolver: answers(append(hosts, "104.192.141.1")...)})
	if targets, err := e.current.Load().resolve(t.Context(), errand{"acme", "jira.acme.com"}, 443); !errors.Is(err, ErrForbiddenAddress) {
		t.Errorf("targets %v, %v; the answer was read beyond %d addresses", targets, err, maxAnswers)
	}
}

func TestMixedPublishedFamiliesUseEachForItsOwn(t *testing.T) {
	n := &fakeNetwork{}
	e := newFake(t, n, Options{
		Addresses: []Address{usEast, address("2600:1f18::5", "fd00::5")},
		Resolver:  answers("104.192.141.1", "2401:1d80:3000::1"),
	})
	for _, connection := range []string{"acme", "initech", "globex", "umbrella", "hooli"} {
		for _, network := range []string{"tcp", "tcp4", "tcp6"} {
			conn, err := e.DialContext(t.Context(), connection, network, "jira.acme.com:443")
			if err != nil {
				t.Fatal(err)
			}
			a := n.made()[0]
			is4 := strings.HasPrefix(a.target, "104.")
			if is4 != (a.local == "10.0.0.5") || is4 != (conn.(*Conn).PublicIP() == "52.54.159.237") {
				t.Errorf("%s went out as %v", connection, a)
			}
			if network == "tcp4" && !is4 || network == "tcp6" && is4 {
				t.Errorf("%s was asked for, %v was dialled", network, a)
			}
		}
	}
}

func TestLookup(t *testing.T) {
	tests := []struct {
		name      string
		addresses []Address
		want      string
	}{
		{"IPv4 published", usAddresses(), "ip4"},
		{"IPv6 published", []Address{address("2600:1f18::5", "fd00::5")}, "ip6"},
		{"both published", []Address{usEast, address("2600:1f18::5", "fd00::5")}, "ip"},
		{"nothing published", nil, "ip"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var network, host string
			var deadline bool
			e := newFake(t, &fakeNetwork{}, Options{Addresses: test.addresses, Resolver: resolverFunc(func(ctx context.Context, n, h string) ([]netip.Addr, error) {
				network, host = n, h
				_, deadline = ctx.Deadline()
				return nil, &net.DNSError{Err: "no such host", Name: h, IsNotFound: true}
			})})
			_, err := e.DialContext(t.Context(), "acme", "tcp", "jira.acme.com:443")
			var dns *net.DNSError
			if !errors.Is(err, ErrResolve) || !errors.As(err, &dns) {
				t.Errorf("error %v, want %v", err, ErrResolve)
			}
			if network != test.want || host != "jira.acme.com" || !deadline {
				t.Errorf("looked up %s %s, deadline %v; want %s", network, host, deadline, test.want)
			}
		})
	}
	t.Run("empty answer", func(t *testing.T) {
		e := newFake(t, &fakeNetwork{}, Options{Resolver: answers()})
		if _, err := e.DialContext(t.Context(), "acme", "tcp", "jira.acme.com:443"); !errors.Is(err, ErrResolve) {
			t.Errorf("error %v, want %v", err, ErrResolve)
		}
	})
}

// Nothing that is not clearly a host name is handed to a resolver, some of
// which read addresses out of the strangest texts.
func TestWhatIsNeverLookedUp(t *testing.T) {
	tests := []struct {
		name    string
		address string
		class   Class // empty: refused as not host:port
	}{
		{"public literal", "104.192.141.1:443", ClassPublic},
		{"public literal, IPv6", "[2401:1d80:3000::1]:443", ClassPublic},
		{"loopback literal", "127.0.0.1:443", ClassLoopback},
		{"metadata literal, IPv4-mapped", "[::ffff:a9fe:a9fe]:80", ClassMetadata},
		{"literal with zone", "[fe80::1%eth0]:443", ClassZoned},
		{"decimal", "2130706433:443", ClassMalformed},
		{"hexadecimal", "0x7f000001:443", ClassMalformed},
		{"hexadecimal, capitals", "0X7F000001:443", ClassMalformed},
		{"hexadecimal without digits", "0x:443", ClassMalformed},
		{"short", "127.1:443", ClassMalformed},
		{"octal", "0177.0.0.1:443", ClassMalformed},
		{"mixed", "0x7f.0.0.1:443", ClassMalformed},
		{"mixed, hexadecimal last", "127.0.0.0x1:443", ClassMalformed},
		{"with a dot at the end", "127.0.0.1.:443", ClassMalformed},
		{"name whose last label is a number", "jira.acme.1:443", ClassMalformed},
		{"no host", ":443", ClassMalformed},
		{"a dot", ".:443", ClassMalformed},
		{"empty label", "jira..acme.com:443", ClassMalformed},
		{"a space", "jira acme.com:443", ClassMalformed},
		{"full-width dots", "127。0。0。1:443", ClassMalformed},
		{"enclosed digits", "①②⑦.0.0.1:443", ClassMalformed},
		{"user info", "user@jira.acme.com:443", ClassMalformed},
		{"a path", "jira.acme.com/:443", ClassMalformed},
		{"a percent sign", "jira%2eacme.com:443", ClassMalformed},
		{"a NUL", "jira.acme.com\x00:443", ClassMalformed},
		{"brackets around a name", "[jira.acme.com]:443", ""},
		{"brackets around IPv4", "[104.192.141.1]:443", ""},
		{"long label", strings.Repeat("a", 64) + ".com:443", ClassMalformed},
		{"long name", strings.Repeat("a.", 127) + "com:443", ClassMalformed},
		{"no port", "jira.acme.com", ""},
		{"empty port", "jira.acme.com:", ""},
		{"port 0", "jira.acme.com:0", ""},
		{"port with zeros", "jira.acme.com:0443", ""},
		{"port with sign", "jira.acme.com:+443", ""},
		{"port too large", "jira.acme.com:65536", ""},
		{"service name", "jira.acme.com:https", ""},
		{"IPv6 without brackets", "2401:1d80:3000::1:443", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &fakeNetwork{source: "192.168.1.2:40000"}
			lookups := 0
			e := newFake(t, n, Options{Resolver: resolverFunc(func(context.Context, string, string) ([]netip.Addr, error) {
				lookups++
				return []netip.Addr{netip.MustParseAddr("104.192.141.1")}, nil
			})})
			_, err := e.DialContext(t.Context(), "acme", "tcp", test.address)
			var refused *AddressError
			switch {
			case test.class == ClassPublic:
				if err != nil {
					t.Errorf("refused: %v", err)
				}
			case err == nil:
				t.Error("dialled")
			case test.class != "" && (!errors.As(err, &refused) || refused.Class != test.class):
				t.Errorf("error %v, want class %s", err, test.class)
			}
			if lookups != 0 {
				t.Errorf("%d lookups", lookups)
			}
			if made := n.made(); len(made) != 0 && test.class != ClassPublic {
				t.Errorf("attempts %v", made)
			}
		})
	}
}

func TestOnlyTCP(t *testing.T) {
	e := newFake(t, &fakeNetwork{}, Options{})
	for _, network := range []string{"udp", "unix", "ip4", "", "TCP"} {
		if _, err := e.DialContext(t.Context(), "acme", network, jira); err == nil {
			t.Errorf("network %q dialled", network)
		}
	}
	if _, err := e.DialContext(t.Context(), "acme", "tcp6", jira); err == nil {
		t.Error("IPv4 literal dialled over tcp6")
	}
}

// FuzzResolve: whatever the host is called and whatever DNS says, what comes
// out to be dialled is public and of the published family.
func FuzzResolve(f *testing.F) {
	loopback := netip.MustParseAddr("::ffff:127.0.0.1").As16()
	f.Add("jira.acme.com", loopback[:])
	f.Add("127.0.0.1", []byte{104, 192, 141, 1})
	f.Add("0x7f.1", []byte{104, 192, 141, 1})
	f.Add("::ffff:169.254.169.254", []byte{})
	f.Add("fe80::1%eth0", []byte{10, 0, 0, 1})
	f.Fuzz(func(t *testing.T, host string, ip []byte) {
		answer, _ := netip.AddrFromSlice(ip) // the zero Addr is a case of its own
		e := newFake(t, &fakeNetwork{}, Options{Addresses: usAddresses(), Resolver: resolverFunc(func(_ context.Context, _, name string) ([]netip.Addr, error) {
			labels := strings.Split(strings.TrimSuffix(name, "."), ".")
			if _, err := strconv.ParseUint(labels[len(labels)-1], 10, 64); err == nil {
				t.Errorf("%q was looked up", name)
			}
			return []netip.Addr{answer}, nil
		})})
		targets, err := e.current.Load().resolve(t.Context(), errand{"acme", host}, 443)
		if err == nil && len(targets) == 0 {
			t.Error("no target and no error")
		}
		for _, target := range targets {
			if Classify(target.Addr()) != ClassPublic || !target.Addr().Is4() {
				t.Errorf("%q with the answer %v leads to %v", host, answer, target)
			}
		}
	})
}

func TestForbiddenAnswersAreLogged(t *testing.T) {
	var log bytes.Buffer
	e := newFake(t, &fakeNetwork{}, Options{
		Addresses: usAddresses(),
		Resolver:  answers("10.0.0.1", "104.192.141.1"),
		Logger:    slog.New(slog.NewTextHandler(&log, nil)),
	})
	if _, err := e.DialContext(t.Context(), "acme", "tcp", "jira.acme.com:443"); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"level=WARN", "10.0.0.1", "jira.acme.com", "private (RFC 1918, section 3)"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("log %q does not contain %q", &log, part)
		}
	}
}

func TestLoopbackIsAllowedWithAWarning(t *testing.T) {
	for network, want := range map[string]bool{"127.0.0.0/8": true, "::1/128": true, "10.0.0.0/8": false} {
		var log bytes.Buffer
		newFake(t, &fakeNetwork{}, Options{
			Addresses:    usAddresses(),
			AllowPrivate: open(network),
			Logger:       slog.New(slog.NewTextHandler(&log, nil)),
		})
		if got := strings.Contains(log.String(), "level=WARN"); got != want {
			t.Errorf("%s: log %q, want a warning: %v", network, &log, want)
		}
	}
}

// The search list of resolv.conf must not turn Jira's name into another one.
func TestSystemResolverDoesNotSearch(t *testing.T) {
	r := &systemResolver{net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no network")
	}}}
	_, err := r.LookupNetIP(t.Context(), "ip4", "jira.acme.invalid")
	var dns *net.DNSError
	if !errors.As(err, &dns) {
		t.Fatalf("error %v", err)
	}
	if dns.Name != "jira.acme.invalid." {
		t.Errorf("looked up %q", dns.Name)
	}
	if got, err := r.LookupNetIP(t.Context(), "ip4", "localhost"); err != nil || !got[0].IsLoopback() {
		t.Errorf("localhost is %v, %v", got, err)
	}
}

func ExampleAddressError() {
	fmt.Println(&AddressError{Host: "jira.acme.com", Addr: netip.MustParseAddr("10.1.2.3"), Class: ClassPrivate, Source: "RFC 1918, section 3"})
	fmt.Println(&AddressError{Host: "169.254.169.254", Addr: netip.MustParseAddr("169.254.169.254"), Class: ClassMetadata})
	fmt.Println(&AddressError{Host: "0x7f.1", Class: ClassMalformed})
	// Output:
	// 10.1.2.3, an address of "jira.acme.com", must not be dialled: private (RFC 1918, section 3); if Jira really is there, name its network in JIRAGATE_EGRESS_ALLOW_PRIVATE
	// 169.254.169.254 must not be dialled: cloud_metadata
	// "0x7f.1" must not be dialled: malformed
}
