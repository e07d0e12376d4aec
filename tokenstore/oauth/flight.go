package oauth

import (
	"context"
	"math/rand/v2"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

const (
	// Waits after failures double from the first to the last, each times 0.7 to
	// 1.3.
	firstBackoff = time.Second
	lastBackoff  = time.Minute

	// leeway is how long failed refreshes are repeated unasked: a bit less than
	// Atlassian accepts a refresh token that it has replaced, in an answer that
	// may have got lost.
	leeway = 9 * time.Minute
)

// flight is a refresh that runs. Its results are set before done is closed.
type flight struct {
	began time.Time
	done  chan struct{}
	token secret.Secret
	err   error
}

// renewal is what a Manager knows of a holder beside what is stored. It is
// guarded by Manager.mu.
type renewal struct {
	spread  time.Duration // see renewalSpread
	running *flight
	retry   *time.Timer
	last    experience
}

// experience was made with one generation of a connection's credential, and
// says nothing about another.
type experience struct {
	generation uint64
	margin     time.Duration // how long before its end to renew it; 0: not known

	failures  int
	failedAt  time.Time // for the first time
	waitUntil time.Time
	err       error

	// unstored should replace the credential, but the store didn't take it.
	unstored *unstored
}

// unstored is a new pair that exists in memory only.
type unstored struct {
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

// due reports whether the credential should be renewed.
func (r *renewal) due(c tokenstore.Credential, now time.Time) bool {
	margin := r.with(c.Generation).margin
	if margin == 0 {
		margin = earlyRenewal + r.spread
	}
	return c.AccessToken.IsZero() || !now.Before(c.Expiry.Add(-margin))
}

// renewalOf makes one for a new holder. The caller holds m.mu.
func (m *Manager) renewalOf(h holder) *renewal {
	r := m.renewals[h]
	if r == nil {
		m.sweep()
		r = &renewal{spread: rand.N(renewalSpread)}
		m.renewals[h] = r
	}
	return r
}

// sweep forgets the holders that are gone. The caller holds m.mu.
func (m *Manager) sweep() {
	directory := m.store.Directory()
	for h, r := range m.renewals {
		c, ok := directory.Connection(h.connection)
		if gone := !ok || c.Incarnation != h.incarnation; gone && r.running == nil {
			delete(m.renewals, h)
		}
	}
}

// join returns the refresh to wait for, which it begins if there is none; or
// nil and why there can't be one; or nil and nil where cred will do.
func (m *Manager) join(ctx context.Context, h holder, cred tokenstore.Credential, now time.Time) (*flight, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.renewalOf(h)
	last := r.with(cred.Generation)
	switch {
	case !r.due(cred, now):
		return nil, nil
	case r.running != nil:
		return r.running, nil
	case cred.RefreshToken.IsZero() && usable(cred, now):
		return nil, nil
	case m.closed:
		return nil, errClosed
	case now.Before(last.waitUntil):
		return nil, last.err
	case (m.clientID == "" || m.clientSecret.IsZero()) && !cred.RefreshToken.IsZero():
		return nil, errMissingClient
	}
	if r.retry != nil {
		r.retry.Stop()
	}
	f := &flight{began: now, done: make(chan struct{})}
	r.running = f
	// It is nobody's request: the trace goes on, the cancellation doesn't.
	detached := context.WithoutCancel(ctx)
	m.running.Go(func() { m.refresh(detached, h, f) })
	return f, nil
}

// known tells a refresh what the callers before it learned.
func (m *Manager) known(h holder, cred tokenstore.Credential) (fresh bool, u *unstored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.renewalOf(h)
	return !r.due(cred, m.now()), r.with(cred.Generation).unstored
}

// land ends a refresh: it notes what came of it, then lets the callers go on.
func (m *Manager) land(h holder, f *flight, o outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.renewalOf(h)
	r.running = nil
	switch {
	case o.err != nil:
		m.backOff(h, r, o)
	case o.lifetime > 0:
		r.last = experience{
			generation: o.generation,
			margin:     min(earlyRenewal+r.spread, o.lifetime/shortLived),
		}
	}
	f.token, f.err = o.token, o.err
	close(f.done)
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
	last.waitUntil = now.Add(wait)
	r.last = last

	// A lost answer may have replaced the refresh token, and an answer that
	// isn't stored has. Waiting for the next caller might be waiting too long.
	if o.repeat && !m.closed && last.waitUntil.Sub(last.failedAt) < leeway {
		r.retry = time.AfterFunc(wait, func() { m.retry(h) })
	}
}

// backoff is the wait after so many failures in a row.
func backoff(failures int) time.Duration {
	wait := lastBackoff
	if doublings := failures - 1; doublings < 6 {
		wait = min(firstBackoff<<doublings, lastBackoff)
	}
	return time.Duration(float64(wait) * (0.7 + 0.6*rand.Float64()))
}

// retry begins a refresh without a caller, where one is still needed.
func (m *Manager) retry(h holder) {
	ctx := context.Background()
	cred, err := m.lookup(ctx, h)
	if err != nil {
		return // removed, replaced, disabled, or to be authorised again
	}
	// What comes of it is noted by land.
	_, _ = m.join(ctx, h, cred, m.now())
}
