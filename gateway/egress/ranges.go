package egress

import "net/netip"

// specialRange is a range of addresses that are not ordinary public ones.
type specialRange struct {
	prefix netip.Prefix
	class  Class
	source string // where it is defined, for error messages
}

// specialRanges are the IANA special-purpose address registries
// (RFC 6890, RFC 8190), multicast, what has been deprecated since, and the
// clouds' metadata services. The longest matching prefix decides. Ranges that
// the registries call globally reachable (AS112, AMT, anycast services) are
// here too: no Jira lives there.
var specialRanges = []specialRange{
	// IPv4.
	special("0.0.0.0/8", ClassThisNetwork, "RFC 791, section 3.2"),
	special("0.0.0.0/32", ClassUnspecified, "RFC 1122, section 3.2.1.3"),
	special("10.0.0.0/8", ClassPrivate, "RFC 1918, section 3"),
	special("100.64.0.0/10", ClassCGNAT, "RFC 6598, section 7"),
	special("127.0.0.0/8", ClassLoopback, "RFC 1122, section 3.2.1.3"),
	special("169.254.0.0/16", ClassLinkLocal, "RFC 3927, section 2.1"),
	special("172.16.0.0/12", ClassPrivate, "RFC 1918, section 3"),
	special("192.0.0.0/24", ClassProtocol, "RFC 6890, section 2.1"),
	special("192.0.2.0/24", ClassDocumentation, "RFC 5737, section 3"),
	special("192.31.196.0/24", ClassProtocol, "RFC 7535 (AS112)"),
	special("192.52.193.0/24", ClassProtocol, "RFC 7450 (AMT)"),
	special("192.88.99.0/24", Class6to4, "RFC 7526 (relay anycast, deprecated)"),
	special("192.168.0.0/16", ClassPrivate, "RFC 1918, section 3"),
	special("192.175.48.0/24", ClassProtocol, "RFC 7534 (AS112)"),
	special("198.18.0.0/15", ClassBenchmarking, "RFC 2544, appendix C.2.2"),
	special("198.51.100.0/24", ClassDocumentation, "RFC 5737, section 3"),
	special("203.0.113.0/24", ClassDocumentation, "RFC 5737, section 3"),
	special("224.0.0.0/4", ClassMulticast, "RFC 5771, section 3"),
	special("240.0.0.0/4", ClassReserved, "RFC 1112, section 4"),
	special("255.255.255.255/32", ClassBroadcast, "RFC 919, section 7"),

	// IPv6. IPv4-mapped addresses have been unmapped before.
	special("::/96", ClassIPv4Compatible, "RFC 4291, section 2.5.5.1"),
	special("::/128", ClassUnspecified, "RFC 4291, section 2.5.2"),
	special("::1/128", ClassLoopback, "RFC 4291, section 2.5.3"),
	special("::ffff:0:0:0/96", ClassIPv4Translated, "RFC 2765, section 2.1"),
	special("64:ff9b::/96", ClassNAT64, "RFC 6052, section 2.1"),
	special("64:ff9b:1::/48", ClassNAT64, "RFC 8215"),
	special("100::/64", ClassDiscardOnly, "RFC 6666"),
	special("100:0:0:1::/64", ClassDiscardOnly, "RFC 9780"),
	special("2001::/23", ClassProtocol, "RFC 2928"),
	special("2001::/32", ClassTeredo, "RFC 4380, section 2.6"),
	special("2001:2::/48", ClassBenchmarking, "RFC 5180, section 8"),
	special("2001:db8::/32", ClassDocumentation, "RFC 3849"),
	special("2002::/16", Class6to4, "RFC 3056, section 2"),
	special("2620:4f:8000::/48", ClassProtocol, "RFC 7534 (AS112)"),
	special("3ffe::/16", ClassReserved, "RFC 3701 (6bone, given back)"),
	special("3fff::/20", ClassDocumentation, "RFC 9637"),
	special("5f00::/16", ClassSegmentRouting, "RFC 9602"),
	special("fc00::/7", ClassUniqueLocal, "RFC 4193, section 3.1"),
	special("fe80::/10", ClassLinkLocal, "RFC 4291, section 2.5.6"),
	special("fec0::/10", ClassSiteLocal, "RFC 3879"),
	special("ff00::/8", ClassMulticast, "RFC 4291, section 2.7"),

	// Metadata services. Some lie in ranges that the operator may open, one
	// in public space: as single addresses they stay shut whatever is opened
	// around them.
	special("169.254.169.254/32", ClassMetadata, "AWS, Google Cloud, Azure, Oracle, OpenStack: instance metadata"),
	special("169.254.170.2/32", ClassMetadata, "AWS: ECS task credentials"),
	special("169.254.170.23/32", ClassMetadata, "AWS: EKS pod identity"),
	special("169.254.42.42/32", ClassMetadata, "Scaleway: instance metadata"),
	special("169.254.0.23/32", ClassMetadata, "Tencent Cloud: instance metadata"),
	special("100.100.100.200/32", ClassMetadata, "Alibaba Cloud: instance metadata"),
	special("168.63.129.16/32", ClassMetadata, "Azure: WireServer"),
	special("192.0.0.192/32", ClassMetadata, "Oracle Cloud Classic: instance metadata"),
	special("fd00:ec2::/32", ClassMetadata, "AWS: instance metadata, EKS pod identity and other local services"),
	special("fd20:ce::254/128", ClassMetadata, "Google Cloud: instance metadata"),
	special("fd00:c1::a9fe:a9fe/128", ClassMetadata, "Oracle Cloud: instance metadata"),
	special("fd00:42::42/128", ClassMetadata, "Scaleway: instance metadata"),
	special("fd00:a9fe:a9fe::1/128", ClassMetadata, "Akamai (Linode): instance metadata"),
	special("fd00:100::100:200/128", ClassMetadata, "Alibaba Cloud: instance metadata"),
	special("fe80::a9fe:a9fe/128", ClassMetadata, "OpenStack: instance metadata"),
}

func special(prefix string, class Class, source string) specialRange {
	return specialRange{prefix: netip.MustParsePrefix(prefix), class: class, source: source}
}
