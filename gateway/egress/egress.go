package egress

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
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
	system  system
	options Options // with its defaults; of the addresses and the roots, those at the start

	replacing sync.Mutex
	current   atomic.Pointer[ways]
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
	o.AllowPrivate, o.Own = slices.Clone(o.AllowPrivate), slices.Clone(o.Own)
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
	e := &Egress{system: sys, options: o}
	w, err := e.waysBy(o.Addresses, o.ProxyRoots)
	if err != nil {
		return nil, err
	}
	e.current.Store(w)
	return e, nil
}

// Replace checks other addresses, and roots for their proxies, as [New] does. Where
// they can be used, put lets calls leave by them and by no others, all at once; until
// then, and after an error, nothing has changed. A dial that is under way goes on by
// the addresses it began with, and connections stay open: [Egress.InUse] tells who
// keeps some that it is another set. Put is called once or never.
func (e *Egress) Replace(addresses []Address, proxyRoots *x509.CertPool) (put func(), err error) {
	next, err := e.waysBy(addresses, proxyRoots)
	if err != nil {
		return nil, err
	}
	return func() {
		e.replacing.Lock()
		defer e.replacing.Unlock()
		old := e.current.Load()
		next.number = old.number + 1
		next.health = old.health.carried(next.addresses, old.addresses)
		next.uses = carriedUses(next.uses, old.uses)
		e.current.Store(next)
	}, nil
}

// Addresses returns the egress addresses as configured; none if unpinned.
func (e *Egress) Addresses() []Address { return slices.Clone(e.current.Load().addresses) }

// InUse identifies the set of addresses that calls may leave from at the moment:
// those in use, without local ones that this machine has lost. A connection that
// was opened while it was another may have left from an address that is no longer
// in use, or that is lost: what is sent by it then goes nowhere, and only a time-out
// tells.
func (e *Egress) InUse() InUse { return e.current.Load().used() }

// DialContext connects to address ("host:port", where host is a name or an IP
// literal and port a number) on behalf of connection, the id of a customer's
// Jira. network is "tcp", "tcp4" or "tcp6". It returns a *[Conn], or an error
// that matches one of [ErrForbiddenAddress], [ErrResolve], [ErrUnavailable], or
// is the last failure to connect. It takes 10 seconds at most, less if ctx ends
// before.
//
// The egress addresses in use are tried in the connection's order; from each, up
// to three addresses of the host.
func (e *Egress) DialContext(ctx context.Context, connection, network, address string) (net.Conn, error) {
	return e.current.Load().dialFor(ctx, connection, network, address)
}

// DialFrom is DialContext from one egress address and no other, whether or not
// it is in use yet: to find out what the other side sees.
func (e *Egress) DialFrom(ctx context.Context, public netip.Addr, network, address string) (net.Conn, error) {
	return e.current.Load().dialFrom(ctx, public, network, address)
}

// Ready returns an error, matching [ErrUnavailable], if calls could leave from no
// egress address at the moment. It tries to bind each local one, and connects to
// each proxy that has failed as soon as its cool-down is over, so it also notices
// that an address is back. It takes 10 seconds at most.
func (e *Egress) Ready(ctx context.Context) error { return e.current.Load().ready(ctx) }

// Health returns what is known of each address, in the configured order, without
// trying anything.
func (e *Egress) Health() []Health { return e.current.Load().known() }
