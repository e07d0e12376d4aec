package egress

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// ways are the addresses that calls leave by, from one replacement to the next. A dial
// has the same ones from its beginning to its end.
type ways struct {
	number             uint64 // how often they were replaced
	addresses          []Address
	reaches4, reaches6 bool
	inUse              func(netip.Addr) bool
	proxyRoots         *x509.CertPool
	lostSeen           atomic.Pointer[lostSet]
	judge              *judge
	health             *health
	uses               []*use // of addresses, in their order
	resolver           Resolver
	system             system
	logger             *slog.Logger
}

// waysBy checks the addresses.
func (e *Egress) waysBy(addresses []Address, proxyRoots *x509.CertPool) (*ways, error) {
	o := &e.options
	w := &ways{
		addresses:  slices.Clone(addresses),
		inUse:      o.InUse,
		proxyRoots: proxyRoots,
		judge: &judge{
			allow:      o.AllowPrivate,
			own:        o.Own,
			addresses:  slices.Clone(addresses),
			interfaces: e.system.interfaces,
		},
		health:   newHealth(o.Now),
		uses:     newUses(addresses),
		resolver: o.Resolver,
		system:   e.system,
		logger:   o.Logger,
	}
	if len(addresses) > maxAddresses {
		return nil, fmt.Errorf("%d egress addresses: at most %d can be used", len(addresses), maxAddresses)
	}
	if len(addresses) == 0 {
		w.reaches4, w.reaches6 = true, true
		o.Logger.Warn("no egress address is configured: calls leave by the system's default route and their records say "+Unpinned,
			slog.String("warning", WarnUnpinned), slog.String("hint", "set JIRAGATE_EGRESS or JIRAGATE_EGRESS_FILE to the addresses that customers allow"))
		return w, nil
	}
	for _, a := range addresses {
		if err := w.checkAddress(a); err != nil {
			return nil, err
		}
		w.reaches4 = w.reaches4 || a.Public.Is4()
		w.reaches6 = w.reaches6 || a.Public.Is6()
	}
	return w, nil
}

// checkAddress refuses an address that could not work. Whether a proxy answers is
// seen later, since it may be out of order for a while as any address may.
func (w *ways) checkAddress(a Address) error {
	switch {
	case a.Proxy != nil && a.Public.IsValid() && !a.Local.IsValid():
		if addr, err := netip.ParseAddr(a.Proxy.Host); err == nil {
			if err := w.judge.checkProxy(a.Proxy.Host, netip.AddrPortFrom(addr, a.Proxy.Port)); err != nil {
				return fmt.Errorf("egress address %s: its proxy: %w", a, err)
			}
			if addr.IsLoopback() {
				w.logger.Warn("the proxy of an egress address is on this machine; this is for tests, unless it passes calls on", slog.String("address", a.String()),
					slog.String("hint", "name the provider's proxy in JIRAGATE_EGRESS"))
			}
		}
		if a.Proxy.Scheme != ProxyHTTPS && !a.Proxy.Username.IsZero() {
			w.logger.Warn("the credentials of a proxy cross the network unencrypted; use https:// where the provider has it", slog.String("address", a.String()),
				slog.String("hint", "change the scheme in JIRAGATE_EGRESS to https, or let the provider know the gateway by its address"))
		}
		return nil
	case !a.Public.IsValid() || !a.Local.IsValid() || a.Public.Is4() != a.Local.Is4():
		return fmt.Errorf("egress address %s: public and local address must be IP addresses of the same family", a)
	}
	if err := w.system.bindable(a.Local); err != nil {
		return fmt.Errorf("egress address %s: local address %s is not on this machine; add it to an interface (ip address add), or name the address that the machine has behind NAT: %w", a, a.Local, err)
	}
	return nil
}

// InUse is a set of addresses, for comparison.
type InUse struct {
	replaced uint64 // how often the configured ones were
	set      uint64 // of them
}

func (w *ways) used() InUse {
	lost := w.lostAddresses()
	use := InUse{replaced: w.number}
	for i, a := range w.addresses {
		if w.inUse(a.Public) && lost&(1<<i) == 0 {
			use.set |= 1 << i
		}
	}
	return use
}

// lostAddresses is the set of those that are lost, as it was at most lostAge ago:
// finding out takes a system call for each address.
func (w *ways) lostAddresses() uint64 {
	if seen := w.lostSeen.Load(); seen != nil && time.Since(seen.at) < lostAge {
		return seen.set
	}
	seen := &lostSet{at: time.Now()}
	for i, a := range w.addresses {
		if w.lost(a) {
			seen.set |= 1 << i
		}
	}
	w.lostSeen.Store(seen)
	return seen.set
}

// lostSet is a set of local addresses that are not on this machine, at a time.
type lostSet struct {
	at  time.Time
	set uint64
}

// lost reports whether a is bound locally and its address not on this machine. A
// bind that fails for another reason, such as too many open files, says nothing
// about what is open already.
func (w *ways) lost(a Address) bool {
	return a.Proxy == nil && errors.Is(w.system.bindable(a.Local), syscall.EADDRNOTAVAIL)
}

// usable are the addresses that calls may leave from at the moment.
func (w *ways) usable() []Address {
	var usable []Address
	for _, a := range w.addresses {
		if w.inUse(a.Public) {
			usable = append(usable, a)
		}
	}
	return usable
}
