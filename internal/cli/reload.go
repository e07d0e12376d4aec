package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
	"jiragate/gateway/audit"
)

// Names in the records of what is read again while the gateway serves.
const (
	operationReload = "admin.reload"
	codeInvalid     = "reload_invalid"
)

// reloads is what all reloads of a server share.
type reloads struct {
	mu      sync.Mutex // one at a time; held from the first read to the last put
	secrets []*secretFile
	counter metric.Int64Counter

	last atomic.Pointer[admin.LastReload]

	warned   sync.Mutex
	warnings map[string]string // by part: of the checks of certificates
}

func newReloads(meter metric.Meter) (*reloads, error) {
	counter, err := meter.Int64Counter("jiragate.reloads",
		metric.WithDescription("Parts that were read again while the gateway served, by what came of it: reloaded, or kept because something was broken."))
	return &reloads{counter: counter, warnings: map[string]string{}}, err
}

// zero shows each series before it counts, so that a rate can be told.
func (r *reloads) zero(ctx context.Context, parts []part) {
	for _, p := range parts {
		for _, result := range []string{admin.PartReloaded, admin.PartKept} {
			r.counter.Add(ctx, 0, series(p.name, result))
		}
	}
}

func series(part, result string) metric.AddOption {
	return metric.WithAttributes(attribute.String("jiragate.part", part), attribute.String("jiragate.result", result))
}

func (r *reloads) count(ctx context.Context, part, result string) {
	r.counter.Add(ctx, 1, series(part, result))
}

// part is one thing that can be read again while the gateway serves.
type part struct {
	name string // as the command prints it
	// read reads it whole and checks it. The change is nil where nothing has changed,
	// and otherwise not in force yet.
	read func(context.Context) (*change, error)
	// refused puts on record that it is broken; nil means the usual record.
	refused func(context.Context)
}

// change is what was read, and can be put in force.
type change struct {
	// prepare is what may fail and has to be done before; nil means nothing.
	prepare func(context.Context) error
	// begin puts on record that it comes into force; nil means the usual record.
	begin func(context.Context) (*act.Act, error)
	// put puts it in force. It can't fail.
	put func()
	// log are attributes for the log line.
	log []any
}

// changed is a change that needs nothing but put; nil without one.
func changed(put func(), err error) (*change, error) {
	if err != nil || put == nil {
		return nil, err
	}
	return &change{put: put}, nil
}

// Reload reads again what the settings name: as on SIGHUP. If something is broken,
// everything stays as it was, and the error says why.
func (s *Server) Reload() error {
	who := processActor()
	who.Addr = "signal:SIGHUP"
	done, err := s.reload(act.With(context.Background(), who))
	if err != nil {
		return err
	}
	return broken(done)
}

// broken says of each part that is broken why.
func broken(done admin.Reloaded) error {
	var problems []error
	for _, p := range done.Parts {
		if p.Reason != "" {
			problems = append(problems, fmt.Errorf("%s: %s", p.Part, p.Reason))
		}
	}
	return errors.Join(problems...)
}

// reload reads each part again, and if all of them are in order puts in force what has
// changed, on record as done by whoever ctx says. The error is that it can't be
// recorded; then nothing has changed.
//
// All or nothing, since what changes together often belongs together: an address with
// the roots of its proxy, a certificate with the client CA. What is broken on its own
// must not wait for that are the certificates of listeners, which are looked at every
// minute, each on its own.
func (s *Server) reload(ctx context.Context) (admin.Reloaded, error) {
	s.reloads.mu.Lock()
	defer s.reloads.mu.Unlock()
	done, err := s.reloadAll(ctx)
	attempt := &admin.LastReload{Time: time.Now()}
	if err := errors.Join(err, broken(done)); err != nil {
		attempt.Error = err.Error()
	}
	s.reloads.last.Store(attempt)
	return done, err
}

func (s *Server) reloadAll(ctx context.Context) (admin.Reloaded, error) {
	parts := s.parts()
	done := admin.Reloaded{OK: true, Parts: make([]admin.ReloadedPart, len(parts))}
	changes := make([]*change, len(parts))
	for i, p := range parts {
		done.Parts[i] = admin.ReloadedPart{Part: p.name, Result: admin.PartUnchanged}
		c, err := p.read(ctx)
		if err != nil {
			done.OK = false
			done.Parts[i].Result, done.Parts[i].Reason = admin.PartKept, err.Error()
			s.refusePart(ctx, p, err)
			continue
		}
		changes[i] = c
	}
	if !done.OK {
		for i, c := range changes {
			if c != nil {
				done.Parts[i].Result = admin.PartKept
			}
		}
		return done, nil
	}
	if err := s.putAll(ctx, parts, changes); err != nil {
		return admin.Reloaded{}, err
	}
	for i, c := range changes {
		if c != nil {
			done.Parts[i].Result = admin.PartReloaded
		}
	}
	return done, nil
}

func (s *Server) refusePart(ctx context.Context, p part, err error) {
	s.reloads.count(ctx, p.name, admin.PartKept)
	s.log.ErrorContext(ctx, "nothing is reloaded: everything stays as it was", "part", p.name, "error", err, "hint", "mend what it says, then send SIGHUP again or use jiragate reload")
	if p.refused != nil {
		p.refused(ctx)
		return
	}
	s.journal(s.policy.current.Load()).Refuse(ctx, audit.Record{Operation: operationReload, Path: p.name}, http.StatusBadRequest, codeInvalid)
}

// putAll puts the changes in force at once, after all of them are on record.
func (s *Server) putAll(ctx context.Context, parts []part, changes []*change) error {
	var acts []*act.Act
	end := func(status int, code string) {
		for _, a := range acts {
			a.End(status, code)
		}
	}
	for i, c := range changes {
		if c == nil {
			continue
		}
		begin := c.begin
		if begin == nil {
			begin = func(ctx context.Context) (*act.Act, error) {
				return s.journal(s.policy.current.Load()).Begin(ctx, audit.Record{Operation: operationReload, Path: parts[i].name})
			}
		}
		a, err := begin(ctx)
		if err == nil {
			acts = append(acts, a)
			if c.prepare != nil {
				err = c.prepare(ctx)
			}
		}
		if err != nil {
			end(http.StatusServiceUnavailable, codeFailed)
			s.log.ErrorContext(ctx, "nothing is reloaded: everything stays as it was", "part", parts[i].name, "error", err, "hint", "see /readyz: what can't be recorded doesn't happen; then try again")
			return fmt.Errorf("reloading %s: %w", parts[i].name, err)
		}
	}
	for i, c := range changes {
		if c == nil {
			continue
		}
		c.put()
		s.reloads.count(ctx, parts[i].name, admin.PartReloaded)
		s.log.InfoContext(ctx, parts[i].name+" reloaded", c.log...)
	}
	end(http.StatusOK, "")
	return nil
}

// withoutReload keeps apart from a reload what changes the CA: one may be about to put
// another root in force.
func (s *Server) withoutReload(change func() error) error {
	s.reloads.mu.Lock()
	defer s.reloads.mu.Unlock()
	return change()
}
