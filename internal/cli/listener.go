package cli

import (
	"net"
	"net/netip"
)

func addrPort(l net.Listener) netip.AddrPort {
	a := l.Addr().(*net.TCPAddr).AddrPort() // all are TCP
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// reachable is where l can be reached from this machine: where it listens, and on the
// loopback address if that is everywhere.
func reachable(l net.Listener) string {
	a := addrPort(l)
	switch {
	case !a.Addr().IsUnspecified():
	case a.Addr().Is4():
		a = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())
	default:
		a = netip.AddrPortFrom(netip.IPv6Loopback(), a.Port())
	}
	return a.String()
}
