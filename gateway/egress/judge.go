package egress

import (
	"net"
	"net/netip"
	"slices"
)

// judge decides which addresses may be dialled. It is immutable.
type judge struct {
	allow      []PrivateNetwork // each inside one openable range, see validateAllow
	own        []netip.AddrPort
	addresses  []Address
	interfaces func() ([]net.Addr, error)
}

// check returns an *AddressError unless target, an address of host, may be dialled
// on behalf of connection.
func (j *judge) check(connection, host string, target netip.AddrPort) error {
	addr := target.Addr()
	r := classify(addr)
	switch {
	case r.class != ClassZoned && j.isOwn(netip.AddrPortFrom(addr.Unmap(), target.Port())):
		return &AddressError{Host: host, Addr: addr, Class: ClassOwnListener}
	case r.class == ClassPublic:
		return nil
	case r.class.openable() && j.allowed(connection, addr.Unmap()):
		return nil
	}
	return &AddressError{Host: host, Addr: addr, Class: r.class, Source: r.source}
}

func (j *judge) allowed(connection string, addr netip.Addr) bool {
	return slices.ContainsFunc(j.allow, func(n PrivateNetwork) bool {
		return (n.Connection == "" || n.Connection == connection) && n.Prefix.Contains(addr)
	})
}

// checkProxy returns an *AddressError unless a provider's proxy may be at target,
// an address of host.
func (j *judge) checkProxy(host string, target netip.AddrPort) error {
	addr := target.Addr()
	if err := judgeProxy(addr); err != nil {
		err.Host = host
		return err
	}
	if j.isOwn(netip.AddrPortFrom(addr.Unmap(), target.Port())) {
		return &AddressError{Host: host, Addr: addr, Class: ClassOwnListener}
	}
	return nil
}

// isOwn reports whether target, unmapped, leads to a listener of the gateway.
func (j *judge) isOwn(target netip.AddrPort) bool {
	for _, own := range j.own {
		if own.Port() != target.Port() {
			continue
		}
		listens := own.Addr().Unmap()
		if listens == target.Addr() || listens.IsUnspecified() && j.isThisMachine(target.Addr()) {
			return true
		}
		// What NAT sends back in to the address that is listened on.
		if slices.ContainsFunc(j.addresses, func(a Address) bool {
			return a.Proxy == nil && a.Public == target.Addr() && (listens == a.Local || listens.IsUnspecified())
		}) {
			return true
		}
	}
	return false
}

// isThisMachine reports whether a listener on all addresses is reached under
// addr. What can't be found out counts as yes.
func (j *judge) isThisMachine(addr netip.Addr) bool {
	if addr.IsLoopback() || addr.IsUnspecified() {
		return true
	}
	interfaces, err := j.interfaces()
	if err != nil {
		return true
	}
	return slices.ContainsFunc(interfaces, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == addr
	})
}
