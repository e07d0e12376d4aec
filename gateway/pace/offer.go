package pace

import (
	"math"
	"time"
)

const unbounded = math.MaxInt64 / 2

// ask notes that a connection wanted more than its share.
func (f *fund) ask(s *share, more int64) {
	if s.asked != f.slice+1 {
		s.asked, s.want = f.slice+1, 0
	}
	s.want = min(s.want+more, unbounded)
}

// rank finds the level below which connections may take of the offer: that to
// which it fills up those that wanted more than their share in the slice before,
// starting from the one that has used least. One that got all it wanted then is
// taken to want up to twice as much now, so that it does not hold up the others
// with what it will not use. Where the offer is enough for all, all may take.
func (f *fund) rank(before int) {
	f.level, f.asking = math.MaxInt64, 0
	if before < 0 || before != f.slice-1 {
		return
	}
	wanted, low, high := int64(0), int64(math.MaxInt64), int64(0)
	for _, s := range f.shares {
		if s.asked == before+1 {
			f.asking++
			wanted = min(wanted+min(2*s.want, unbounded), unbounded)
			low, high = min(low, s.used), max(high, s.used+f.offer)
		}
	}
	if wanted <= f.offer {
		return
	}
	// The highest level that the offer fills: halving a range of at most 2^31 takes
	// less time than sorting.
	for low < high {
		middle := low + (high-low+1)/2
		if f.filled(middle, before) <= f.offer {
			low = middle
		} else {
			high = middle - 1
		}
	}
	f.level = low + 1
}

// filled is what it takes to fill up those that asked to a level.
func (f *fund) filled(level int64, before int) (sum int64) {
	for _, s := range f.shares {
		if s.asked == before+1 && s.used < level {
			sum += min(level-s.used, 2*s.want)
		}
	}
	return sum
}

// untilMore is the wait for a call that costs more than all that is left.
func (f *fund) untilMore(cost int64, now time.Time) time.Duration {
	end := f.hour.Add(time.Hour)
	if f.limit < f.budget && f.budget-f.used >= cost && f.told.Before(end) {
		end = f.told
	}
	return atLeast(end.Sub(now))
}

// untilOffered estimates when rest will be on offer: half of what is free, shared
// with the others that asked. At the hour's end there is a new share in any case.
func (f *fund) untilOffered(s *share, rest int64, now time.Time) time.Duration {
	n := int64(1)
	// What is lost to rounding is less than the smallest amount for each share.
	missing := 2*rest*max(1, f.asking) - f.free + int64(len(f.shares)) + 2
	if !s.fresh && missing > f.flow {
		n = perHour
		if f.flow > 0 {
			n = min(n, (missing+f.flow-1)/f.flow)
		}
	}
	return atLeast(f.hour.Add(time.Duration(min(int64(f.slice)+n, perHour)) * slice).Sub(now))
}

// atLeast keeps a wait above 0 where the clock was set.
func atLeast(wait time.Duration) time.Duration { return min(max(wait, time.Millisecond), time.Hour) }
