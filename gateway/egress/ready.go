package egress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
)

// ready is [Egress.Ready].
func (w *ways) ready(ctx context.Context) error {
	if len(w.addresses) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	usable := w.usable()
	results := make([]error, len(usable))
	var probes sync.WaitGroup
	for i, a := range usable {
		probes.Go(func() { results[i] = w.probe(ctx, a) })
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

// known is [Egress.Health].
func (w *ways) known() []Health {
	list := make([]Health, len(w.addresses))
	for i, a := range w.addresses {
		down, _ := w.health.outageOf(a)
		list[i] = Health{Public: a.Public, InUse: w.inUse(a.Public), Up: !down}
	}
	return list
}

// probe finds out whether a works, as far as that shows without an upstream.
func (w *ways) probe(ctx context.Context, a Address) error {
	if a.Proxy == nil {
		err := w.system.bindable(a.Local)
		if err != nil {
			w.noteDown(a, err)
			return err
		}
		w.noteUp(a)
		return nil
	}
	down, until := w.health.outageOf(a)
	if !down {
		return nil
	}
	if !w.health.beginProbe(a) {
		return fmt.Errorf("its proxy has failed, and is tried again after %s", until.UTC().Format("15:04:05 UTC"))
	}
	conn, err := w.reachProxy(ctx, a.Proxy)
	// Time that was too short says nothing.
	w.health.endProbe(a, err != nil && ctx.Err() == nil)
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

func (w *ways) noteDown(a Address, err error) {
	if w.health.markDown(a) {
		w.logger.Error("egress address cannot be used", slog.String("address", a.String()), slog.Any("error", err), slog.String("hint", unusableHint))
	}
}

func (w *ways) noteSilent(a Address, connection string, err error) {
	if connection == "" {
		return // an echo service is nobody's Jira
	}
	if w.health.markSilent(a, connection) {
		w.logger.Error("egress address cannot be used", slog.String("address", a.String()), slog.Any("error", err), slog.String("hint", unusableHint))
	}
}

func (w *ways) noteUp(a Address) {
	if w.health.markUp(a) {
		w.logger.Info("egress address can be used again", slog.String("address", a.String()))
	}
}
