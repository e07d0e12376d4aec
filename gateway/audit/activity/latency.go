package activity

import "math"

const (
	perDoubling = 8   // buckets for each doubling of the duration
	shortest    = 0.1 // milliseconds: the upper bound of the first bucket
	longest     = 300_000
	// lastLatency is ⌈perDoubling · log₂(longest/shortest)⌉.
	lastLatency = 173
)

// latencies are durations counted by bucket. The first bucket holds what is not
// longer than shortest; bucket i ends at shortest · 2^(i/perDoubling), the last one
// nowhere.
type latencies[N uint32 | uint64] [lastLatency + 1]N

// latencyBucket is the bucket of a duration in milliseconds.
func latencyBucket(ms float64) int {
	switch {
	case !(ms > shortest):
		return 0
	case ms >= longest:
		return lastLatency
	}
	return min(max(int(math.Ceil(perDoubling*math.Log2(ms/shortest))), 0), lastLatency)
}

// quantile estimates the duration, in milliseconds, that a part q of the calls does
// not exceed; nil if there were none.
func (l *latencies[N]) quantile(q float64) *float64 {
	var total uint64
	for _, n := range l {
		total += uint64(n)
	}
	if total == 0 {
		return nil
	}
	rank := max(uint64(math.Ceil(q*float64(total))), 1)
	var below uint64
	for i, n := range l {
		if below += uint64(n); below >= rank {
			return latencyOf(i)
		}
	}
	return latencyOf(lastLatency)
}

// latencyOf is the middle of a bucket on the logarithmic scale, which is off by half
// a bucket at most.
func latencyOf(bucket int) *float64 {
	ms := shortest * math.Exp2((float64(bucket)-0.5)/perDoubling)
	ms = math.Round(min(max(ms, shortest), longest)*1e6) / 1e6 // to the nanosecond
	return &ms
}
