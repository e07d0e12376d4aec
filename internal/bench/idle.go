package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"
)

const (
	kibEach   = "KiB each"
	before    = "MiB before"
	after     = "MiB with them"
	idleHTTP2 = "jiragate, HTTP/2"
)

func idleSection() section {
	return section{
		name: "idle", title: "Idle tunnels",
		columns: []column{{kibEach, 1}, {before, 0}, {after, 0}},
		note:    "Each had one call. Every round has processes of its own, which have made some calls before.",
		measure: measureIdle,
	}
}

func measureIdle(ctx context.Context, r *run) error {
	if err := descriptors(r.tunnels); err != nil {
		return err
	}
	fresh := func(i int) func(context.Context) (*way, error) {
		return func(ctx context.Context) (*way, error) {
			_, w, err := r.another(ctx, fmt.Sprintf("idle-%d", i))
			return w, err
		}
	}
	for round := range r.rounds {
		for _, peer := range []struct {
			row, way string
			http2    bool
			make     func(context.Context) (*way, error)
		}{
			{nginx, nginx, false, r.nginx}, {goproxyLoop, goproxyLoop, false, r.goproxy},
			{jiragate, jiragate, false, fresh(2 * round)}, {idleHTTP2, jiragate, true, fresh(2*round + 1)},
		} {
			if !r.wants(peer.way) {
				continue
			}
			w, err := peer.make(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", peer.row, err)
			}
			if w == nil {
				continue
			}
			err = r.idle(ctx, w, peer.row, peer.http2)
			w.process.stop()
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// idle measures what tunnels take of the memory of a process that has nothing else.
func (r *run) idle(ctx context.Context, w *way, row string, http2 bool) error {
	if _, err := closed(ctx, []*way{w}, 16, r.settle/3, pathSmall); err != nil {
		return err
	}
	if err := rest(ctx, r.settle); err != nil {
		return err
	}
	empty, err := w.process.memory()
	if err != nil {
		return err
	}
	hangUp, err := w.tunnels(r.tunnels, http2)
	defer hangUp()
	if err != nil {
		return err
	}
	if err := rest(ctx, r.settle); err != nil {
		return err
	}
	full, err := w.process.memory()
	if err != nil {
		return err
	}
	r.results.add("idle", row, kibEach, float64(full-empty)/1024/float64(r.tunnels))
	r.results.add("idle", row, before, mebibytes(empty))
	r.results.add("idle", row, after, mebibytes(full))
	return nil
}

// tunnels opens n connections by 16 workers, makes one call by each and leaves them open.
func (w *way) tunnels(n int, http2 bool) (hangUp func(), _ error) {
	var mu sync.Mutex
	var kept []io.Closer
	var failed error
	var workers sync.WaitGroup
	work := make(chan struct{}, n)
	for range n {
		work <- struct{}{}
	}
	close(work)
	for range 16 {
		workers.Go(func() {
			for range work {
				c, err := w.tunnel(http2)
				mu.Lock()
				if err != nil {
					failed = err
				} else {
					kept = append(kept, c)
				}
				stop := failed != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	workers.Wait()
	return func() {
		for _, c := range kept {
			_ = c.Close()
		}
	}, failed
}

func (w *way) tunnel(http2 bool) (io.Closer, error) {
	if http2 {
		s, err := w.streams(pathSmall, patience)
		if err != nil {
			return nil, err
		}
		return s.conn, s.once()
	}
	c, err := w.caller(patience)
	if err != nil {
		return nil, err
	}
	return c.conn, c.call(w.get(pathSmall))
}

// descriptors sees that every process may have as many connections. All have the limit
// of this one, which the runtime has raised as far as it may.
func descriptors(n int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if need := uint64(n + 500); limit.Max < need {
		return fmt.Errorf("%d tunnels take %d descriptors, and this process may have %d: raise it by ulimit -Hn, or choose fewer by -tunnels", n, need, limit.Max)
	}
	return nil
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
