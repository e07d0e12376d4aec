package oauth

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

const (
	// Waits after failures double from the first to the last, each times 0.7 to
	// 1.3.
	firstBackoff = time.Second
	lastBackoff  = time.Minute

	// insistence is how long failed refreshes are repeated unasked at that pace: a
	// bit less than Atlassian's leeway for an answer that got lost. Where it did,
	// there is nothing to lose by going on, every slowRetry.
	insistence = 9 * time.Minute
	slowRetry  = 10 * time.Minute
)

// flight is a refresh that runs. Its results are set before done is closed.
type flight struct {
	demand  demand
	edition policy.Edition
	span    trace.Span
	waited  atomic.Int64 // calls that have waited for it
	// wanted: a call needs the token, now or soon. Guarded by Manager.mu.
	wanted bool
	done   chan struct{}
	token  secret.Secret
	err    error
	result result
}

// demand is what a refresh is wanted for.
type demand struct {
	// call: the token is wanted for a call, so that its successor will be, too.
	call bool
	// force is the generation to replace although its token isn't due; 0: none.
	force uint64
}

// renewal is what a Manager knows of a holder beside what is stored. It is
// guarded by Manager.mu.
type renewal struct {
	spread  time.Duration // see renewalSpread
	running *flight
	retry   *time.Timer // nil unless armed
	last    experience
	// forced is what was renewed last because Jira refused it, and when.
	forced struct {
		generation uint64
		at         time.Time
	}

	// used is what was used for a call last, as far as Run has to know it.
	used struct {
		generation uint64
		expiry     time.Time
	}
}

// experience was made with one generation of a connection's credential, and
// says nothing about another.
type experience struct {
	generation uint64
	margin     time.Duration // how long before its end to renew it; 0: not known
	// renewAt is when to renew it; zero if this process didn't get it from a refresh.
	// As a time in memory it holds what was read from a clock that can't be set (see
	// package time).
	renewAt time.Time

	failures  int
	failedAt  time.Time // for the first time
	waitUntil time.Time
	err       error
	// pending: it may have been exchanged, so that the refresh is carried through
	// although the token isn't due; and since when.
	pending      bool
	pendingSince time.Time
	// unstored should replace the credential, but the store didn't take it.
	unstored *unstored
}

// unstored is a new pair that exists in memory only, and the claim under which it
// was got, which is kept.
type unstored struct {
	claim      tokenstore.Claim
	credential tokenstore.Credential
	lifetime   time.Duration
}

// with returns the experience with a generation, or none. It changes nothing: a
// caller may have read its credential long ago.
func (r *renewal) with(generation uint64) experience {
	if r.last.generation != generation {
		return experience{generation: generation}
	}
	return r.last
}

// disarm stops the timer of the next attempt.
func (r *renewal) disarm() {
	if r.retry != nil {
		r.retry.Stop()
		r.retry = nil
	}
}

// renewalOf makes one for a new holder. The caller holds m.mu.
func (m *Manager) renewalOf(h holder) *renewal {
	r := m.renewals[h]
	if r == nil {
		// Seldom, since it looks at all of them.
		if len(m.renewals) >= m.sweepAt {
			m.sweep()
			m.sweepAt = max(firstSweep, 2*len(m.renewals))
		}
		r = &renewal{spread: rand.N(renewalSpread)}
		m.renewals[h] = r
	}
	return r
}

// firstSweep is the number of holders from which those that are gone are looked for.
const firstSweep = 64

// sweep forgets the holders that are gone. The caller holds m.mu.
func (m *Manager) sweep() {
	directory := m.store.Directory()
	for h, r := range m.renewals {
		c, ok := directory.Connection(h.connection)
		if gone := !ok || c.Incarnation != h.incarnation; gone && r.running == nil {
			r.disarm()
			delete(m.renewals, h)
		}
	}
}

// join returns the refresh to wait for, which it begins if there is none; or
// nil and why there can't be one; or nil and nil where cred will do.
func (m *Manager) join(ctx context.Context, h holder, c *tokenstore.Connection, cred tokenstore.Credential, now time.Time, d demand) (*flight, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.renewalOf(h)
	if d.call {
		r.used.generation, r.used.expiry = cred.Generation, cred.Expiry
	} else if r.used.generation != cred.Generation {
		r.used.generation = 0 // nobody has used this one
	}
	last := r.with(cred.Generation)
	switch {
	case !r.due(cred, now) && d.force != cred.Generation:
		return nil, nil
	case r.running != nil:
		r.running.wanted = r.running.wanted || d.call
		return r.running, nil
	case cred.RefreshToken.IsZero() && usable(cred, now):
		return nil, nil
	case m.closed:
		return nil, errClosed
	case now.Before(last.waitUntil):
		return nil, last.err
	}
	if !cred.RefreshToken.IsZero() {
		if _, err := m.provider(c, &cred); err != nil {
			return nil, err
		}
	}
	r.disarm()
	f := &flight{demand: d, wanted: d.call, edition: c.Edition, done: make(chan struct{})}
	r.running = f
	// It is nobody's request: the trace goes on, the cancellation doesn't.
	detached := f.startSpan(context.WithoutCancel(ctx), m.tracer, h)
	m.running.Go(func() { m.refresh(detached, h, f) })
	return f, nil
}

// needed tells a refresh what the callers before it learned: whether it is needed
// still, and the pair that one before it could not store.
func (m *Manager) needed(h holder, cred tokenstore.Credential, d demand) (bool, *unstored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.renewalOf(h)
	return r.due(cred, m.now()) || d.force == cred.Generation, r.with(cred.Generation).unstored
}

// land ends a refresh: it notes what came of it, then lets the callers go on.
func (m *Manager) land(h holder, f *flight, o outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.renewalOf(h)
	if r.running == f { // not so if it was left
		r.running = nil
	}
	switch {
	case o.result == resultElsewhere:
		if r.last.pending && r.running == nil && r.retry == nil && !m.closed {
			r.retry = time.AfterFunc(jitter(lastBackoff), func() { m.retry(h) })
		}
	case o.err != nil:
		m.backOff(h, r, o)
	case o.lifetime > 0:
		now := m.now()
		early := margin(o.lifetime, r.spread)
		r.last = experience{generation: o.generation, margin: early, renewAt: now.Add(o.lifetime - early)}
	}
	f.token, f.err, f.result = o.token, o.err, o.result
	close(f.done)
}

// leave ends a refresh that another gateway has the claim of, unless a call wants
// the token: there is nobody to wait for it, and nothing to learn. From then on
// nobody can join it.
func (m *Manager) leave(h holder, f *flight) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.wanted {
		return false
	}
	m.renewalOf(h).running = nil
	return true
}

// backOff notes a failure and arranges for the next attempt. The caller holds
// m.mu.
func (m *Manager) backOff(h holder, r *renewal, o outcome) {
	now := m.now()
	last := r.last
	if o.generation != 0 {
		last = r.with(o.generation)
	}
	if last.failures == 0 {
		last.failedAt = now
	}
	last.failures++
	last.err = o.err
	if o.unstored != nil {
		last.unstored = o.unstored
	}
	wait := max(backoff(last.failures), o.retryAfter)
	since := last.failedAt
	if o.pending {
		if !last.pending {
			last.pendingSince = now
		}
		if left := insistence - now.Sub(last.pendingSince); left > 0 {
			wait = min(wait, left) // the leeway doesn't wait, whatever was asked for
		}
		since = last.pendingSince
	}
	last.pending = o.pending
	last.waitUntil = now.Add(wait)
	r.last = last

	// A lost answer may have replaced the refresh token, and an answer that
	// isn't stored has. Waiting for the next caller might be waiting too long.
	insist := last.waitUntil.Sub(since) <= insistence
	switch {
	case m.closed:
		return
	case insist && (o.repeat || o.pending):
	case o.pending:
		wait = max(wait, jitter(slowRetry))
	default:
		return
	}
	r.retry = time.AfterFunc(wait, func() { m.retry(h) })
}

// backoff is the wait after so many failures in a row.
func backoff(failures int) time.Duration {
	wait := lastBackoff
	if doublings := failures - 1; doublings < 6 {
		wait = min(firstBackoff<<doublings, lastBackoff)
	}
	return jitter(wait)
}

// jitter returns d times 0.7 to 1.3.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.7 + 0.6*rand.Float64()))
}

// retry begins a refresh without a caller, where one is still needed.
func (m *Manager) retry(h holder) {
	m.mu.Lock()
	r, ok := m.renewals[h]
	if !ok {
		m.mu.Unlock()
		return // forgotten
	}
	r.retry = nil
	d := demand{}
	if r.last.pending {
		d.force = r.last.generation
	}
	m.mu.Unlock()
	m.unasked(context.Background(), h, d)
}

// unasked begins a refresh without a caller, and returns it if there is one now.
// What comes of it is noted by land.
func (m *Manager) unasked(ctx context.Context, h holder, d demand) *flight {
	c, cred, err := m.lookup(ctx, h)
	if err != nil {
		return nil // removed, replaced, disabled, or to be authorised again
	}
	f, err := m.join(ctx, h, c, cred, m.now(), d)
	if err != nil {
		return nil
	}
	return f
}
