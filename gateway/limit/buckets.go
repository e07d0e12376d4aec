package limit

import (
	"math"
	"sync"
	"time"
)

// Buckets bound how often something happens for each key: a leaky bucket each
// (GCRA, ITU-T I.371), of which is kept when it will be empty. Methods may be
// called by several goroutines at once.
type Buckets[K comparable] struct {
	burst int
	per   time.Duration
	most  int

	mu    sync.Mutex
	empty map[K]time.Time
}

// NewBuckets lets burst happen at once for each key, and then one in each per. Of
// most keys it is remembered; a key beyond takes the place of one that has few.
func NewBuckets[K comparable](burst int, per time.Duration, most int) *Buckets[K] {
	return &Buckets[K]{burst: burst, per: per, most: most, empty: make(map[K]time.Time)}
}

// PerSecond is NewBuckets for a rate, which must be positive: as many may come at
// once as in a second.
func PerSecond[K comparable](rate float64, most int) *Buckets[K] {
	per := time.Duration(math.Min(math.Max(float64(time.Second)/rate, 1), float64(maxPer)))
	return NewBuckets[K](int(math.Max(1, math.Ceil(math.Min(rate, maxRate)))), per, most)
}

const (
	// maxPer and maxRate keep arithmetic far from overflow.
	maxPer  = 24 * time.Hour
	maxRate = 1e6
	// sampled is among how many keys the one is looked for that makes room: all of
	// them would be work for whoever sends many names.
	sampled = 8
)

// Take takes a turn of k. It returns how long to wait if there is none; a turn that
// is not given costs nothing.
func (b *Buckets[K]) Take(k K) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	empty, wait := b.turn(k, now)
	if wait > 0 {
		return wait
	}
	if _, ok := b.empty[k]; !ok {
		b.makeRoom(now)
	}
	b.empty[k] = empty
	return 0
}

// Wait is how long to wait for a turn of k, which is not taken.
func (b *Buckets[K]) Wait(k K) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.empty) == 0 {
		return 0
	}
	_, wait := b.turn(k, time.Now())
	return wait
}

// turn is when the bucket will be empty after one more, or how long to wait for that.
func (b *Buckets[K]) turn(k K, now time.Time) (time.Time, time.Duration) {
	empty := b.empty[k]
	if empty.Before(now) {
		empty = now
	}
	if wait := empty.Sub(now) - time.Duration(b.burst-1)*b.per; wait > 0 {
		return time.Time{}, wait
	}
	return empty.Add(b.per), 0
}

// makeRoom forgets keys whose bucket is empty, and if that doesn't help, of a few
// the one whose will be first.
func (b *Buckets[K]) makeRoom(now time.Time) {
	if len(b.empty) < b.most {
		return
	}
	var first K
	seen := 0
	for k, empty := range b.empty { // in random order
		if seen == 0 || empty.Before(b.empty[first]) {
			first = k
		}
		if seen++; seen == sampled {
			break
		}
	}
	delete(b.empty, first)
}

// Len is of how many keys something is remembered.
func (b *Buckets[K]) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.empty)
}
