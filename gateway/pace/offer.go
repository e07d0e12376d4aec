package pace

import (
	"math"
	"time"
)

const (
	unbounded = math.MaxInt64 / 2
	// maxSlices is the longest wait that is told of while something may still come:
	// who comes new, rests or goes in that time changes the estimate.
	maxSlices = 6
)

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

// until is how long a call that was refused has to wait: to the end of what Jira
// told, if it was refused for that; else to when there may be enough on offer.
func (f *fund) until(s *share, cost int64, now time.Time) time.Duration {
	if f.withheld(s, cost) {
		return atLeast(f.told.Sub(now))
	}
	n := min(int64(f.slice)+f.slices(s, cost), perHour)
	return atLeast(f.hour.Add(time.Duration(n) * slice).Sub(now))
}

// slices estimates in how many of them a call can be paid for.
func (f *fund) slices(s *share, cost int64) int64 {
	left := f.budget - f.used
	switch {
	case left < cost, !s.fresh && 2*cost > left+s.own+s.cut:
		return perHour // never this hour: half of what is free is offered
	case s.fresh, s.cut > 0, s.used < f.level:
		return 1 // it gets its share, or is among the first of those that are offered something
	}
	// What is free is shared with the others that asked. What is lost to rounding is
	// less than the smallest amount for each share.
	missing := 2*(cost-s.own)*max(1, f.asking) - f.free + int64(len(f.shares)) + 2
	if missing <= f.flow {
		return 1
	}
	if f.flow == 0 {
		return maxSlices // others may come to rest
	}
	return min((missing+f.flow-1)/f.flow, maxSlices)
}

// atLeast keeps a wait above 0 where the clock was set.
func atLeast(wait time.Duration) time.Duration { return min(max(wait, time.Millisecond), time.Hour) }
