package egress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"
)

// dialFor is [Egress.DialContext].
func (w *ways) dialFor(ctx context.Context, connection, network, address string) (net.Conn, error) {
	return w.dial(ctx, connection, network, address, func() ([]Address, error) {
		if len(w.addresses) == 0 {
			return []Address{{}}, nil
		}
		usable := w.usable()
		if len(usable) == 0 {
			return nil, fmt.Errorf("%w: no configured address is in use at this time: jiragate egress list", ErrUnavailable)
		}
		ordered := w.health.order(connection, rank(connection, usable))
		if len(ordered) == 0 {
			return nil, fmt.Errorf("%w: each proxy has failed a moment ago and is not asked until its cool-down is over", ErrUnavailable)
		}
		return ordered, nil
	})
}

// dialFrom is [Egress.DialFrom].
func (w *ways) dialFrom(ctx context.Context, public netip.Addr, network, address string) (net.Conn, error) {
	return w.dial(ctx, "", network, address, func() ([]Address, error) {
		for _, a := range w.addresses {
			if a.Public == public {
				return []Address{a}, nil
			}
		}
		return nil, fmt.Errorf("%w: %s is not a configured egress address", ErrUnavailable, public)
	})
}

// dial connects from the first of the egress addresses in from that can.
func (w *ways) dial(ctx context.Context, connection, network, address string, from func() ([]Address, error)) (net.Conn, error) {
	host, port, err := splitTarget(address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	call := errand{connection: connection, host: host}
	addresses, err := from() // first: without one, not even a query leaves
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	targets, err := w.resolve(dialing, call, port)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	plan, err := plan(addresses, network, targets)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	conn, err := w.attempt(dialing, call, plan)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return conn, nil
}

// errand is for whom a dial is, and where it goes.
type errand struct{ connection, host string }

// route is one egress address with the upstream addresses to try from it. The
// zero Address leaves the source to the system.
type route struct {
	from    Address
	targets []netip.AddrPort
}

// plan returns the attempts of a dial in their order, none to another address
// family than that of the egress address, nor of network.
func plan(from []Address, network string, targets []netip.AddrPort) ([]route, error) {
	wants := func(netip.Addr) bool { return true }
	switch network {
	case "tcp":
	case "tcp4":
		wants = netip.Addr.Is4
	case "tcp6":
		wants = netip.Addr.Is6
	default:
		return nil, fmt.Errorf("network %q is not TCP", network)
	}
	targets = slices.DeleteFunc(targets, func(t netip.AddrPort) bool { return !wants(t.Addr()) })
	if len(targets) == 0 {
		return nil, fmt.Errorf("%w: no %s address", ErrResolve, network)
	}
	var plan []route
	for _, a := range from {
		r := route{from: a}
		for _, t := range targets {
			if !a.Public.IsValid() || a.Public.Is4() == t.Addr().Is4() {
				r.targets = append(r.targets, t)
			}
		}
		if len(r.targets) > 0 && len(plan) < maxRoutes {
			plan = append(plan, r)
		}
	}
	for i, r := range plan {
		if r.from.Proxy != nil && len(plan) > 1 {
			// One target each, another one for each proxy: an attempt through a proxy
			// takes several round trips, and needs its time.
			plan[i].targets = []netip.AddrPort{r.targets[i%len(r.targets)]}
		}
	}
	if len(plan) == 0 {
		// Some configured address reaches targets, or they had been refused.
		return nil, fmt.Errorf("%w: none of the address family of %s can be used at this time", ErrUnavailable, targets[0].Addr())
	}
	return plan, nil
}

// attempt works through plan until a connection stands. If that fails, the
// error matches ErrUnavailable where no egress address got as far as asking the
// upstream, otherwise it is the last failure to reach it.
func (w *ways) attempt(ctx context.Context, call errand, plan []route) (net.Conn, error) {
	left := 0
	for _, r := range plan {
		left += len(r.targets)
	}
	var upstream, local, last error
	var failed []Address
	for i, r := range plan {
		if i > 0 {
			failover(ctx, plan[i-1].from, r.from, last)
		}
		conn, err := w.tryRoute(ctx, call, r, left)
		left -= len(r.targets)
		last = err
		switch {
		case err == nil:
			w.settle(ctx, call.connection, r.from, failed)
			return conn, nil
		case errors.Is(err, ErrForbiddenAddress) && !errors.Is(err, ErrUnavailable):
			return nil, err
		case errors.Is(err, ErrUnavailable):
			local = err
			if p, ok := errors.AsType[*ProxyError](err); ok && p.refused {
				failed = append(failed, r.from)
			}
		default:
			upstream = err
			failed = append(failed, r.from)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, cmp.Or(upstream, local)
}

// tryRoute tries the targets of one egress address. left is the number of
// attempts that share the time of ctx, these ones included.
func (w *ways) tryRoute(ctx context.Context, call errand, r route, left int) (net.Conn, error) {
	pinned := r.from.Public.IsValid()
	switch admitted, trial := w.health.admit(r.from); {
	case !admitted:
		return nil, fmt.Errorf("%w: %s has failed a moment ago, and is not asked until its cool-down is over or another call has tried it", ErrUnavailable, r.from)
	case trial:
		defer w.health.retry(r.from) // if nothing came of it
	}
	var upstream, local error
	for i, target := range r.targets {
		conn, err := w.connect(ctx, call, r.from, target, left-i)
		if err == nil {
			if pinned {
				w.noteUp(r.from)
			}
			return conn, nil
		}
		proxied, isProxy := errors.AsType[*ProxyError](err)
		_, silent := errors.AsType[*silentError](err)
		switch {
		case isProxy && proxied.refused:
			w.noteUp(r.from)
			return nil, err
		case isProxy:
			if !abandoned(ctx) {
				w.noteDown(r.from, proxied)
			}
			return nil, err
		case errors.Is(err, ErrForbiddenAddress):
			return nil, err
		case pinned && bindFailed(err):
			w.noteDown(r.from, err)
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		case pinned && outOfPorts(err):
			local = fmt.Errorf("%w: no free port: %w", ErrUnavailable, err)
		default:
			upstream = err
		}
		switch {
		case r.from.Proxy == nil:
		case !silent:
			w.noteUp(r.from) // the proxy has answered for the upstream
		case !abandoned(ctx):
			w.noteSilent(r.from, call.connection, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, cmp.Or(upstream, local)
}

// abandoned reports whether ctx has ended because the caller left, whatever cause
// it gave. That is nobody's fault.
func abandoned(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// connect makes one attempt, in its share of the time that ctx has left, and counts
// it.
func (w *ways) connect(ctx context.Context, call errand, from Address, target netip.AddrPort, left int) (net.Conn, error) {
	used := w.useOf(from)
	conn, err := w.open(ctx, call, from, target, left)
	used.tried(ctx, err)
	if err != nil {
		return nil, err
	}
	return used.hold(conn, target), nil
}

func (w *ways) open(ctx context.Context, call errand, from Address, target netip.AddrPort, left int) (net.Conn, error) {
	if from.Proxy != nil {
		ctx, cancel := share(ctx, left)
		defer cancel()
		// The address that was judged is the one that is asked for; its name stays here.
		if err := w.check(call, target); err != nil {
			return nil, err
		}
		return w.tunnelled(ctx, from.Proxy, target)
	}
	check := func(actual netip.AddrPort) error { return w.check(call, actual) }
	conn, err := w.connectShared(ctx, from.Local, target, check, left)
	if err != nil {
		return nil, err
	}
	if !from.Local.IsValid() {
		return conn, nil
	}
	if source, err := netip.ParseAddrPort(conn.LocalAddr().String()); err != nil || source.Addr().Unmap() != from.Local {
		conn.Close()
		return nil, fmt.Errorf("%w: the socket left from %s instead of %s", ErrUnavailable, conn.LocalAddr(), from.Local)
	}
	return conn, nil
}

// connectShared opens a socket, in its share of the time that ctx has left.
func (w *ways) connectShared(ctx context.Context, local netip.Addr, target netip.AddrPort, check checkFunc, left int) (net.Conn, error) {
	ctx, cancel := share(ctx, left)
	defer cancel()
	return w.system.connect(ctx, local, target, check)
}

// share gives one of left attempts its part of the time of ctx.
func share(ctx context.Context, left int) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
	}
	return context.WithCancel(ctx)
}

// settle remembers what a dial that succeeded from used has taught.
func (w *ways) settle(ctx context.Context, connection string, used Address, failed []Address) {
	if !used.Public.IsValid() {
		return
	}
	w.health.settle(connection, used, failed)
	for _, a := range failed {
		w.logger.WarnContext(ctx, "egress address passed over: upstream answers another one only",
			slog.String("connection", connection), slog.String("address", a.String()), slog.String("used", used.String()),
			slog.String("hint", "see whether the customer allows each published address, and whether the one that was passed over is blocked: jiragate egress verify"))
	}
}
