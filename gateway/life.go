package gateway

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// life is how long a connection takes calls, and how many. A nil life has no end.
type life struct {
	ends  time.Time
	most  int64
	calls atomic.Int64
}

func (b *bounds) newLife() *life {
	return &life{ends: time.Now().Add(b.life + rand.N(lifeJitter)), most: b.lifeCalls}
}

// last counts a call, and reports whether the connection is to close after it.
func (l *life) last(now time.Time) bool {
	return l != nil && (l.calls.Add(1) >= l.most || !now.Before(l.ends))
}

// reader is how a client takes a long answer.
type reader struct {
	taken int64
	spent time.Duration // waiting for the client
}

// patience is how long the client may take for the next piece: the time for one
// piece, unless it has been slower than minReadRate for as long.
func (r *reader) patience() time.Duration {
	due := writeTimeout + time.Duration(r.taken/minReadRate)*time.Second
	return min(writeTimeout, due-r.spent)
}

func (r *reader) took(n int, d time.Duration) {
	r.taken += int64(n)
	r.spent += d
}
