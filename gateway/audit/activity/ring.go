package activity

import "time"

// maxCodes bounds the codes that refusals are counted by; further ones are "other".
const maxCodes = 64

// bucket holds what is counted of one unit of time.
type bucket struct {
	unit    int64 // since 1970, in units of its ring
	used    bool
	counts  Counts
	latency latencies[uint32]
	refused [maxCodes + 1]uint32 // by the number of the code
}

// ring holds the newest buckets of one width. A bucket whose time is over is taken
// for a new one when that is needed.
type ring struct {
	width   int64 // of a bucket, in seconds
	kept    int64 // buckets up to the present one that are kept for sure
	buckets []bucket
	lost    int64 // the unit after the latest of those that were taken
}

// newRing makes a ring that goes back to the horizon, and has the present unit and the
// next one.
func newRing(width, horizon time.Duration) *ring {
	kept := int64(horizon/width) + 2
	return &ring{width: int64(width / time.Second), kept: kept, buckets: make([]bucket, kept+1)}
}

// window is which units are kept, as of now: those from first on, before end. The one
// after the present one is among them, since clocks are not exact.
func (r *ring) window(now time.Time) (first, end int64) {
	present := floorDiv(now.Unix(), r.width)
	return present - r.kept + 1, present + 2
}

// at is the bucket for the time t, nil if that is not kept.
func (r *ring) at(t, now time.Time) *bucket {
	unit := floorDiv(t.Unix(), r.width)
	first, end := r.window(now)
	if unit < first || unit >= end {
		return nil
	}
	b := &r.buckets[modulo(unit, len(r.buckets))]
	if b.used && b.unit == unit {
		return b
	}
	if b.used && b.unit < end { // else it is of a time when the clock was ahead
		r.lost = max(r.lost, b.unit+1)
	}
	*b = bucket{unit: unit, used: true}
	return b
}

// find is the bucket of a unit, nil if nothing was counted in it.
func (r *ring) find(unit int64) *bucket {
	if b := &r.buckets[modulo(unit, len(r.buckets))]; b.used && b.unit == unit {
		return b
	}
	return nil
}

// since is from when on all that was counted is still there.
func (r *ring) since(now time.Time) time.Time {
	first, _ := r.window(now)
	return time.Unix(max(first, r.lost)*r.width, 0).UTC()
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func modulo(a int64, n int) int {
	return int((a%int64(n) + int64(n)) % int64(n))
}
