package notify

import (
	"math/rand/v2"
	"time"

	"jiragate/tokenstore"
)

const (
	// maxDeliveries are under way at a time.
	maxDeliveries = 4

	// The first wait after a failure, which doubles with each further one up to
	// lastWait for a connection and lastPause for the endpoint, each times 0.7 to 1.
	firstWait = 5 * time.Second
	lastWait  = time.Hour
	lastPause = time.Minute

	// goneWait is the wait after 410 Gone.
	goneWait = 24 * time.Hour
)

// queue is what the product knows, and what is left to tell it: at most one state
// of each connection. It does no I/O and has no clock; it belongs to one goroutine.
type queue struct {
	serves    func(*tokenstore.Connection) bool
	directory *tokenstore.Directory // of the last comparison

	told    map[string]tokenstore.Announcement // acknowledged, by connection
	pending map[string]*pending
	busy    map[string]bool // attempts under way

	// The endpoint's problems in a row, and until when all wait for it to solve them.
	troubles    int
	pausedUntil time.Time
}

// pending is a connection whose state is to be told.
type pending struct {
	connection *tokenstore.Connection
	noticed    time.Time
	due        time.Time
	failures   int
	// blameless: the last failure was the endpoint's, not this message's.
	blameless bool
}

func newQueue(announced []tokenstore.Announcement, serves func(*tokenstore.Connection) bool) *queue {
	q := &queue{
		serves:  serves,
		told:    make(map[string]tokenstore.Announcement, len(announced)),
		pending: map[string]*pending{},
		busy:    map[string]bool{},
	}
	for _, a := range announced {
		q.told[a.Connection] = a
	}
	return q
}

// compare finds what is to be told.
func (q *queue) compare(d *tokenstore.Directory, now time.Time) {
	if d == q.directory {
		return
	}
	q.directory = d
	for id := range q.told {
		if _, ok := d.Connection(id); !ok {
			delete(q.told, id)
		}
	}
	for id := range q.pending {
		if c, ok := d.Connection(id); !ok || !q.serves(c) {
			delete(q.pending, id)
		}
	}
	for _, c := range d.Connections() {
		if q.serves(c) {
			q.compareOne(c, now)
		}
	}
}

// compareOne lets a newer state take the place of one that waits, but not wait
// less than that: else a state that flaps would be a way around the wait.
func (q *queue) compareOne(c *tokenstore.Connection, now time.Time) {
	if a, ok := q.told[c.ID]; ok && covers(a, c) {
		delete(q.pending, c.ID)
		return
	}
	p := q.pending[c.ID]
	if p == nil {
		p = &pending{noticed: now, due: now}
		q.pending[c.ID] = p
	}
	p.connection = c
}

// next takes what is to be told now, if there is something: what is due for the
// longest time. The outcome must go to [queue.settle].
func (q *queue) next(now time.Time) (news, bool) {
	limit := maxDeliveries
	if q.troubles > 0 {
		limit = 1 // to see whether the endpoint is back
	}
	if len(q.pending) == 0 || len(q.busy) >= limit || now.Before(q.pausedUntil) {
		return news{}, false
	}
	var first *pending
	for id, p := range q.pending {
		if !q.busy[id] && !now.Before(p.due) && (first == nil || before(p, first)) {
			first = p
		}
	}
	if first == nil {
		return news{}, false
	}
	what := news{connection: first.connection}
	q.busy[what.connection.ID] = true
	if a, ok := q.told[what.connection.ID]; ok && a.Incarnation == what.connection.Incarnation {
		what.previous = a.State
	}
	return what, true
}

func before(a, b *pending) bool {
	if !a.due.Equal(b.due) {
		return a.due.Before(b.due)
	}
	return a.connection.ID < b.connection.ID
}

// settle notes what came of an attempt. The state may have changed since it began.
func (q *queue) settle(o outcome, now time.Time) {
	id := o.news.connection.ID
	delete(q.busy, id)
	switch o.verdict {
	case delivered:
		q.answered(now)
		q.acknowledged(o.news.announcement(), now)
	case refused:
		q.answered(now)
		q.postpone(id, now, o.retryAfter, false)
	case failed:
		q.pause(now, o.retryAfter)
		q.postpone(id, now, 0, true)
	}
}

// acknowledged notes what the product knows by now.
func (q *queue) acknowledged(a tokenstore.Announcement, now time.Time) {
	c, ok := q.directory.Connection(a.Connection)
	if !ok {
		return
	}
	q.told[a.Connection] = a
	if q.serves(c) {
		delete(q.pending, a.Connection) // a newer state has a fresh start
		q.compareOne(c, now)
	}
}

// answered ends the endpoint's trouble, and the waiting of those that it held up.
// A pause that was asked for stands.
func (q *queue) answered(now time.Time) {
	if q.troubles == 0 {
		return
	}
	q.troubles = 0
	for _, p := range q.pending {
		if p.blameless && p.due.After(now) {
			p.due = now
		}
	}
}

// pause makes all wait.
func (q *queue) pause(now time.Time, asked time.Duration) {
	if q.troubles == 0 || !now.Before(q.pausedUntil) { // else one of several attempts at the same time
		q.troubles++
		asked = max(asked, wait(q.troubles, lastPause))
	}
	if until := now.Add(asked); until.After(q.pausedUntil) {
		q.pausedUntil = until
	}
}

// postpone makes one wait.
func (q *queue) postpone(id string, now time.Time, asked time.Duration, blameless bool) {
	p := q.pending[id]
	if p == nil {
		return // removed meanwhile
	}
	p.failures++
	p.blameless = blameless
	p.due = now.Add(max(asked, wait(p.failures, lastWait)))
}

// wait returns how long to wait after so many failures in a row.
func wait(failures int, longest time.Duration) time.Duration {
	d := longest
	if doublings := failures - 1; doublings < 16 {
		d = min(firstWait<<doublings, longest)
	}
	return time.Duration(float64(d) * (0.7 + 0.3*rand.Float64()))
}

// backlog sums up what is left to tell.
func (q *queue) backlog() Backlog {
	b := Backlog{Pending: len(q.pending), Troubled: q.troubles > 0}
	for _, p := range q.pending {
		if b.Since.IsZero() || p.noticed.Before(b.Since) {
			b.Since = p.noticed
		}
	}
	return b
}
