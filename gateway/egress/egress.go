package egress

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Options is what New needs. The zero value dials from any address of the
// machine, to public addresses.
type Options struct {
	// Addresses are the region's egress addresses, in any order. If there are
	// none, the system chooses where calls leave from.
	Addresses []Address
	// AllowPrivate are the networks that upstream hosts may be in although
	// not public, as [ParseAllowPrivate] returns them.
	AllowPrivate []netip.Prefix
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
	judge              *judge
	health             *health
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
	e := &Egress{
		addresses: slices.Clone(o.Addresses),
		judge: &judge{
			allow:      slices.Clone(o.AllowPrivate),
			own:        slices.Clone(o.Own),
			addresses:  slices.Clone(o.Addresses),
			interfaces: sys.interfaces,
		},
		health:   newHealth(o.Now),
		resolver: o.Resolver,
		system:   sys,
		logger:   o.Logger,
	}
	for _, own := range o.Own {
		if !own.IsValid() || own.Port() == 0 {
			return nil, fmt.Errorf("own listener %s: its address and port must be known before the egress is made", own)
		}
	}
	for _, p := range o.AllowPrivate {
		if err := validateAllow(p); err != nil {
			return nil, fmt.Errorf("allowed private network %s: %w", p, err)
		}
		if p.Addr().IsLoopback() {
			o.Logger.Warn("upstream hosts may be on loopback; this is for simulators and tests only", slog.String("network", p.String()))
		}
	}
	if len(o.Addresses) == 0 {
		e.reaches4, e.reaches6 = true, true
		o.Logger.Warn("no egress address is configured: calls leave by the system's default route and their records say " + Unpinned)
		return e, nil
	}
	for _, a := range o.Addresses {
		if err := checkAddress(sys, a); err != nil {
			return nil, err
		}
		e.reaches4 = e.reaches4 || a.Local.Is4()
		e.reaches6 = e.reaches6 || a.Local.Is6()
	}
	return e, nil
}

func checkAddress(sys system, a Address) error {
	if !a.Public.IsValid() || !a.Local.IsValid() || a.Public.Is4() != a.Local.Is4() {
		return fmt.Errorf("egress address %s: public and local address must be IP addresses of the same family", a)
	}
	if err := sys.bindable(a.Local); err != nil {
		return fmt.Errorf("egress address %s: local address %s is not on this machine; add it to an interface (ip address add), or name the address that the machine has behind NAT: %w", a, a.Local, err)
	}
	return nil
}

// Addresses returns the egress addresses as configured; none if unpinned.
func (e *Egress) Addresses() []Address { return slices.Clone(e.addresses) }

// Ready returns an error, matching [ErrUnavailable], if no egress address can be
// bound at the moment. It tries each of them, which takes a few system calls,
// and so also notices that an address is back before its cool-down ends.
func (e *Egress) Ready() error {
	var failures []error
	for _, a := range e.addresses {
		if err := e.system.bindable(a.Local); err != nil {
			e.noteDown(a, err)
			failures = append(failures, fmt.Errorf("egress address %s: %w", a, err))
			continue
		}
		e.noteUp(a)
	}
	if len(e.addresses) > 0 && len(failures) == len(e.addresses) {
		return fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(failures...))
	}
	return nil
}

func (e *Egress) noteDown(a Address, err error) {
	if e.health.markDown(a) {
		e.logger.Error("egress address cannot be bound", slog.String("address", a.String()), slog.Any("error", err))
	}
}

func (e *Egress) noteUp(a Address) {
	if e.health.markUp(a) {
		e.logger.Info("egress address can be bound again", slog.String("address", a.String()))
	}
}
