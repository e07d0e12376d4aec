package cli

import (
	"log/slog"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// When a busy process falls quiet, what it has left as garbage stays until as much again is
// allocated, which may take hours; so do stacks that are larger than they need to be. So
// once in a quiet time that is collected, and given back to the system.
const (
	quietLook = 800 * time.Millisecond // two of them are longer than tunnels take to sleep
	// quietLooks in a row must find no more than quietRate allocated. A call takes about
	// 10 KiB, so with 150 a second nothing is quiet.
	quietLooks = 2
	quietRate  = 1 << 20
	// After programFirst, and then each programAgain, what was read of the program and is
	// not needed all the time is given back: some hundred pages that are, come back at once.
	programFirst = 5 * time.Second
	programAgain = time.Minute
	// quietGarbage is what it must be worth.
	quietGarbage = 3 << 20
)

// demand is what the heap was asked for.
type demand struct {
	allocated uint64 // bytes, ever
	present   uint64 // bytes of objects, dead ones that are not collected included
	live      uint64 // bytes that the last collection has left
}

// quiet finds quiet times.
type quiet struct {
	last  uint64 // allocated, at the last look
	looks int    // in a row
}

// worth reports whether now is the time to collect.
func (q *quiet) worth(u demand) bool {
	calm := u.allocated-q.last <= quietRate
	q.last = u.allocated
	if !calm {
		q.looks = 0
		return false
	}
	q.looks++
	return q.looks >= quietLooks && u.present >= u.live+quietGarbage
}

// economise gives memory back in quiet times, and pages of the program now and then, until
// stop is called. Who sets GOGC has said when garbage is to be collected.
func economise(log *slog.Logger) (stop func()) {
	_, tuned := os.LookupEnv("GOGC")
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		look, program := time.NewTicker(quietLook), time.NewTimer(programFirst)
		defer look.Stop()
		defer program.Stop()
		read, q := newDemandReader(), quiet{}
		for {
			select {
			case <-ended:
				return
			case <-look.C:
				if q.worth(read()) && !tuned {
					debug.FreeOSMemory()
				}
			case <-program.C:
				if err := giveProgramBack(); err != nil {
					log.Debug("pages of the program stay resident", "error", err)
					continue // it would fail again
				}
				program.Reset(programAgain)
			}
		}
	}()
	return func() { close(ended); <-done }
}

func newDemandReader() func() demand {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	return func() demand {
		metrics.Read(samples)
		return demand{allocated: valueOf(samples[0]), present: valueOf(samples[1]), live: valueOf(samples[2])}
	}
}

// valueOf is 0 where this version of Go has no such metric.
func valueOf(s metrics.Sample) uint64 {
	if s.Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s.Value.Uint64()
}
