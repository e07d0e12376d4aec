package main

import (
	"context"
	"time"
)

const (
	manyHTTP1 = "16 connections of HTTP/1.1"
	oneHTTP2  = "1 of HTTP/2, 64 streams"

	byHTTP1    = "HTTP/1.1 to Jira"
	byHTTP2    = "HTTP/2 to Jira"
	besideSlow = "p99 µs beside slow answers"

	// slowCallers wait for slowAnswer each time, while others are measured.
	slowCallers = 16
	slowAnswer  = 200 // ms
)

func http2Section() section {
	return section{
		name: "http2", title: "HTTP/2 in the tunnel",
		columns: []column{{perSecond, 0}, {cpu, 3}},
		measure: func(ctx context.Context, r *run) error {
			ways, err := r.only(ctx, jiragate)
			if err != nil {
				return err
			}
			return r.inTurn(ctx, ways, func(w *way) error {
				many, err := closed(ctx, ways, 16, r.length, pathSmall)
				if err != nil {
					return err
				}
				r.addRate("http2", manyHTTP1, many)
				one, err := multiplexed(ctx, w, 64, r.length, pathSmall)
				if err != nil {
					return err
				}
				r.addRate("http2", oneHTTP2, one)
				return nil
			})
		},
	}
}

func (r *run) addRate(section, row string, found rate) {
	r.results.add(section, row, perSecond, found.perSecond)
	r.results.add(section, row, cpu, found.processor.Seconds())
}

func upstreamSection() section {
	return section{
		name: "upstream", title: "HTTP/2 to Jira",
		columns: []column{{perSecond, 0}, {cpu, 3}, {p50, 0}, {p99, 0}, {besideSlow, 0}},
		note: "16 connections of clients; latency at 1,000 calls a second, alone and while 16 other clients' calls to the same Jira take 200 ms each " +
			"and one reads a large answer slowly. A stall behind a slow answer would be of 200 ms.",
		measure: measureUpstream,
	}
}

func measureUpstream(ctx context.Context, r *run) error {
	if !r.wants(jiragate) {
		return nil
	}
	for range r.rounds {
		for _, to := range []struct{ row, host string }{{byHTTP1, r.upstream}, {byHTTP2, r.http2}} {
			w, err := r.through(ctx, to.host)
			if err != nil {
				return err
			}
			found, err := closed(ctx, []*way{w}, 16, r.length, pathSmall)
			if err != nil {
				return err
			}
			r.addRate("upstream", to.row, found)
			alone, err := open(ctx, w, steadyConnections/2, steadyRate, r.length, kind{w.get(pathSmall), 10})
			if err != nil {
				return err
			}
			r.results.add("upstream", to.row, p50, micros(alone[0].quantile(.5)))
			r.results.add("upstream", to.row, p99, micros(alone[0].quantile(.99)))
			beside, err := r.beside(ctx, w)
			if err != nil {
				return err
			}
			r.results.add("upstream", to.row, besideSlow, micros(beside.quantile(.99)))
		}
	}
	return nil
}

// beside measures calls while others get slow answers.
func (r *run) beside(ctx context.Context, w *way) (samples, error) {
	reader, err := w.caller(2*r.length + patience)
	if err != nil {
		return nil, err
	}
	defer reader.conn.Close()
	if _, err := reader.conn.Write(w.get(pathOf(kindLarge, r.large))); err != nil {
		return nil, w.failed("asking for a large answer", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slow := make(chan error, 1)
	stopped := make(chan struct{})
	go func() {
		_, err := measure(ctx, nil, slowCallers, 4*r.length, func(i int, t *tally) error {
			c, err := w.caller(2*r.length + patience)
			if err != nil {
				return err
			}
			defer c.conn.Close()
			for !t.stopped.Load() {
				if err := c.call(w.get(pathOf(kindSlow, slowAnswer))); err != nil {
					return err
				}
			}
			return nil
		})
		slow <- err
	}()
	go func() { // who reads slowly: 400 KB a second
		defer close(stopped)
		piece := make([]byte, 4<<10)
		for ctx.Err() == nil {
			if _, err := reader.conn.Read(piece); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	found, err := open(ctx, w, steadyConnections/2, steadyRate, r.length, kind{w.get(pathSmall), 10})
	cancel()
	reader.conn.Close()
	<-stopped
	if e := <-slow; err == nil && e != context.Canceled {
		err = e
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}
