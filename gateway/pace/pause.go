package pace

import (
	"hash/maphash"
	"time"
)

// Heed takes in what Jira's answer to the call said. A pause that is longer than
// the new one stays as it is.
//
// Only a call of the app can pause the app or tell of its points: what is said of
// those by a customer's own server concerns the connection alone.
func (p *Pacer) Heed(c Call, s Signal) {
	if s == (Signal{}) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if c.App && p.fund != nil && s.Told {
		p.fund.adopt(s.AppLeft, s.AppReset, now)
	}
	if !s.Pauses(c) {
		return
	}
	until := now.Add(min(s.Wait, maxPause))
	if s.Reach == ReachApp && c.App {
		p.appPaused = later(p.appPaused, until)
		return
	}
	known := p.connection(c)
	if known == nil {
		return // no call of it goes out anyway
	}
	switch {
	case s.Reach == ReachEndpoint && c.Endpoint != "":
		known.hold(p.key(holdEndpoint, c.endpoint()), until, now)
	case s.Reach == ReachResource && c.Resource != "":
		known.hold(p.key(holdResource, c.Resource), until, now)
	default:
		known.paused = later(known.paused, until)
	}
}

// paused returns the refusal of a call that Jira has asked to wait, nil if it
// may go out.
func (p *Pacer) paused(known *connection, c Call, now time.Time) *Refusal {
	until, reason := known.paused, ReasonAsked
	if len(known.holds) > 0 {
		until = later(until, known.holds[p.key(holdEndpoint, c.endpoint())])
		until = later(until, known.holds[p.key(holdResource, c.Resource)])
	}
	if c.App && p.appPaused.After(until) {
		until, reason = p.appPaused, ReasonAppPaused
	}
	if wait := until.Sub(now); wait > 0 {
		return &Refusal{reason, wait}
	}
	return nil
}

// What is paused by itself is kept by a keyed hash, so that a long path takes no
// more room than a short one, and nobody can look for two that collide.
type holdKind byte

const (
	holdEndpoint holdKind = iota
	holdResource
)

// endpoint is made only where something is paused by itself, which is seldom.
func (c *Call) endpoint() string { return c.Method + " " + c.Endpoint }

func (p *Pacer) key(kind holdKind, name string) uint64 {
	return maphash.String(p.seed, name) ^ uint64(kind)
}

// hold pauses one endpoint or resource; the connection, if there are too many.
func (k *connection) hold(key uint64, until, now time.Time) {
	if k.holds == nil {
		k.holds = make(map[uint64]time.Time)
	}
	if _, ok := k.holds[key]; !ok && len(k.holds) >= maxHolds {
		k.dropHolds(now)
		if len(k.holds) >= maxHolds {
			k.paused = later(k.paused, until)
			return
		}
	}
	k.holds[key] = later(k.holds[key], until)
}

func (k *connection) dropHolds(now time.Time) {
	for key, until := range k.holds {
		if !now.Before(until) {
			delete(k.holds, key)
		}
	}
}

// resting reports whether anything of the connection is paused.
func (k *connection) resting(now time.Time) bool {
	if now.Before(k.paused) {
		return true
	}
	k.dropHolds(now)
	return len(k.holds) > 0
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
