package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// PrivateNetwork is a network that upstream hosts may be in although it is not
// public.
type PrivateNetwork struct {
	// Connection is the id of the one connection whose host may be there; empty
	// means any.
	Connection string
	Prefix     netip.Prefix
}

// String returns n in the form that ParseAllowPrivate reads.
func (n PrivateNetwork) String() string {
	if n.Connection == "" {
		return n.Prefix.String()
	}
	return n.Connection + "=" + n.Prefix.String()
}

// ParseAllowPrivate reads the form of JIRAGATE_EGRESS_ALLOW_PRIVATE: entries
// separated by commas, without spaces, each a CIDR in normal form, or
// CONNECTION=CIDR which opens it to that one connection. Each must lie inside one
// range that may be opened: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16,
// 100.64.0.0/10, fc00::/7, 127.0.0.0/8 or ::1/128. So 0.0.0.0/0 is refused
// rather than taken to open loopback, and so is a CIDR that could never take
// effect. Metadata services inside an opened CIDR stay shut. The empty string
// is an empty list.
func ParseAllowPrivate(s string) ([]PrivateNetwork, error) {
	if s == "" {
		return nil, nil
	}
	var networks []PrivateNetwork
	for i, text := range strings.Split(s, ",") {
		connection, cidr, scoped := strings.Cut(text, "=")
		if !scoped {
			connection, cidr = "", text
		}
		p, err := parseAllow(cidr)
		switch n := (PrivateNetwork{connection, p}); {
		case err != nil:
			return nil, fmt.Errorf("allowed private network %d: %w", i+1, err)
		case scoped && !validConnection(connection):
			return nil, fmt.Errorf("allowed private network %d: what stands before = is not the id of a connection; write CONNECTION=CIDR", i+1)
		case slices.Contains(networks, n):
			return nil, fmt.Errorf("allowed private network %d: named twice", i+1)
		default:
			networks = append(networks, n)
		}
	}
	return networks, nil
}

// validConnection reports whether id could be the id of a connection. Whether
// there is one of that id is not known here.
func validConnection(id string) bool {
	const alphanumeric = "abcdefghijklmnopqrstuvwxyz0123456789"
	return id != "" && len(id) <= 63 && strings.Trim(id, alphanumeric+"._-") == "" && strings.Contains(alphanumeric, id[:1])
}

func parseAllow(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			return netip.Prefix{}, fmt.Errorf("not a CIDR; for this one address write %s/%d", addr, addr.BitLen())
		}
		return netip.Prefix{}, errors.New("not a CIDR; write NETWORK/BITS without spaces, for example 10.20.0.0/16")
	}
	if err := validateAllow(p); err != nil {
		return netip.Prefix{}, err
	}
	if p.String() != text {
		return netip.Prefix{}, fmt.Errorf("not in normal form; write %s", p)
	}
	return p, nil
}

// validateAllow returns why p would not open what it seems to open, or nil.
func validateAllow(p netip.Prefix) error {
	switch {
	case !p.IsValid():
		return errors.New("not a CIDR")
	case p.Addr().Is4In6():
		return errors.New("IPv4 inside IPv6; write it as an IPv4 network")
	case p != p.Masked():
		return fmt.Errorf("has bits below the prefix length; write %s", p.Masked())
	}
	var around, within specialRange // the narrowest range around p; an openable one inside it
	for _, r := range specialRanges {
		switch {
		case !r.prefix.Overlaps(p):
		case r.prefix.Bits() > p.Bits():
			if r.class.openable() && !within.prefix.IsValid() {
				within = r
			}
		case !around.prefix.IsValid() || r.prefix.Bits() > around.prefix.Bits():
			around = r
		}
	}
	switch {
	case around.class.openable():
		return nil
	case around.prefix.IsValid():
		return fmt.Errorf("could never take effect: %s is %s (%s), which stays forbidden; remove it", around.prefix, around.class, around.source)
	case within.prefix.IsValid():
		return fmt.Errorf("wider than %s (%s, %s), so it names addresses that cannot be opened; write the networks Jira is in one by one", within.prefix, within.class, within.source)
	case Classify(p.Addr()) != ClassPublic:
		return fmt.Errorf("could never take effect: it is %s, which stays forbidden; remove it", Classify(p.Addr()))
	}
	return errors.New("public addresses need no permission; remove it")
}
