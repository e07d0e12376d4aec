package egress

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

func TestClassify(t *testing.T) {
	tests := []struct {
		name string
		addr string
		want Class
	}{
		{"Jira Cloud", "104.192.141.1", ClassPublic},
		{"Jira Cloud, IPv6", "2401:1d80:3000::1", ClassPublic},
		{"a documented egress address", "52.54.159.237", ClassPublic},
		{"below 10/8", "9.255.255.255", ClassPublic},
		{"above 172.16/12", "172.32.0.0", ClassPublic},
		{"below CGNAT", "100.63.255.255", ClassPublic},
		{"above CGNAT", "100.128.0.0", ClassPublic},
		{"above benchmarking", "198.20.0.0", ClassPublic},
		{"last before multicast", "223.255.255.255", ClassPublic},
		{"beside the WireServer", "168.63.129.17", ClassPublic},
		{"after the protocol assignments", "2001:200::1", ClassPublic},
		{"last of 2000::/3", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ClassPublic},

		{"unspecified", "0.0.0.0", ClassUnspecified},
		{"this network", "0.1.2.3", ClassThisNetwork},
		{"loopback", "127.0.0.1", ClassLoopback},
		{"another loopback", "127.255.255.254", ClassLoopback},
		{"10/8", "10.0.0.0", ClassPrivate},
		{"172.16/12", "172.31.255.255", ClassPrivate},
		{"192.168/16", "192.168.1.1", ClassPrivate},
		{"CGNAT", "100.64.0.1", ClassCGNAT},
		{"end of CGNAT", "100.127.255.255", ClassCGNAT},
		{"link-local", "169.254.1.1", ClassLinkLocal},
		{"protocol assignments", "192.0.0.9", ClassProtocol},
		{"AS112", "192.175.48.1", ClassProtocol},
		{"TEST-NET-1", "192.0.2.2", ClassDocumentation},
		{"TEST-NET-2", "198.51.100.1", ClassDocumentation},
		{"TEST-NET-3", "203.0.113.1", ClassDocumentation},
		{"6to4 relay", "192.88.99.1", Class6to4},
		{"benchmarking", "198.19.255.255", ClassBenchmarking},
		{"multicast", "224.0.0.1", ClassMulticast},
		{"end of multicast", "239.255.255.255", ClassMulticast},
		{"reserved", "240.0.0.1", ClassReserved},
		{"almost broadcast", "255.255.255.254", ClassReserved},
		{"broadcast", "255.255.255.255", ClassBroadcast},

		{"metadata, most clouds", "169.254.169.254", ClassMetadata},
		{"metadata, ECS", "169.254.170.2", ClassMetadata},
		{"metadata, Alibaba, inside CGNAT", "100.100.100.200", ClassMetadata},
		{"metadata, Azure, in public space", "168.63.129.16", ClassMetadata},
		{"metadata, Oracle", "192.0.0.192", ClassMetadata},
		{"metadata, AWS IPv6", "fd00:ec2::254", ClassMetadata},
		{"metadata, AWS DNS IPv6", "fd00:ec2::253", ClassMetadata},
		{"metadata, Google IPv6", "fd20:ce::254", ClassMetadata},

		{"IPv6 unspecified", "::", ClassUnspecified},
		{"IPv6 loopback", "::1", ClassLoopback},
		{"IPv4-mapped public", "::ffff:104.192.141.1", ClassPublic},
		{"IPv4-mapped loopback", "::ffff:127.0.0.1", ClassLoopback},
		{"IPv4-mapped in hexadecimal", "::ffff:7f00:1", ClassLoopback},
		{"IPv4-mapped private", "::ffff:10.0.0.1", ClassPrivate},
		{"IPv4-mapped metadata", "::ffff:169.254.169.254", ClassMetadata},
		{"IPv4-mapped unspecified", "::ffff:0.0.0.0", ClassUnspecified},
		{"IPv4-compatible", "::127.0.0.1", ClassIPv4Compatible},
		{"IPv4-compatible, next to loopback", "::2", ClassIPv4Compatible},
		{"IPv4-translated", "::ffff:0:127.0.0.1", ClassIPv4Translated},
		{"NAT64 of a public address", "64:ff9b::104.192.141.1", ClassNAT64},
		{"NAT64 of metadata", "64:ff9b::a9fe:a9fe", ClassNAT64},
		{"NAT64, local use", "64:ff9b:1::10.0.0.1", ClassNAT64},
		{"NAT64, local use, /96", "64:ff9b:1:ffff::1", ClassNAT64},
		{"between the NAT64 prefixes", "64:ff9b:0:1::1", ClassReserved},
		{"6to4 of loopback", "2002:7f00:1::1", Class6to4},
		{"Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2", ClassTeredo},
		{"ISATAP in global space", "2600:1f18::5efe:10.0.0.1", ClassISATAP},
		{"ISATAP, universal bit", "2600:1f18::200:5efe:10.0.0.1", ClassISATAP},
		{"benchmarking, IPv6", "2001:2::1", ClassBenchmarking},
		{"ORCHIDv2", "2001:20::1", ClassProtocol},
		{"documentation, IPv6", "2001:db8::1", ClassDocumentation},
		{"documentation, newer", "3fff:fff::1", ClassDocumentation},
		{"6bone", "3ffe::1", ClassReserved},
		{"discard-only", "100::1", ClassDiscardOnly},
		{"dummy prefix", "100:0:0:1::1", ClassDiscardOnly},
		{"SRv6", "5f00::1", ClassSegmentRouting},
		{"unique local", "fd00::2", ClassUniqueLocal},
		{"unique local, not assigned", "fc00::1", ClassUniqueLocal},
		{"link-local, IPv6", "fe80::1", ClassLinkLocal},
		{"end of link-local", "febf::1", ClassLinkLocal},
		{"site-local", "fec0::1", ClassSiteLocal},
		{"multicast, IPv6", "ff02::1", ClassMulticast},
		{"unallocated, low", "200::1", ClassReserved},
		{"unallocated, high", "4000::1", ClassReserved},

		{"link-local with zone", "fe80::1%eth0", ClassZoned},
		{"public with zone", "2600::1%eth0", ClassZoned},
		{"IPv4-mapped with zone", "::ffff:104.192.141.1%eth0", ClassZoned},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			addr := netip.MustParseAddr(test.addr)
			if got := Classify(addr); got != test.want {
				t.Errorf("Classify(%s) = %s, want %s", addr, got, test.want)
			}
		})
	}
	if got := Classify(netip.Addr{}); got != ClassMalformed {
		t.Errorf("Classify(zero Addr) = %s, want %s", got, ClassMalformed)
	}
}

func TestEverySpecialRangeSaysWhatItIs(t *testing.T) {
	seen := map[netip.Prefix]bool{}
	for _, r := range specialRanges {
		if r.source == "" || r.class == "" || r.class == ClassPublic {
			t.Errorf("%s: class %q, source %q", r.prefix, r.class, r.source)
		}
		if r.prefix != r.prefix.Masked() {
			t.Errorf("%s has bits below its length", r.prefix)
		}
		if seen[r.prefix] {
			t.Errorf("%s is listed twice", r.prefix)
		}
		seen[r.prefix] = true
	}
}

// FuzzClassify holds the classifier against the standard library's idea of an
// address, and the two spellings of an IPv4 address against each other.
func FuzzClassify(f *testing.F) {
	for _, seed := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "224.0.0.1", "8.8.8.8", "::1", "fe80::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::1", "2600::1"} {
		b := netip.MustParseAddr(seed).As16()
		f.Add(binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]))
	}
	f.Fuzz(func(t *testing.T, high, low uint64) {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], high)
		binary.BigEndian.PutUint64(b[8:], low)
		addr := netip.AddrFrom16(b)
		class := Classify(addr)
		plain := addr.Unmap()
		if class == ClassPublic && (!plain.IsGlobalUnicast() || plain.IsPrivate()) {
			t.Errorf("%s is called public", addr)
		}
		if plain.IsLoopback() != (class == ClassLoopback) {
			t.Errorf("%s is called %s", addr, class)
		}
		if plain.IsMulticast() != (class == ClassMulticast) {
			t.Errorf("%s is called %s", addr, class)
		}
		if plain.IsLinkLocalUnicast() && class != ClassLinkLocal && class != ClassMetadata {
			t.Errorf("%s is called %s", addr, class)
		}
		if got := Classify(addr.WithZone("eth0")); got != ClassZoned {
			t.Errorf("%s with a zone is called %s", addr, got)
		}
		v4 := netip.AddrFrom4([4]byte(b[12:]))
		if mapped := netip.AddrFrom16(v4.As16()); Classify(mapped) != Classify(v4) {
			t.Errorf("%s is %s, but %s is %s", v4, Classify(v4), mapped, Classify(mapped))
		}
	})
}

func BenchmarkClassify(b *testing.B) {
	addr := netip.MustParseAddr("2401:1d80:3000::1")
	for b.Loop() {
		if Classify(addr) != ClassPublic {
			b.Fatal(addr)
		}
	}
}
