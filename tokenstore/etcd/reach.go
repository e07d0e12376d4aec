package etcd

import (
	"sync"
	"time"
)

// reach is whether etcd can be reached.
type reach struct {
	now func() time.Time

	mu     sync.Mutex
	err    error
	failed time.Time // for the first time since it could be
	told   time.Time // since when it was said to be away; zero if it wasn't
}

// grace is how long it may fail until it counts: a new leader is elected in less.
const grace = 3 * time.Second

func (r *reach) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && r.err == nil {
		r.failed = r.now()
	}
	r.err = err
}

// away returns since when etcd can't be reached, and why; nil if it can.
func (r *reach) away() (time.Time, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil || r.now().Sub(r.failed) < grace {
		return time.Time{}, nil
	}
	return r.failed, r.err
}

// news returns whether it is to be said that etcd is away, with the reason, or that it is back;
// once for each. That it is away becomes so by the passing of time, between two notes.
func (r *reach) news() (since time.Time, why error, back bool) {
	since, why = r.away()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case why != nil && r.told.IsZero():
		r.told = since
		return since, why, false
	case why == nil && r.err == nil && !r.told.IsZero():
		since, r.told = r.told, time.Time{}
		return since, nil, true
	}
	return time.Time{}, nil, false
}
