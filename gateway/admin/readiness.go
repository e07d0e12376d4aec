package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// readyTimeout bounds each check of /readyz, and since they run side by side,
	// the answer. It is below the patience of most probes.
	readyTimeout = 5 * time.Second
	// readyMemory is how long an answer serves everybody who asks: anybody may ask
	// as often as they like, and a check writes to the log, or reads the store.
	readyMemory = time.Second
)

// Check is one thing that must work before calls can be served.
type Check struct {
	Name string // as /readyz shows it, e.g. "store"
	// Run may fail with an error that names files and addresses: strangers are not
	// shown it.
	Run func(ctx context.Context) error
	// Reason says for strangers what it means that the check fails, and Hint what
	// the operator can do about it. Neither names anything of this installation.
	Reason, Hint string
	// Degraded is the reason in place of Reason where Run returns an error of [Degraded].
	Degraded string
}

// Degraded returns an error of a check that is told, but keeps nobody from sending calls: they
// are served.
func Degraded(err error) error { return degraded{err} }

type degraded struct{ error }

func (d degraded) Unwrap() error { return d.error }

// errLate is what a check has come to that gives no answer.
var errLate = fmt.Errorf("no answer within %s", readyTimeout)

// outcome is what came of a check.
type outcome struct {
	err   error
	since time.Time // when the check began to end like this
	took  time.Duration
}

func (o outcome) status() string {
	if o.err == nil {
		return checkOK
	}
	if _, ok := errors.AsType[degraded](o.err); ok {
		return checkDegraded
	}
	return checkFailing
}

// prober runs the checks, at most once in readyMemory, and never one that still
// hangs. It is safe for concurrent use.
type prober struct {
	checks []Check
	busy   []atomic.Bool // by check: it runs
	now    func() time.Time
	logger *slog.Logger

	mu       sync.Mutex
	round    chan struct{} // closed when the round under way ends; nil without one
	taken    time.Time     // when outcomes were
	outcomes []outcome     // nil before the first round
}

func newProber(checks []Check, now func() time.Time, logger *slog.Logger) *prober {
	return &prober{checks: checks, busy: make([]atomic.Bool, len(checks)), now: now, logger: logger}
}

// ask returns what came of each check, in their order. It takes little more than
// readyTimeout.
func (p *prober) ask() []outcome {
	p.mu.Lock()
	if p.outcomes != nil && time.Since(p.taken) < readyMemory {
		defer p.mu.Unlock()
		return p.outcomes
	}
	if p.round == nil {
		p.round = make(chan struct{})
		go p.run()
	}
	round := p.round
	p.mu.Unlock()
	<-round
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.outcomes
}

// run is one round. It belongs to nobody who asks: one who leaves does not make the
// checks fail for the others.
func (p *prober) run() {
	outcomes := make([]outcome, len(p.checks))
	var running sync.WaitGroup
	for i := range p.checks {
		running.Go(func() { outcomes[i] = p.probe(i) })
	}
	running.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range outcomes {
		o := &outcomes[i]
		o.since = p.now()
		first := p.outcomes == nil
		if !first && p.outcomes[i].status() == o.status() {
			o.since = p.outcomes[i].since
			continue
		}
		switch {
		case o.err != nil:
			p.logger.Warn(messages[o.status()], "check", p.checks[i].Name, "error", o.err, "hint", p.checks[i].Hint)
		case !first:
			p.logger.Info("ready again", "check", p.checks[i].Name, "failing_since", p.outcomes[i].since)
		}
	}
	p.outcomes, p.taken = outcomes, time.Now()
	close(p.round)
	p.round = nil
}

// messages are the log's for checks that don't pass.
var messages = map[string]string{checkFailing: "not ready", checkDegraded: "ready, but degraded"}

// probe runs one check, and waits for it as long as it may take.
func (p *prober) probe(i int) outcome {
	if !p.busy[i].CompareAndSwap(false, true) {
		return outcome{err: errLate} // it has not come back from an earlier round
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer p.busy[i].Store(false)
		done <- contained(ctx, p.checks[i])
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = errLate
	}
	if err != nil && ctx.Err() != nil {
		err = errLate // and not that its context has ended
	}
	return outcome{err: err, took: time.Since(began)}
}

// contained keeps a panic from ending the process; what it was about may hold
// anything.
func contained(ctx context.Context, c Check) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the check failed with a panic (%T)", v)
		}
	}()
	return c.Run(ctx)
}

// result tells of the outcome: in full, or what strangers may know.
func (c Check) result(o outcome, detail readinessDetail) CheckResult {
	r := CheckResult{Name: c.Name, Status: o.status(), Since: o.since, DurationMS: float64(o.took.Microseconds()) / 1000}
	if o.err == nil {
		return r
	}
	r.Reason, r.Hint = c.Reason, c.Hint
	if r.Status == checkDegraded {
		r.Reason = c.Degraded
	}
	if errors.Is(o.err, errLate) {
		r.Reason = errLate.Error()
	}
	if detail == readinessInFull {
		r.Error = o.err.Error()
	}
	return r
}
