package cli

import (
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
)

// unit is that of which heapSpare is twenty.
const unit = heapSpare / 20

func TestPercentFor(t *testing.T) {
	for _, tt := range []struct {
		name string
		heap heap
		want int
	}{
		{"nothing yet", heap{}, 400},
		{"just started: no more than five times what is live", heap{live: 2 * unit}, 400},
		{"few tunnels", heap{live: 10 * unit}, 200},
		{"stacks and globals count, too", heap{live: 10 * unit, scanned: 6 * unit}, 125},
		{"as Go does it", heap{live: 20 * unit}, 100},
		{"where the part begins", heap{live: 40 * unit}, 50},
		{"ten thousand tunnels", heap{live: 200 * unit}, 50},
		{"large stacks don't keep the collector busy", heap{live: 200 * unit, scanned: 400 * unit}, 50},
	} {
		if got := percentFor(tt.heap); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// Setting the percentage stops the world, so it is set only where that makes a difference.
func TestCollectorSetsWhatIsNotable(t *testing.T) {
	var set []int
	now := heap{live: 20 * unit}
	c := &collector{percent: 100, read: func() heap { return now }, set: func(p int) int { set = append(set, p); return 0 }}
	for _, live := range []uint64{20 * unit, 21 * unit, 19 * unit, 10 * unit, 10*unit + unit/4, 10 * unit, 100 * unit, 110 * unit, 20 * unit} {
		now.live = live
		c.adjust()
	}
	if want := []int{200, 50, 100}; !slices.Equal(set, want) {
		t.Errorf("it was set to %d, want %d", set, want)
	}
}

// It is looked at after each collection until the end, and then as it was before.
func TestCollectorFollowsTheHeap(t *testing.T) {
	set := make(chan int, 10)
	live := uint64(10 * unit)
	c := &collector{percent: 100, set: func(p int) int { set <- p; return 0 }, read: func() heap {
		live *= 2
		return heap{live: live}
	}}
	c.afterCycle()
	for len(set) == 0 { // the first cycle finds heapSpare, for which 100 is right
		runtime.GC()
		runtime.Gosched()
	}
	if got := <-set; got != 50 {
		t.Errorf("set to %d, want 50", got)
	}
	c.end(100)
	if got := <-set; got != 100 {
		t.Errorf("left at %d", got)
	}
	if c.adjust() || len(set) != 0 {
		t.Error("it goes on after its end")
	}
}

// Who sets GOGC has said what they want.
func TestCollectorLeavesTheOperatorsGOGC(t *testing.T) {
	before := debug.SetGCPercent(77)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	percent := func() int { p := debug.SetGCPercent(77); debug.SetGCPercent(p); return p }
	t.Setenv("GOGC", "77")
	stop := tuneCollector()
	if got := percent(); got != 77 {
		t.Errorf("GOGC=77 became %d", got)
	}
	stop()
	if err := os.Unsetenv("GOGC"); err != nil { // t.Setenv puts it back
		t.Fatal(err)
	}
	stop = tuneCollector()
	if got := percent(); got == 77 {
		t.Error("without GOGC it stayed as it was")
	}
	stop()
	if got := percent(); got != 77 {
		t.Errorf("it was left at %d", got)
	}
}

func TestHeapIsRead(t *testing.T) {
	runtime.GC()
	if h := newHeapReader()(); h.live == 0 || h.scanned == 0 {
		t.Errorf("%+v", h)
	}
}
