package egress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// DialContext connects to address ("host:port", where host is a name or an IP
// literal and port a number) on behalf of connection, the id of a customer's
// Jira. network is "tcp", "tcp4" or "tcp6". It returns a *[Conn], or an error
// that matches one of [ErrForbiddenAddress], [ErrResolve], [ErrUnavailable], or
// is the last failure to connect. It takes 10 seconds at most, less if ctx ends
// before.
//
// The egress addresses are tried in the connection's order; from each, up to
// three addresses of the host.
func (e *Egress) DialContext(ctx context.Context, connection, network, address string) (net.Conn, error) {
	host, port, err := splitTarget(address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	targets, err := e.resolve(dialing, host, port)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	plan, err := e.plan(connection, network, targets)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	conn, err := e.attempt(dialing, connection, host, plan)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return conn, nil
}

// route is one egress address with the upstream addresses to try from it. The
// zero Address leaves the source to the system.
type route struct {
	from    Address
	targets []netip.AddrPort
}

// plan returns the attempts of a dial in their order, none to another address
// family than that of the egress address, nor of network.
func (e *Egress) plan(connection, network string, targets []netip.AddrPort) ([]route, error) {
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
	from := []Address{{}}
	if len(e.addresses) > 0 {
		from = e.health.order(connection, rank(connection, e.addresses))
	}
	var plan []route
	for _, a := range from {
		r := route{from: a}
		for _, t := range targets {
			if wants(t.Addr()) && (!a.Local.IsValid() || a.Local.Is4() == t.Addr().Is4()) {
				r.targets = append(r.targets, t)
			}
		}
		if len(r.targets) > 0 && len(plan) < maxRoutes {
			plan = append(plan, r)
		}
	}
	if len(plan) == 0 {
		return nil, fmt.Errorf("%w: no %s address", ErrResolve, network)
	}
	return plan, nil
}

// attempt works through plan until a connection stands. If that fails, the
// error matches ErrUnavailable where no egress address got as far as asking the
// upstream, otherwise it is the last failure to reach it.
func (e *Egress) attempt(ctx context.Context, connection, host string, plan []route) (net.Conn, error) {
	left := 0
	for _, r := range plan {
		left += len(r.targets)
	}
	var upstream, local error
	var failed []Address
	for _, r := range plan {
		conn, err := e.tryRoute(ctx, host, r, left)
		left -= len(r.targets)
		switch {
		case err == nil:
			e.settle(ctx, connection, r.from, failed)
			return conn, nil
		case errors.Is(err, ErrForbiddenAddress):
			return nil, err
		case errors.Is(err, ErrUnavailable):
			local = err
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
func (e *Egress) tryRoute(ctx context.Context, host string, r route, left int) (net.Conn, error) {
	pinned := r.from.Local.IsValid()
	var upstream, local error
	for i, target := range r.targets {
		conn, err := e.connect(ctx, host, r.from, target, left-i)
		switch {
		case err == nil:
			return conn, nil
		case errors.Is(err, ErrForbiddenAddress):
			return nil, err
		case pinned && bindFailed(err):
			e.noteDown(r.from, err)
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		case pinned && outOfPorts(err):
			local = fmt.Errorf("%w: no free port: %w", ErrUnavailable, err)
		default:
			upstream = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, cmp.Or(upstream, local)
}

// connect makes one attempt, in its share of the time that ctx has left.
func (e *Egress) connect(ctx context.Context, host string, from Address, target netip.AddrPort, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	check := func(actual netip.AddrPort) error { return e.check(host, actual) }
	conn, err := e.system.connect(ctx, from.Local, target, check)
	if err != nil {
		return nil, err
	}
	if !from.Local.IsValid() {
		return &Conn{Conn: conn, public: Unpinned}, nil
	}
	if source, err := netip.ParseAddrPort(conn.LocalAddr().String()); err != nil || source.Addr().Unmap() != from.Local {
		conn.Close()
		return nil, fmt.Errorf("%w: the socket left from %s instead of %s", ErrUnavailable, conn.LocalAddr(), from.Local)
	}
	return &Conn{Conn: conn, public: from.Public.String()}, nil
}

// settle remembers what a dial that succeeded from used has taught.
func (e *Egress) settle(ctx context.Context, connection string, used Address, failed []Address) {
	if !used.Local.IsValid() {
		return
	}
	e.noteUp(used)
	e.health.settle(connection, used, failed)
	for _, a := range failed {
		e.logger.WarnContext(ctx, "egress address passed over: upstream answers another one only",
			slog.String("connection", connection), slog.String("address", a.String()), slog.String("used", used.String()))
	}
}
