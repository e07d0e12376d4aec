package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Address is one egress address, and how calls come to leave from it: either a
// socket is bound to an address of this machine, or a static-IP provider's proxy
// is asked for the connection.
type Address struct {
	Public netip.Addr // what Jira sees, and what customers put on their allowlists
	Local  netip.Addr // what the socket is bound to; differs from Public behind NAT
	Proxy  *Proxy     // the provider's proxy; nil where Local is bound
}

// String returns a in the form that ParseAddresses reads, but without the
// credentials of a proxy.
func (a Address) String() string {
	switch {
	case a.Proxy != nil:
		return a.Public.String() + "=" + a.Proxy.String()
	case a.Public == a.Local:
		return a.Public.String()
	}
	return a.Public.String() + "=" + a.Local.String()
}

// equal reports whether a and b are reached the same way, by the same credentials.
func (a Address) equal(b Address) bool {
	if a.Public != b.Public || a.Local != b.Local || (a.Proxy == nil) != (b.Proxy == nil) {
		return false
	}
	return a.Proxy == nil || a.Proxy.equal(b.Proxy)
}

// SameAddresses reports whether a and b are the same addresses in the same order,
// reached the same way.
func SameAddresses(a, b []Address) bool { return slices.EqualFunc(a, b, Address.equal) }

// ParseAddresses reads the form of JIRAGATE_EGRESS: entries separated by commas,
// without spaces, each of them PUBLIC_IP=LOCAL_IP, a single IP that stands for
// both, or PUBLIC_IP=URL with the URL of a static-IP provider's proxy, see
// [ParseProxy]. IP addresses must be in their normal form, the two of an entry in
// the same family, and no public or local address may be named twice. Several
// addresses may be reached by one proxy URL only where the provider tells them
// apart by credentials; [Egress] cannot know, egress verify does. The empty string
// is an empty list.
//
// Since a URL holds a password, errors name an entry by its number and never
// repeat its text. A comma in a password is written %2C.
func ParseAddresses(s string) ([]Address, error) {
	if s == "" {
		return nil, nil
	}
	var addresses []Address
	for i, entry := range strings.Split(s, ",") {
		a, err := parseAddress(entry)
		if err != nil {
			return nil, fmt.Errorf("egress address %d: %w", i+1, err)
		}
		for j, other := range addresses {
			switch {
			case a.Public == other.Public:
				return nil, fmt.Errorf("egress address %d: public address %s is already entry %d", i+1, a.Public, j+1)
			case a.Proxy == nil && a.Local == other.Local:
				return nil, fmt.Errorf("egress address %d: local address %s is already entry %d; one local address cannot be seen as two public ones", i+1, a.Local, j+1)
			}
		}
		addresses = append(addresses, a)
	}
	return addresses, nil
}

func parseAddress(entry string) (Address, error) {
	public, way, both := strings.Cut(entry, "=")
	if strings.Contains(public, "://") {
		return Address{}, errors.New("public address: missing; write PUBLIC_IP=URL, with the address that the proxy's calls come from")
	}
	var a Address
	var err error
	if a.Public, err = ParsePublic(public); err != nil {
		return Address{}, fmt.Errorf("public address: %w", err)
	}
	switch {
	case !both:
		a.Local = a.Public
		return a, nil
	case strings.Contains(way, "://"):
		if a.Proxy, err = ParseProxy(way); err != nil {
			return Address{}, fmt.Errorf("proxy of %s: %w", a.Public, err)
		}
		return a, nil
	}
	if a.Local, err = parseBindable(way); err != nil {
		return Address{}, fmt.Errorf("local address of %s: %w", a.Public, err)
	}
	if a.Public.Is4() != a.Local.Is4() {
		return Address{}, fmt.Errorf("%s=%s mixes IPv4 and IPv6; give both in the same family", a.Public, a.Local)
	}
	if Classify(a.Public) != ClassPublic && Classify(a.Local) == ClassPublic {
		return Address{}, fmt.Errorf("%s=%s seems the wrong way round; write PUBLIC_IP=LOCAL_IP", a.Public, a.Local)
	}
	return a, nil
}

// ParsePublic reads an address that could be an egress address as Jira sees it, in
// its normal form. Private, loopback and documentation addresses pass: they serve
// simulators and tests.
func ParsePublic(s string) (netip.Addr, error) {
	addr, err := parseBindable(s)
	if err == nil && Classify(addr) == ClassReserved {
		return netip.Addr{}, errors.New("a reserved address cannot be an egress address")
	}
	return addr, err
}

// parseBindable reads an address that a socket could be bound to. Private and
// loopback addresses pass: the latter serve simulators and tests.
func parseBindable(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, errors.New("missing; write PUBLIC_IP=LOCAL_IP")
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, errors.New("not an IP address; write PUBLIC_IP=LOCAL_IP without spaces, or PUBLIC_IP=http://USER:PASSWORD@HOST:PORT for a provider's proxy (https and socks5 too; a comma in a password is %2C)")
	}
	if addr.Is4In6() {
		return netip.Addr{}, fmt.Errorf("IPv4 inside IPv6; write %s", addr.Unmap())
	}
	switch c := Classify(addr); c {
	case ClassUnspecified, ClassThisNetwork, ClassMulticast, ClassBroadcast, ClassLinkLocal, ClassMetadata, ClassZoned:
		return netip.Addr{}, fmt.Errorf("a %s address cannot be an egress address", c)
	}
	if addr.String() != s {
		return netip.Addr{}, fmt.Errorf("not in normal form; write %s", addr)
	}
	return addr, nil
}
