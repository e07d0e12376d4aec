package main

import (
	"context"
	"sync/atomic"
	"time"
)

const resumed = "sessions resumed, %"

func tunnelsSection() section {
	return section{
		name: "tunnels", title: "A new tunnel for each call",
		columns: []column{{perSecond, 0}, {cpu, 3}, {resumed, 0}},
		note:    "16 workers that keep their TLS sessions. For nginx and no proxy these are new connections.",
		measure: func(ctx context.Context, r *run) error {
			ways, err := r.peers(ctx)
			if err != nil {
				return err
			}
			return r.inTurn(ctx, ways, func(w *way) error {
				found, share, err := opened(ctx, w, 16, r.length)
				if err != nil {
					return err
				}
				r.results.add("tunnels", w.name, perSecond, found.perSecond)
				if w.process != nil {
					r.results.add("tunnels", w.name, cpu, found.processor.Seconds())
				}
				r.results.add("tunnels", w.name, resumed, share*100)
				return nil
			})
		},
	}
}

// opened has n workers open a connection, make one call and close it, over and over. It
// tells the share of TLS sessions that were resumed.
func opened(ctx context.Context, w *way, n int, d time.Duration) (found rate, share float64, err error) {
	request := w.get(pathSmall)
	var all, again atomic.Int64
	found, err = measure(ctx, w.process, n, d, func(_ int, t *tally) error {
		for !t.stopped.Load() {
			c, err := w.caller(patience)
			if err != nil {
				return err
			}
			all.Add(1)
			if c.conn.ConnectionState().DidResume {
				again.Add(1)
			}
			err = c.call(request)
			c.conn.Close()
			if err != nil {
				return err
			}
			t.done.Add(1)
		}
		return nil
	})
	return found, float64(again.Load()) / float64(max(1, all.Load())), err
}
