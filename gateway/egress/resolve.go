package egress

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Resolver looks up the addresses of a host name. [net.Resolver] is one.
// network is "ip", "ip4" or "ip6"; host is never an IP literal.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// systemResolver is Go's own resolver, so that no other one gets to read
// "0x7f.1" as an address. It looks up names with a dot in them as they are,
// without the search list of resolv.conf: "jira.acme.com" must not become
// "jira.acme.com.internal.example".
type systemResolver struct{ net.Resolver }

func (r *systemResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if strings.Contains(host, ".") && !strings.HasSuffix(host, ".") {
		host += "."
	}
	return r.Resolver.LookupNetIP(ctx, network, host)
}

// resolve returns the addresses to try for the host of call, judged, in the order
// to try them; at least one if err is nil, at most maxTargets.
func (w *ways) resolve(ctx context.Context, call errand, port uint16) ([]netip.AddrPort, error) {
	host := call.host
	if addr, err := netip.ParseAddr(host); err == nil {
		target := netip.AddrPortFrom(addr, port)
		if err := w.check(call, target); err != nil {
			return nil, err
		}
		return []netip.AddrPort{netip.AddrPortFrom(addr.Unmap(), port)}, nil
	}
	if !validHostName(host) {
		return nil, &AddressError{Host: host, Class: ClassMalformed}
	}
	answers, err := w.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	var targets []netip.AddrPort
	var refused error
	for _, addr := range answers[:min(len(answers), maxAnswers)] {
		if err := w.check(call, netip.AddrPortFrom(addr, port)); err != nil {
			refused = err
			w.logger.WarnContext(ctx, "upstream address refused", slog.Any("error", err),
				slog.String("hint", "if this Jira is in a private network, allow it with JIRAGATE_EGRESS_ALLOW_PRIVATE; otherwise ask the customer about the name's DNS records"))
			continue
		}
		target := netip.AddrPortFrom(addr.Unmap(), port)
		if !slices.Contains(targets, target) {
			targets = append(targets, target)
		}
	}
	if len(targets) == 0 {
		return nil, refused
	}
	targets = alternateFamilies(targets)
	return targets[:min(len(targets), maxTargets)], nil
}

func (w *ways) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	network := "ip"
	switch {
	case w.reaches4 && !w.reaches6:
		network = "ip4"
	case w.reaches6 && !w.reaches4:
		network = "ip6"
	}
	answers, err := w.resolver.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, fmt.Errorf("look up %s (%s): %w: %w", host, network, ErrResolve, err)
	}
	if len(answers) == 0 {
		return nil, fmt.Errorf("look up %s (%s): %w: no address", host, network, ErrResolve)
	}
	return answers, nil
}

// check is the judgement on one address of the host of call, that of its family
// included.
func (w *ways) check(call errand, target netip.AddrPort) error {
	if err := w.judge.check(call.connection, call.host, target); err != nil {
		return err
	}
	if is4 := target.Addr().Unmap().Is4(); is4 && !w.reaches4 || !is4 && !w.reaches6 {
		return &AddressError{Host: call.host, Addr: target.Addr(), Class: ClassOtherFamily}
	}
	return nil
}

// alternateFamilies keeps the resolver's order within each family and takes
// from both in turn, beginning with the family of the first (RFC 8305, section
// 4), so that one family without a route does not use up all the attempts.
func alternateFamilies(targets []netip.AddrPort) []netip.AddrPort {
	var same, other []netip.AddrPort
	for _, t := range targets {
		if t.Addr().Is4() == targets[0].Addr().Is4() {
			same = append(same, t)
		} else {
			other = append(other, t)
		}
	}
	mixed := make([]netip.AddrPort, 0, len(targets))
	for i := range targets {
		if i < len(same) {
			mixed = append(mixed, same[i])
		}
		if i < len(other) {
			mixed = append(mixed, other[i])
		}
	}
	return mixed
}

// splitTarget splits the "host:port" that DialContext was given. The port is a
// decimal number in normal form; service names are refused.
func splitTarget(address string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port: %w", address, err)
	}
	if net.JoinHostPort(host, text) != address {
		return "", 0, fmt.Errorf("%q is not host:port: brackets are for IPv6 addresses only", address)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		return "", 0, fmt.Errorf("port %q of %q is not a number from 1 to 65535", text, address)
	}
	return host, uint16(n), nil
}

// validHostName reports whether name may be looked up: labels of letters,
// digits, hyphens and underscores (RFC 1123, section 2.1; underscores occur
// on private networks), a final dot at most. A last label that is a number is
// refused: "127.1", "0x7f000001" and "2130706433" are IPv4 addresses to some
// resolvers, and no top-level domain is numeric.
func validHostName(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notHostByte) {
			return false
		}
		last = label
	}
	return !isNumber(last)
}

func notHostByte(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
		return false
	}
	return true
}

// isNumber reports whether label is a decimal, octal or hexadecimal number to
// inet_aton(3), however large.
func isNumber(label string) bool {
	digits := "0123456789"
	if rest, hex := strings.CutPrefix(strings.ToLower(label), "0x"); hex {
		label, digits = rest, "0123456789abcdef"
	}
	return strings.Trim(strings.ToLower(label), digits) == ""
}
