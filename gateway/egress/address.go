package egress

import "net/netip"

// Class says what kind of address an address is. Its text is stable: errors,
// logs and tests share the word.
type Class string

// The classes. Only ClassPublic may be dialled; ClassPrivate,
// ClassUniqueLocal, ClassCGNAT and ClassLoopback too where the operator named
// them, see [ParseAllowPrivate].
const (
	ClassPublic         Class = "public"         // global unicast
	ClassLoopback       Class = "loopback"       // this machine
	ClassPrivate        Class = "private"        // 10/8, 172.16/12, 192.168/16
	ClassUniqueLocal    Class = "unique_local"   // fc00::/7, IPv6's private addresses
	ClassCGNAT          Class = "cgnat"          // 100.64/10, carriers' and overlay networks
	ClassUnspecified    Class = "unspecified"    // 0.0.0.0 and ::, which connect(2) takes for loopback
	ClassThisNetwork    Class = "this_network"   // 0/8
	ClassLinkLocal      Class = "link_local"     // 169.254/16, fe80::/10
	ClassSiteLocal      Class = "site_local"     // fec0::/10, deprecated
	ClassMetadata       Class = "cloud_metadata" // services that hand out a machine's credentials
	ClassMulticast      Class = "multicast"
	ClassBroadcast      Class = "broadcast"
	ClassDocumentation  Class = "documentation"
	ClassBenchmarking   Class = "benchmarking"
	ClassProtocol       Class = "protocol_assignment" // anycast and other uses by protocols
	ClassReserved       Class = "reserved"            // not allocated, or given back
	ClassDiscardOnly    Class = "discard_only"
	ClassSegmentRouting Class = "segment_routing" // SRv6 SIDs
	ClassIPv4Compatible Class = "ipv4_compatible" // ::a.b.c.d
	ClassIPv4Translated Class = "ipv4_translated" // ::ffff:0:a.b.c.d
	ClassNAT64          Class = "nat64"
	Class6to4           Class = "6to4"
	ClassTeredo         Class = "teredo"
	ClassISATAP         Class = "isatap"

	ClassMalformed   Class = "malformed"    // not an address, nor a host name
	ClassZoned       Class = "zoned"        // with a zone, so of one link only (RFC 4007, section 11)
	ClassOwnListener Class = "own_listener" // where the gateway itself listens
	ClassOtherFamily Class = "other_family" // IPv6 where only IPv4 addresses are published, or the reverse
)

// openable says whether the operator may allow addresses of class c.
func (c Class) openable() bool {
	switch c {
	case ClassPrivate, ClassUniqueLocal, ClassCGNAT, ClassLoopback:
		return true
	}
	return false
}

// Classify returns the class of addr. An IPv4-mapped address
// (RFC 4291, section 2.5.5.2) is what the IPv4 address in it is, since that is
// where connect(2) goes; every other form that embeds an IPv4 address is a
// class of its own.
func Classify(addr netip.Addr) Class { return classify(addr).class }

// classify is Classify with the range that addr fell into.
func classify(addr netip.Addr) specialRange {
	if !addr.IsValid() {
		return specialRange{class: ClassMalformed}
	}
	if addr.Zone() != "" {
		return specialRange{class: ClassZoned, source: "RFC 4007, section 11"}
	}
	addr = addr.Unmap()
	best := specialRange{class: ClassPublic}
	for _, r := range specialRanges {
		if r.prefix.Contains(addr) && (!best.prefix.IsValid() || r.prefix.Bits() > best.prefix.Bits()) {
			best = r
		}
	}
	if best.class != ClassPublic || addr.Is4() {
		return best
	}
	if !allocatedIPv6.Contains(addr) {
		return specialRange{class: ClassReserved, source: "RFC 4291, section 2.4"}
	}
	if isISATAP(addr) {
		return specialRange{class: ClassISATAP, source: "RFC 5214, section 6.1"}
	}
	return best
}

// allocatedIPv6 is the only IPv6 space from which IANA gives out global
// unicast addresses (RFC 4291, section 2.4; IANA's IPv6 address space registry).
var allocatedIPv6 = netip.MustParsePrefix("2000::/3")

// isISATAP reports whether the interface identifier of addr embeds an IPv4
// address in the way of RFC 5214, section 6.1: 00-00-5E-FE or 02-00-5E-FE.
func isISATAP(addr netip.Addr) bool {
	b := addr.As16()
	return b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}
