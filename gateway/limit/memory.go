package limit

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// MemoryOptions are what a Memory watches.
type MemoryOptions struct {
	// Limit is the memory limit in bytes; 0: there is none, and it is never short.
	Limit uint64
	// Short is the share of the limit above which memory is short, and Enough the
	// lower one below which it is so no more.
	Short, Enough float64
	// Every is how often it is measured.
	Every time.Duration
	// CollectEvery is how often garbage is collected while memory is short, so that
	// what is measured is not what was held when there was more to do; 0: never.
	CollectEvery time.Duration
	// Collect collects garbage; nil: the runtime does.
	Collect func()
	// Used measures; nil: what the runtime tells of this process.
	Used func() uint64
	// Changed, if not nil, is told when memory becomes short and when it is enough.
	Changed func(short bool, used uint64)
}

// Memory watches how close the process is to its memory limit.
type Memory struct {
	o         MemoryOptions
	short     atomic.Bool
	used      atomic.Uint64
	collected time.Time // or became short
	begin     sync.Once
	end       sync.Once
	done      chan struct{}
	gone      sync.WaitGroup
}

// NewMemory returns a Memory that does not watch yet.
func NewMemory(o MemoryOptions) *Memory {
	if o.Used == nil {
		o.Used = newUsed()
	}
	if o.Collect == nil {
		o.Collect = runtime.GC
	}
	return &Memory{o: o, done: make(chan struct{})}
}

// Start watches until Stop, once.
func (m *Memory) Start() {
	if m.o.Limit == 0 {
		return
	}
	m.begin.Do(func() {
		m.measure()
		m.gone.Go(func() {
			tick := time.NewTicker(m.o.Every)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					m.measure()
				case <-m.done:
					return
				}
			}
		})
	})
}

// Stop ends the watching. It may be called without Start.
func (m *Memory) Stop() {
	m.begin.Do(func() {})
	m.end.Do(func() { close(m.done) })
	m.gone.Wait()
}

func (m *Memory) measure() {
	was := m.short.Load()
	if was && m.o.CollectEvery > 0 && time.Since(m.collected) >= m.o.CollectEvery {
		m.o.Collect()
		m.collected = time.Now()
	}
	used := m.o.Used()
	m.used.Store(used)
	share := float64(used) / float64(m.o.Limit)
	now := share > m.o.Short || was && share > m.o.Enough
	if now == was {
		return
	}
	m.short.Store(now)
	m.collected = time.Now()
	if m.o.Changed != nil {
		m.o.Changed(now, used)
	}
}

// Short reports whether there is too little memory for anything new.
func (m *Memory) Short() bool { return m.short.Load() }

// Used is how much was in use when it was measured last, and of how much.
func (m *Memory) Used() (used, limit uint64) { return m.used.Load(), m.o.Limit }

// newUsed returns what measures the memory that would be in use after a garbage
// collection: garbage is no reason to refuse anything, and near the limit the
// collector runs often enough to tell.
func newUsed() func() uint64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	return func() uint64 {
		metrics.Read(samples)
		value := func(i int) uint64 {
			if samples[i].Value.Kind() != metrics.KindUint64 {
				return 0 // another Go version
			}
			return samples[i].Value.Uint64()
		}
		total, released, free, objects, live := value(0), value(1), value(2), value(3), value(4)
		return total - min(total, released+free+objects) + min(live, objects)
	}
}
