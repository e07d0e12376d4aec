package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// samples are how long calls took, in order of length.
type samples []time.Duration

// quantile is what a share q of the calls took at most; 0 if there are none.
func (s samples) quantile(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

// kind is a kind of calls that is measured apart.
type kind struct {
	request []byte
	share   int // of ten calls
}

// open makes calls by n connections at perSecond, each at its own time whatever has
// become of those before, and measures each from the time at which it was due. It
// returns the samples of each kind.
func open(ctx context.Context, w *way, n int, perSecond float64, d time.Duration, kinds ...kind) ([]samples, error) {
	of := schedule(kinds)
	all, hangUp, err := callers([]*way{w}, n, 2*d+patience)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	every := time.Duration(float64(time.Second) / perSecond)
	warm := int(d / 5 / every)
	total := warm + int(d/every)
	took := make([]time.Duration, total)
	queues := make([]chan int, n)
	failed := make(chan error, n)
	var workers sync.WaitGroup
	began := time.Now().Add(50 * time.Millisecond)
	for i, c := range all {
		queues[i] = make(chan int, total/n+1)
		workers.Go(func() {
			for k := range queues[i] {
				if err := c.call(kinds[of[k%len(of)]].request); err != nil {
					failed <- err
					return
				}
				took[k] = time.Since(began.Add(every * time.Duration(k)))
			}
		})
	}
	err = pace(ctx, began, every, total, failed, func(k int) { queues[k%n] <- k })
	for _, q := range queues {
		close(q)
	}
	workers.Wait()
	select {
	case e := <-failed:
		err = e
	default:
	}
	if err != nil {
		return nil, err
	}
	by := make([]samples, len(kinds))
	for k := warm; k < total; k++ {
		i := of[k%len(of)]
		by[i] = append(by[i], took[k])
	}
	for i := range by {
		if len(by[i]) == 0 {
			return nil, fmt.Errorf("%s: %s is too short for a call of each kind", w.name, d)
		}
		slices.Sort(by[i])
	}
	return by, nil
}

// schedule is which kind each of ten calls is of.
func schedule(kinds []kind) (of []int) {
	for i, k := range kinds {
		for range k.share {
			of = append(of, i)
		}
	}
	return of
}

// pace calls due with 0, 1, 2… at their times. It sleeps in the kernel by a thread of
// its own, since timers of the runtime are up to a millisecond late.
func pace(ctx context.Context, began time.Time, every time.Duration, total int, failed <-chan error, due func(int)) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for k := range total {
		at := began.Add(every * time.Duration(k))
		for left := time.Until(at); left > 0; left = time.Until(at) {
			ts := unix.NsecToTimespec(int64(left))
			_ = unix.Nanosleep(&ts, nil) // a signal may end it early
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		default:
			due(k)
		}
	}
	return nil
}
