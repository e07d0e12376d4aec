package main

import (
	"context"
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

// tally is what workers have done, and whether they shall go on.
type tally struct {
	done    atomic.Int64
	stopped atomic.Bool
}

// closed has n connections, which take turns in the ways, make calls one after the other,
// for d after a fifth of it to warm up.
func closed(ctx context.Context, ways []*way, n int, d time.Duration, path string) (rate, error) {
	all, hangUp, err := callers(ways, n, 2*d+patience)
	if err != nil {
		return rate{}, err
	}
	defer hangUp()
	return measure(ctx, ways[0].process, n, d, func(i int, t *tally) error {
		request := all[i].way.get(path)
		for !t.stopped.Load() {
			if err := all[i].call(request); err != nil {
				return err
			}
			t.done.Add(1)
		}
		return nil
	})
}

// measure has n workers do something over and over until they are stopped, and counts
// what a process did meanwhile. It ends early if one fails, or ctx ends.
func measure(ctx context.Context, p *process, n int, d time.Duration, work func(worker int, t *tally) error) (r rate, err error) {
	var t tally
	var workers sync.WaitGroup
	failed := make(chan error, n)
	for i := range n {
		workers.Go(func() {
			if err := work(i, &t); err != nil {
				failed <- err
			}
		})
	}
	defer func() {
		t.stopped.Store(true)
		workers.Wait()
		select {
		case e := <-failed:
			if err == nil {
				err = e
			}
		default:
		}
	}()
	pass := func(d time.Duration) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case <-time.After(d):
			return nil
		}
	}
	if err := pass(d / 5); err != nil {
		return r, err
	}
	var spent, now time.Duration
	if p != nil {
		if spent, err = p.processor(); err != nil {
			return r, err
		}
	}
	from, began := t.done.Load(), time.Now()
	if err := pass(d); err != nil {
		return r, err
	}
	did, took := t.done.Load()-from, time.Since(began)
	r.perSecond = float64(did) / took.Seconds()
	if p == nil {
		return r, nil
	}
	if now, err = p.processor(); err != nil {
		return r, err
	}
	if did > 0 {
		r.processor = (now - spent) * 1000 / time.Duration(did)
	}
	r.memory, err = p.memory()
	return r, err
}
