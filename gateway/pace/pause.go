package pace

import (
	"crypto/sha256"
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
	told := p.heed(c, s)
	if p.told == nil {
		return
	}
	for _, pause := range told { // without the lock: whoever is told may ask
		p.told(pause)
	}
}

// heed returns what other gateways should know.
func (p *Pacer) heed(c Call, s Signal) (told []Pause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if c.App && p.fund != nil && s.Told {
		p.fund.adopt(s.AppLeft, s.AppReset, now)
		if s.AppLeft == 0 && p.fund.told.After(now) {
			told = append(told, Pause{subject{reach: reachPoints}.name(), p.fund.told})
		}
	}
	if !s.Pauses(c) {
		return told
	}
	about, until := s.about(c), now.Add(min(s.Wait, maxPause))
	if p.pause(about, until, now) {
		told = append(told, Pause{about.name(), until})
	}
	return told
}

// about is what the signal pauses, which came with the answer to c.
func (s Signal) about(c Call) subject {
	its := identity{c.Connection, c.Incarnation}
	switch {
	case s.Reach == ReachApp && c.App:
		return subject{reach: ReachApp}
	case s.Reach == ReachEndpoint && c.Endpoint != "":
		return subject{ReachEndpoint, its, sumOf(holdEndpoint, c.endpoint())}
	case s.Reach == ReachResource && c.Resource != "":
		return subject{ReachResource, its, sumOf(holdResource, c.Resource)}
	}
	return subject{reach: ReachConnection, identity: its}
}

// paused returns the refusal of a call that Jira has asked to wait, nil if it
// may go out.
func (p *Pacer) paused(known *connection, c Call, now time.Time) *Refusal {
	until, reason := known.paused, ReasonAsked
	if len(known.holds) > 0 {
		until = later(until, known.holds[sumOf(holdEndpoint, c.endpoint())])
		until = later(until, known.holds[sumOf(holdResource, c.Resource)])
	}
	if c.App && p.appPaused.After(until) {
		until, reason = p.appPaused, ReasonAppPaused
	}
	if wait := until.Sub(now); wait > 0 {
		return &Refusal{reason, wait}
	}
	return nil
}

// What is paused by itself is kept by its SHA-256, so that a long path takes no more
// room than a short one, nobody can find two that collide, and other gateways have the
// same.
type holdKind byte

type sum [sha256.Size]byte

const (
	holdEndpoint holdKind = iota
	holdResource
)

// endpoint is made only where something is paused by itself, which is seldom.
func (c *Call) endpoint() string { return c.Method + " " + c.Endpoint }

func sumOf(kind holdKind, name string) sum {
	return sha256.Sum256(append([]byte{byte(kind)}, name...))
}

// hold pauses one endpoint or resource; the connection, if there are too many. It
// reports whether that is longer than what was.
func (k *connection) hold(key sum, until, now time.Time) bool {
	if k.holds == nil {
		k.holds = make(map[sum]time.Time)
	}
	if _, ok := k.holds[key]; !ok && len(k.holds) >= maxHolds {
		k.dropHolds(now)
		if len(k.holds) >= maxHolds {
			longer := until.After(k.paused)
			k.paused = later(k.paused, until)
			return longer
		}
	}
	longer := until.After(k.holds[key])
	k.holds[key] = later(k.holds[key], until)
	return longer
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
