package pace

import "time"

// The app's points for one UTC hour, and who may use them. The rules are in the
// package comment; here is how they are kept, without looking at all connections
// for each call: points are moved between shares, reserve and what is free once a
// slice (divide), and in between only taken.
//
// Amounts are in thousandths of a point, so that small shares are not rounded to
// nothing. At any time, unless Jira has told of less than was counted:
//
//	all shares + reserve + offer ≤ limit - used

const (
	point   = 1000
	perHour = 360
	slice   = time.Hour / perHour
	// reservePart of the points is kept for connections that come new.
	reservePart = 10
	// clockSlack is how far the clock may be set back across the hour without the
	// hour beginning again.
	clockSlack = 5 * time.Minute
)

type fund struct {
	budget int64     // an hour's points
	hour   time.Time // it began
	slice  int       // of the hour, for which points were divided; -1: none yet
	limit  int64     // this hour's points: the budget, or less, if Jira told so
	told   time.Time // until when less is believed
	used   int64     // of limit

	shares  []*share
	reserve int64
	free    int64 // belongs to nobody
	offer   int64 // the part of free that may be taken in this slice
	level   int64 // by those that have used less than this
	asking  int64 // how many asked for more than their share, in the slice before
	flow    int64 // what comes free with each slice, as things are
	each    int64 // of that, from one share that is not used
}

// share is one connection's part.
type share struct {
	index int   // in shares
	fresh bool  // it gets its share with the next slice
	own   int64 // what is left of the share
	cut   int64 // what it lacks because Jira told of less
	used  int64 // this hour, of whatever heap
	rests bool  // nothing was taken of own since the points were divided
	asked int   // the number from 1 of the last slice in which it asked for more than own
	want  int64 // how much more it took in that slice; unbounded if it was refused
}

// payment is what one call has taken, by heap.
type payment struct {
	hour               time.Time
	own, reserve, free int64
}

func newFund(points int) *fund {
	return &fund{budget: int64(points) * point}
}

// join makes a connection known. The points of this slice are divided without
// it, or the first that calls after a start would own nearly all of them.
func (f *fund) join(now time.Time) *share {
	f.turn(now)
	s := &share{index: len(f.shares), fresh: true}
	f.shares = append(f.shares, s)
	return s
}

// leave forgets a connection. What it has used stays used; what it had left comes
// free with the next slice.
func (f *fund) leave(s *share) {
	last := len(f.shares) - 1
	f.shares[s.index] = f.shares[last]
	f.shares[s.index].index = s.index
	f.shares[last] = nil
	f.shares = f.shares[:last]
}

// pay takes the points of one call, or returns how long to wait for them.
func (f *fund) pay(s *share, weight int, now time.Time) (payment, time.Duration) {
	f.turn(now)
	cost := int64(weight) * point
	if f.limit-f.used < cost {
		return payment{}, f.until(s, cost, now)
	}
	paid := payment{hour: f.hour, own: min(s.own, cost)}
	rest := cost - paid.own
	switch {
	case rest == 0:
	case s.fresh && s.used+rest <= f.reserve-rest:
		paid.reserve = rest
	case rest <= f.offer && s.used < f.level:
		paid.free = rest
		f.ask(s, rest)
	default:
		f.ask(s, unbounded)
		return payment{}, f.until(s, cost, now)
	}
	if paid.own > 0 && s.rests {
		s.rests = false
		f.flow -= f.each
	}
	f.move(s, paid, 1)
	return paid, 0
}

// refund undoes a payment, unless its hour is over.
func (f *fund) refund(s *share, paid payment) {
	if f.hour.Equal(paid.hour) {
		f.move(s, paid, -1)
	}
}

// move takes a payment (sign 1), or puts it back (sign -1).
func (f *fund) move(s *share, paid payment, sign int64) {
	all := sign * (paid.own + paid.reserve + paid.free)
	f.used += all
	s.used += all
	s.own -= sign * paid.own
	f.reserve -= sign * paid.reserve
	f.free -= sign * paid.free
	f.offer -= sign * paid.free
}

// turn begins a new hour or slice when it is time.
func (f *fund) turn(now time.Time) {
	if hour := now.Truncate(time.Hour); hour.After(f.hour) || f.hour.Sub(now) > clockSlack {
		first := f.hour.IsZero()
		f.hour, f.slice, f.limit, f.used = hour, -1, f.budget, 0
		if first {
			f.used = f.spentBefore(now)
		}
		for _, s := range f.shares {
			*s = share{index: s.index, own: f.budget} // cut to size by divide
		}
	}
	f.doubt(now)
	if n := min(int(now.Sub(f.hour)/slice), perHour-1); n > f.slice {
		before := f.slice
		f.slice = n
		f.divide()
		f.rank(before)
	}
}

// spentBefore is what is taken to be used already when the process begins within
// an hour: the part of the points that belongs to the part of the hour that is
// over. A process before it may have used that. A tenth is left in any case.
func (f *fund) spentBefore(now time.Time) int64 {
	over := f.budget * int64(now.Sub(f.hour)/slice) / perHour
	return min(over, f.budget-max(f.budget/10, int64(heaviest())*point))
}

// divide moves the points that are left to where they belong in this slice.
func (f *fund) divide() {
	ahead := int64(perHour - f.slice) // slices left, this one included
	whole := int64(0)                 // a share, for a whole hour
	if n := int64(len(f.shares)); n > 0 {
		whole = (f.budget - f.budget/reservePart) / n
	}
	line, reserve := whole*ahead/perHour, f.limit/reservePart*ahead/perHour
	left := f.limit - f.used

	var promised, fresh, resting int64
	for _, s := range f.shares {
		if s.fresh {
			fresh++
			continue
		}
		s.own, s.cut = s.own+s.cut, 0
		if s.rests = s.own >= line; s.rests {
			s.own = line
			resting++
		}
		promised += s.own
	}
	if promised > left { // Jira told of less: everyone's share shrinks
		promised = f.shrink(promised, left-left/reservePart)
	}
	rest := left - promised
	if fresh > 0 {
		each := min(line, (rest-min(reserve, rest)/2)/fresh)
		for _, s := range f.shares {
			if s.fresh {
				s.fresh, s.own = false, each
			}
		}
		rest -= each * fresh
	}
	f.reserve = min(reserve, rest)
	f.free = rest - f.reserve
	f.offer = f.free / 2
	f.each = whole / perHour
	f.flow = resting * f.each
	if f.reserve == reserve {
		f.flow += f.limit / reservePart / perHour
	}
}

// shrink cuts all shares in proportion, from a sum to a smaller one at most. What
// was cut is back in the next slice, if it is there then.
func (f *fund) shrink(from, to int64) (sum int64) {
	for _, s := range f.shares {
		if !s.fresh {
			all := s.own
			s.own = all * to / from // below 2^63: see maxAppPoints
			s.cut = all - s.own
			sum += s.own
		}
	}
	return sum
}
