package netlab

import (
	"fmt"
	"net/netip"
)

// maxHosts bounds a lab.
const maxHosts = 64

// device is the name of each host's one interface beside lo. Names are the
// namespace's own, so they need not differ between hosts.
const device = "eth0"

// Host is a machine of a lab: a loopback interface, one interface on the lab's
// segment, and routes that take every address for a neighbour's. It is safe for
// concurrent use.
type Host struct {
	lab       *Lab
	name      string
	namespace namespace
	resolver  resolvers
}

// Host adds a host with the given addresses, each with its prefix length, such as
// "10.0.0.5/24" or "2600:1f18::5/64". The first of a family is the one that the
// kernel takes where nobody chooses. IPv6 addresses are usable at once, without
// duplicate address detection; there are no link-local ones. The name must be
// new to the lab; errors bear it. A host that cannot be made is fatal to the test.
func (l *Lab) Host(name string, addresses ...string) *Host {
	l.t.Helper()
	h := &Host{lab: l, name: name}
	if err := h.setUp(); err != nil {
		l.t.Fatalf("make lab host %s: %v", name, err)
	}
	for _, cidr := range addresses {
		if err := h.AddAddress(cidr); err != nil {
			l.t.Fatal(err)
		}
	}
	return h
}

func (h *Host) setUp() error {
	n, err := newNamespace()
	if err != nil {
		return err
	}
	h.namespace = n
	port, err := h.lab.admit(h)
	if err != nil {
		n.file.Close()
		return err
	}
	if err := n.run(keepSecondaries); err != nil {
		return err
	}
	if err := h.lab.bridge.ip(n,
		fmt.Sprintf("link add %s type veth peer name %s netns /proc/self/fd/3", port, device),
		fmt.Sprintf("link set %s addrgenmode none master br0 up", port)); err != nil {
		return err
	}
	return n.ip(namespace{}, "link set lo up", fmt.Sprintf("link set %s addrgenmode none up", device))
}

// admit registers h, which the lab's end then closes, and names its bridge port.
func (l *Lab) admit(h *Host) (port string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.hosts[h.name] != nil:
		return "", fmt.Errorf("the lab has a host %s already", h.name)
	case len(l.hosts) == maxHosts:
		return "", fmt.Errorf("the lab has %d hosts already", maxHosts)
	}
	port = fmt.Sprintf("port%d", len(l.hosts))
	l.hosts[h.name] = h
	return port, nil
}

// AddAddress gives the host another address, in the form that [Lab.Host] takes.
// An address that another host of the lab has is refused: nobody could tell who
// answered.
func (h *Host) AddAddress(cidr string) error {
	p, err := h.parse(cidr)
	if err != nil {
		return err
	}
	l := h.lab
	l.mu.Lock()
	defer l.mu.Unlock()
	if owner := l.addresses[p.Addr()]; owner != nil {
		return fmt.Errorf("lab host %s: address %s is on host %s already; remove it there first", h.name, p.Addr(), owner.name)
	}
	add, everywhere := "address add "+p.String()+" dev "+device, "0.0.0.0/0"
	if p.Addr().Is6() {
		add, everywhere = add+" nodad", "::/0"
	}
	// The kernel drops the route with a family's last address, hence each time.
	if err := h.namespace.ip(namespace{}, add, "route replace "+everywhere+" dev "+device); err != nil {
		return fmt.Errorf("lab host %s: add address %s: %w", h.name, p, err)
	}
	l.addresses[p.Addr()] = h
	return nil
}

// RemoveAddress takes an address away, which must be as it was given. Sockets
// bound to it stay open, and what they send no longer leaves.
func (h *Host) RemoveAddress(cidr string) error {
	p, err := h.parse(cidr)
	if err != nil {
		return err
	}
	l := h.lab
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.addresses[p.Addr()] != h {
		return fmt.Errorf("lab host %s has no address %s to remove", h.name, p)
	}
	if err := h.namespace.ip(namespace{}, "address delete "+p.String()+" dev "+device); err != nil {
		return fmt.Errorf("lab host %s: remove address %s: %w", h.name, p, err)
	}
	delete(l.addresses, p.Addr())
	return nil
}

func (h *Host) parse(cidr string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(cidr)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("lab host %s: address %q is not ADDRESS/BITS, such as 10.0.0.5/24 or 2600:1f18::5/64", h.name, cidr)
	}
	return p, nil
}
