package main

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// rate is what a closed loop has found.
type rate struct {
	perSecond float64       // calls, or connections
	processor time.Duration // for 1,000 of them; 0 where nobody's counts
	memory    int64         // resident at its end
}

// closed has n connections make calls one after the other, for d after a fifth of it to
// warm up.
func closed(w *way, n int, d time.Duration, request []byte) (rate, error) {
	callers := make([]*caller, n)
	for i := range callers {
		c, err := w.dial()
		if err != nil {
			return rate{}, err
		}
		defer c.Close()
		callers[i] = newCaller(c)
	}
	return loop(w, n, d, func(i int) error { return callers[i].call(request) })
}

// opened has n workers open a connection, make one call and close it, over and over.
func opened(w *way, n int, d time.Duration, request []byte) (rate, error) {
	return loop(w, n, d, func(int) error {
		c, err := w.dial()
		if err != nil {
			return err
		}
		defer c.Close()
		return newCaller(c).call(request)
	})
}

// loop has n workers do something over and over.
func loop(w *way, n int, d time.Duration, do func(worker int) error) (rate, error) {
	var count atomic.Int64
	var failed atomic.Pointer[error]
	var stop atomic.Bool
	var workers sync.WaitGroup
	for i := range n {
		workers.Go(func() {
			for !stop.Load() {
				if err := do(i); err != nil {
					failed.CompareAndSwap(nil, &err)
					stop.Store(true)
					return
				}
				count.Add(1)
			}
		})
	}
	time.Sleep(d / 5)
	from, spent, err := count.Load(), time.Duration(0), error(nil)
	if w.process != nil {
		spent, err = w.process.processor()
	}
	began := time.Now()
	time.Sleep(d)
	did, took := count.Load()-from, time.Since(began)
	r := rate{perSecond: float64(did) / took.Seconds()}
	if w.process != nil && err == nil {
		var now time.Duration
		if now, err = w.process.processor(); did > 0 {
			r.processor = (now - spent) * 1000 / time.Duration(did)
		}
		r.memory, _ = w.process.memory()
	}
	stop.Store(true)
	workers.Wait()
	if f := failed.Load(); f != nil {
		return r, *f
	}
	return r, err
}

// latency is how long calls took.
type latency struct{ p50, p99, p999 time.Duration }

// open makes calls by n connections at perSecond, each at its own time whatever has
// become of those before, and measures each from the time at which it was due.
func open(w *way, n int, perSecond float64, d time.Duration, request func(i int) []byte) (latency, error) {
	var took [][]time.Duration
	var mu sync.Mutex
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	every := time.Duration(float64(n) / perSecond * float64(time.Second)) // of one connection
	warm := d / 5
	callers := make([]*caller, n)
	for i := range callers {
		c, err := w.dial()
		if err != nil {
			return latency{}, err
		}
		defer c.Close()
		callers[i] = newCaller(c)
	}
	began := time.Now().Add(100 * time.Millisecond)
	for i, c := range callers {
		workers.Go(func() {
			var own []time.Duration
			due := began.Add(every * time.Duration(i) / time.Duration(n))
			for k := i; due.Before(began.Add(warm + d)); k, due = k+n, due.Add(every) {
				time.Sleep(time.Until(due))
				if err := c.call(request(k)); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				if due.After(began.Add(warm)) {
					own = append(own, time.Since(due))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, own)
		})
	}
	workers.Wait()
	if f := failed.Load(); f != nil {
		return latency{}, *f
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[min(len(all)-1, int(q*float64(len(all))))] }
	return latency{at(.5), at(.99), at(.999)}, nil
}
