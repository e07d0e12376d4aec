package egress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
)

// Ready returns an error, matching [ErrUnavailable], if calls could leave from no
// egress address at the moment. It tries to bind each local one, and connects to
// each proxy that has failed as soon as its cool-down is over, so it also notices
// that an address is back. It takes 10 seconds at most.
func (e *Egress) Ready(ctx context.Context) error {
	if len(e.addresses) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	usable := e.usable()
	results := make([]error, len(usable))
	var probes sync.WaitGroup
	for i, a := range usable {
		probes.Go(func() { results[i] = e.probe(ctx, a) })
	}
	probes.Wait()
	var failures []error
	for i, a := range usable {
		if results[i] != nil {
			failures = append(failures, fmt.Errorf("egress address %s: %w", a, results[i]))
		}
	}
	switch {
	case len(usable) == 0:
		return fmt.Errorf("%w: no configured address is in use at this time: jiragate egress list", ErrUnavailable)
	case len(failures) == len(usable):
		return fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(failures...))
	}
	return nil
}

// Health is what is known of one egress address.
type Health struct {
	Public netip.Addr
	InUse  bool // calls may leave from it at this time
	Up     bool // nothing is known against it
}

// Health returns what is known of each address, in the configured order, without
// trying anything.
func (e *Egress) Health() []Health {
	list := make([]Health, len(e.addresses))
	for i, a := range e.addresses {
		down, _ := e.health.outageOf(a)
		list[i] = Health{Public: a.Public, InUse: e.inUse(a.Public), Up: !down}
	}
	return list
}

// probe finds out whether a works, as far as that shows without an upstream.
func (e *Egress) probe(ctx context.Context, a Address) error {
	if a.Proxy == nil {
		err := e.system.bindable(a.Local)
		if err != nil {
			e.noteDown(a, err)
			return err
		}
		e.noteUp(a)
		return nil
	}
	down, until := e.health.outageOf(a)
	if !down {
		return nil
	}
	if !e.health.beginProbe(a) {
		return fmt.Errorf("its proxy has failed, and is tried again after %s", until.UTC().Format("15:04:05 UTC"))
	}
	conn, err := e.reachProxy(ctx, a.Proxy)
	// Time that was too short says nothing.
	e.health.endProbe(a, err != nil && ctx.Err() == nil)
	if err != nil {
		return err
	}
	// That it can be reached does not say that it lets the credentials in: the
	// next dial goes first to find out, as after any cool-down.
	conn.Close()
	return nil
}

// unusableHint is what to do about an address that fails.
const unusableHint = "a local address: see that an interface has it (ip address show); a proxy: ask its provider. Calls leave from the others meanwhile"

func (e *Egress) noteDown(a Address, err error) {
	if e.health.markDown(a) {
		e.logger.Error("egress address cannot be used", slog.String("address", a.String()), slog.Any("error", err), slog.String("hint", unusableHint))
	}
}

func (e *Egress) noteSilent(a Address, connection string, err error) {
	if connection == "" {
		return // an echo service is nobody's Jira
	}
	if e.health.markSilent(a, connection) {
		e.logger.Error("egress address cannot be used", slog.String("address", a.String()), slog.Any("error", err), slog.String("hint", unusableHint))
	}
}

func (e *Egress) noteUp(a Address) {
	if e.health.markUp(a) {
		e.logger.Info("egress address can be used again", slog.String("address", a.String()))
	}
}
