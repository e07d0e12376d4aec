package limit_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway/limit"
)

// Memory is short above one share of the limit, until it is below the lower one.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var used atomic.Uint64
		var told []bool
		m := limit.NewMemory(limit.MemoryOptions{
			Limit: 1000, Short: 0.9, Enough: 0.8, Every: time.Second, Used: used.Load,
			Changed: func(short bool, _ uint64) { told = append(told, short) },
		})
		m.Start()
		m.Start()
		for _, step := range []struct {
			used  uint64
			short bool
		}{{100, false}, {900, false}, {901, true}, {850, true}, {801, true}, {800, false}, {850, false}, {2000, true}, {0, false}} {
			used.Store(step.used)
			time.Sleep(time.Second)
			synctest.Wait()
			if m.Short() != step.short {
				t.Errorf("at %d of 1000: short %v", step.used, m.Short())
			}
		}
		m.Stop()
		m.Stop()
		if !slices.Equal(told, []bool{true, false, true, false}) {
			t.Errorf("told %v", told)
		}
	})
}

func TestMemoryWithoutALimit(t *testing.T) {
	m := limit.NewMemory(limit.MemoryOptions{Used: func() uint64 { t.Error("measured"); return 0 }})
	m.Start()
	if m.Short() {
		t.Error("short of no limit")
	}
	m.Stop()
}

// What the runtime tells is what is held, not garbage.
func TestMemoryOfThisProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := limit.NewMemory(limit.MemoryOptions{Limit: 1 << 40, Short: 0.9, Enough: 0.8, Every: time.Second})
		m.Start()
		defer m.Stop()
		if used, of := m.Used(); used < 1<<20 || used > 1<<32 || of != 1<<40 {
			t.Errorf("%d of %d bytes are in use", used, of)
		}
	})
}

// While memory is short garbage is collected now and then, so that it shows when there
// is enough; otherwise that is the runtime's own matter.
func TestMemoryIsCollectedWhileShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var used atomic.Uint64
		collected := 0
		m := limit.NewMemory(limit.MemoryOptions{
			Limit: 1000, Short: 0.9, Enough: 0.8, Every: time.Second, Used: used.Load, CollectEvery: 5 * time.Second,
			Collect: func() {
				if collected++; collected == 3 {
					used.Store(100) // it was garbage
				}
			},
		})
		m.Start()
		defer m.Stop()
		time.Sleep(time.Minute)
		if collected != 0 {
			t.Errorf("collected %d times with memory enough", collected)
		}
		used.Store(950)
		time.Sleep(1500 * time.Millisecond)
		began := time.Now()
		for m.Short() {
			time.Sleep(time.Second)
		}
		if took := time.Since(began); collected != 3 || took < 14*time.Second || took > 16*time.Second {
			t.Errorf("collected %d times, and short for %s", collected, took)
		}
	})
}
