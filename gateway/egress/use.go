package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// Outcome is what came of an attempt to connect from an egress address.
type Outcome string

const (
	// Connected: a socket was opened.
	Connected Outcome = "connected"
	// AddressFailed: the egress address could not be used, or its proxy did not work.
	AddressFailed Outcome = "address_failed"
	// UpstreamFailed: the upstream could not be reached from it.
	UpstreamFailed Outcome = "upstream_failed"
	// Forbidden: the upstream's address is none that may be called.
	Forbidden Outcome = "forbidden"
	// Abandoned: the caller left meanwhile.
	Abandoned Outcome = "abandoned"
)

// Outcomes are all of them.
func Outcomes() []Outcome {
	return []Outcome{Connected, AddressFailed, UpstreamFailed, Forbidden, Abandoned}
}

// Use is what an egress address is used for.
type Use struct {
	PublicIP string // or [Unpinned]
	Open     int64  // sockets, kept ones included
	// Attempts to connect from it so far, by what came of them.
	Attempts map[Outcome]int64
}

// Use returns the use of each egress address, in the configured order; where there
// is none, that of whatever address the system chooses.
func (e *Egress) Use() []Use {
	uses := e.current.Load().uses
	all := make([]Use, len(uses))
	for i, u := range uses {
		all[i] = Use{PublicIP: u.public, Open: u.open.Load(), Attempts: make(map[Outcome]int64)}
		for j, o := range Outcomes() {
			all[i].Attempts[o] = u.attempts[j].Load()
		}
	}
	return all
}

// use counts what an egress address is used for.
type use struct {
	public   string
	open     atomic.Int64
	attempts [5]atomic.Int64 // in the order of Outcomes
}

func newUses(addresses []Address) []*use {
	if len(addresses) == 0 {
		return []*use{{public: Unpinned}}
	}
	all := make([]*use, len(addresses))
	for i, a := range addresses {
		all[i] = &use{public: a.Public.String()}
	}
	return all
}

// carriedUses lets an address that stays go on counting.
func carriedUses(next, old []*use) []*use {
	carried := slices.Clone(next)
	for i, n := range next {
		for _, o := range old {
			if o.public == n.public {
				carried[i] = o
			}
		}
	}
	return carried
}

func (w *ways) useOf(a Address) *use {
	for i, known := range w.addresses {
		if known.Public == a.Public {
			return w.uses[i]
		}
	}
	return w.uses[0] // unpinned
}

// tried counts an attempt that ended with err.
func (u *use) tried(ctx context.Context, err error) {
	outcome := UpstreamFailed
	proxy, isProxy := errors.AsType[*ProxyError](err)
	switch {
	case err == nil:
		outcome = Connected
	case abandoned(ctx):
		outcome = Abandoned
	case errors.Is(err, ErrForbiddenAddress) && !errors.Is(err, ErrUnavailable):
		outcome = Forbidden
	case isProxy && proxy.refused: // it has answered: the upstream is what can't be had
	case isProxy, errors.Is(err, ErrUnavailable), bindFailed(err), outOfPorts(err):
		outcome = AddressFailed
	}
	for i, o := range Outcomes() {
		if o == outcome {
			u.attempts[i].Add(1)
		}
	}
}

// hold makes conn, a socket to target, count as open until it is closed.
func (u *use) hold(conn net.Conn, target netip.AddrPort) *Conn {
	u.open.Add(1)
	return &Conn{Conn: conn, public: u.public, target: target, peer: net.TCPAddrFromAddrPort(target).String(), release: sync.OnceFunc(func() { u.open.Add(-1) })}
}
