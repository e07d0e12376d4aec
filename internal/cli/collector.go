package cli

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// How far the heap may grow beyond what is live before garbage is collected. Go's own
// measure, as much again (GOGC=100), is too little for a gateway with few tunnels, which
// would collect all the time, and too much for one with many, whose memory is what
// the tunnels hold.
const (
	// heapSpare is that where little is live. About 35 MiB are the program's own pages and
	// what the runtime takes, so with it a busy process stays below 64 MiB.
	heapSpare = 16 << 20
	// heapPart is that where much is live: one in so many of it.
	heapPart = 2
	// The percentage (GOGC) is never outside these, and is left alone until it is
	// wrong by one in collectorSlack: setting it stops the world for a moment.
	leastPercent, mostPercent = 100 / heapPart, 400
	collectorSlack            = 8
)

// heap is what the collector found the last time it was at work.
type heap struct {
	live    uint64 // bytes of objects
	scanned uint64 // bytes of stacks and globals, which GOGC counts as well
}

// collector sets the garbage collector's percentage by what is live.
type collector struct {
	read func() heap
	set  func(percent int) (before int)

	mu      sync.Mutex
	percent int // as it is set
	ended   bool
}

// tuneCollector adapts the garbage collector to the size of the heap until stop is
// called, unless the operator has set GOGC. Under a memory limit the runtime collects
// sooner, whatever the percentage.
func tuneCollector() (stop func()) {
	if _, set := os.LookupEnv("GOGC"); set {
		return func() {}
	}
	before := debug.SetGCPercent(100) // reads it
	debug.SetGCPercent(before)
	c := &collector{read: newHeapReader(), set: debug.SetGCPercent, percent: before}
	c.adjust()
	c.afterCycle()
	return func() { c.end(before) }
}

// end leaves the percentage as it was before.
func (c *collector) end(before int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.set(before)
}

// afterCycle adjusts once the next collection is over, and so on: an object that
// nobody has is gone with it. By the clock, a heap that grows fast could have grown by
// the old percentage in between.
func (c *collector) afterCycle() {
	gone := new(struct{ self *collector }) // with a pointer: others may live in one block with what has none
	runtime.AddCleanup(gone, func(c *collector) {
		if c.adjust() {
			c.afterCycle()
		}
	}, c)
}

// adjust sets the percentage, if it has to be another. It reports whether it is to be
// called again.
func (c *collector) adjust() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	want := percentFor(c.read())
	if off := max(want-c.percent, c.percent-want); off*collectorSlack >= c.percent {
		c.set(want)
		c.percent = want
	}
	return true
}

// percentFor is the percentage by which a heap may grow by as much as it should.
func percentFor(h heap) int {
	room := max(heapSpare, h.live/heapPart)
	counted := max(h.live+h.scanned, 1)
	return int(math.Min(math.Max(float64(room)/float64(counted)*100, leastPercent), mostPercent))
}

func newHeapReader() func() heap {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	return func() heap {
		metrics.Read(samples)
		return heap{live: valueOf(samples[0]), scanned: valueOf(samples[1]) + valueOf(samples[2])}
	}
}
