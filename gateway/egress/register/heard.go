package register

import "net/netip"

// Heard reports whether any change is about address, one that was called off
// included. It takes no lock.
func (r *Register) Heard(address netip.Addr) bool {
	_, ok := r.current.Load().entries[address]
	return ok
}
