package egress

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// Options is what New needs. The zero value dials from any address of the
// machine, to public addresses.
type Options struct {
	// Addresses are the region's egress addresses, in any order. If there are
	// none, the system chooses where calls leave from.
	Addresses []Address
	// InUse says which public addresses calls may leave from at the moment, so that
	// one can be configured before it is used. It is called for every dial and must
	// not block; nil means all.
	InUse func(public netip.Addr) bool
	// ProxyRoots verify the certificates of proxies; nil means the system's roots.
	ProxyRoots *x509.CertPool
	// AllowPrivate are the networks that upstream hosts may be in although
	// not public, as [ParseAllowPrivate] returns them.
	AllowPrivate []PrivateNetwork
	// Own are the gateway's own listeners, which are never dialled. One on
	// the unspecified address stands for every address of the machine.
	Own []netip.AddrPort
	// Resolver looks up host names; nil is Go's own resolver with the
	// system's settings.
	Resolver Resolver
	// Logger gets warnings; nil discards them.
	Logger *slog.Logger
	// Now is the clock of the cool-downs; nil is time.Now.
	Now func() time.Time
}

// Egress dials. It is safe for concurrent use.
type Egress struct {
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

// New returns an Egress. It fails if an egress address is not on this machine,
// or if an option could not mean what it says.
func New(o Options) (*Egress, error) { return newOn(hostSystem(), o) }

func newOn(sys system, o Options) (*Egress, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Resolver == nil {
		o.Resolver = &systemResolver{net.Resolver{PreferGo: true}}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.InUse == nil {
		o.InUse = func(netip.Addr) bool { return true }
	}
	e := &Egress{
		addresses:  slices.Clone(o.Addresses),
		inUse:      o.InUse,
		proxyRoots: o.ProxyRoots,
		judge: &judge{
			allow:      slices.Clone(o.AllowPrivate),
			own:        slices.Clone(o.Own),
			addresses:  slices.Clone(o.Addresses),
			interfaces: sys.interfaces,
		},
		health:   newHealth(o.Now),
		uses:     newUses(o.Addresses),
		resolver: o.Resolver,
		system:   sys,
		logger:   o.Logger,
	}
	for _, own := range o.Own {
		if !own.IsValid() || own.Port() == 0 {
			return nil, fmt.Errorf("own listener %s: its address and port must be known before the egress is made", own)
		}
	}
	for _, n := range o.AllowPrivate {
		if err := validateAllow(n.Prefix); err != nil {
			return nil, fmt.Errorf("allowed private network %s: %w", n, err)
		}
		if n.Prefix.Addr().IsLoopback() {
			o.Logger.Warn("upstream hosts may be on loopback; this is for simulators and tests only", slog.String("network", n.String()),
				slog.String("hint", "take it out of JIRAGATE_EGRESS_ALLOW_PRIVATE unless this is one"))
		}
	}
	if len(o.Addresses) > maxAddresses {
		return nil, fmt.Errorf("%d egress addresses: at most %d can be used", len(o.Addresses), maxAddresses)
	}
	if len(o.Addresses) == 0 {
		e.reaches4, e.reaches6 = true, true
		o.Logger.Warn("no egress address is configured: calls leave by the system's default route and their records say "+Unpinned,
			slog.String("hint", "set JIRAGATE_EGRESS or JIRAGATE_EGRESS_FILE to the addresses that customers allow"))
		return e, nil
	}
	for _, a := range o.Addresses {
		if err := e.checkAddress(a); err != nil {
			return nil, err
		}
		e.reaches4 = e.reaches4 || a.Public.Is4()
		e.reaches6 = e.reaches6 || a.Public.Is6()
	}
	return e, nil
}

// checkAddress refuses an address that could not work. Whether a proxy answers is
// seen later, since it may be out of order for a while as any address may.
func (e *Egress) checkAddress(a Address) error {
	switch {
	case a.Proxy != nil && a.Public.IsValid() && !a.Local.IsValid():
		if addr, err := netip.ParseAddr(a.Proxy.Host); err == nil {
			if err := e.judge.checkProxy(a.Proxy.Host, netip.AddrPortFrom(addr, a.Proxy.Port)); err != nil {
				return fmt.Errorf("egress address %s: its proxy: %w", a, err)
			}
			if addr.IsLoopback() {
				e.logger.Warn("the proxy of an egress address is on this machine; this is for tests, unless it passes calls on", slog.String("address", a.String()),
					slog.String("hint", "name the provider's proxy in JIRAGATE_EGRESS"))
			}
		}
		if a.Proxy.Scheme != ProxyHTTPS && !a.Proxy.Username.IsZero() {
			e.logger.Warn("the credentials of a proxy cross the network unencrypted; use https:// where the provider has it", slog.String("address", a.String()),
				slog.String("hint", "change the scheme in JIRAGATE_EGRESS to https, or let the provider know the gateway by its address"))
		}
		return nil
	case !a.Public.IsValid() || !a.Local.IsValid() || a.Public.Is4() != a.Local.Is4():
		return fmt.Errorf("egress address %s: public and local address must be IP addresses of the same family", a)
	}
	if err := e.system.bindable(a.Local); err != nil {
		return fmt.Errorf("egress address %s: local address %s is not on this machine; add it to an interface (ip address add), or name the address that the machine has behind NAT: %w", a, a.Local, err)
	}
	return nil
}

// Addresses returns the egress addresses as configured; none if unpinned.
func (e *Egress) Addresses() []Address { return slices.Clone(e.addresses) }

// InUse identifies the set of addresses that calls may leave from at the moment:
// those in use, without local ones that this machine has lost. A connection that
// was opened while it was another may have left from an address that is no longer
// in use, or that is lost: what is sent by it then goes nowhere, and only a time-out
// tells.
func (e *Egress) InUse() uint64 {
	lost := e.lostAddresses()
	var set uint64
	for i, a := range e.addresses {
		if e.inUse(a.Public) && lost&(1<<i) == 0 {
			set |= 1 << i
		}
	}
	return set
}

// lostAddresses is the set of those that are lost, as it was at most lostAge ago:
// finding out takes a system call for each address.
func (e *Egress) lostAddresses() uint64 {
	if seen := e.lostSeen.Load(); seen != nil && time.Since(seen.at) < lostAge {
		return seen.set
	}
	seen := &lostSet{at: time.Now()}
	for i, a := range e.addresses {
		if e.lost(a) {
			seen.set |= 1 << i
		}
	}
	e.lostSeen.Store(seen)
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
func (e *Egress) lost(a Address) bool {
	return a.Proxy == nil && errors.Is(e.system.bindable(a.Local), syscall.EADDRNOTAVAIL)
}

// usable are the addresses that calls may leave from at the moment.
func (e *Egress) usable() []Address {
	var usable []Address
	for _, a := range e.addresses {
		if e.inUse(a.Public) {
			usable = append(usable, a)
		}
	}
	return usable
}
