package pace

import "time"

// rate is a number of requests a second, with a burst. The zero rate is no
// limit.
type rate struct {
	interval time.Duration // between two requests
	ahead    time.Duration // how far a burst may run ahead of that
}

func newRate(perSecond float64, burst int) rate {
	if perSecond == 0 {
		return rate{}
	}
	interval := time.Duration(float64(time.Second) / perSecond)
	return rate{interval: interval, ahead: time.Duration(burst-1) * interval}
}

// budget is what one connection has used of its rate: the time at which the next
// request is due if all keep their distance (the virtual scheduling form of the
// leaky bucket, ITU-T I.371 appendix A).
type budget struct{ due time.Time }

// take uses up one request, or returns how long to wait for one.
func (b *budget) take(r rate, now time.Time) time.Duration {
	if r.interval == 0 {
		return 0
	}
	due := b.due
	if due.Before(now) {
		due = now
	}
	if wait := due.Sub(now) - r.ahead; wait > 0 {
		return wait
	}
	b.due = due.Add(r.interval)
	return 0
}

// giveBack undoes a take. Where the budget filled up in between, a burst can be
// longer by those that were given back.
func (b *budget) giveBack(r rate) { b.due = b.due.Add(-r.interval) }
