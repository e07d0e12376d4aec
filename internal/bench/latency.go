package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	p50  = "p50 µs"
	p99  = "p99 µs"
	p999 = "p99.9 µs"

	// steadyRate is that of the open loop, in calls a second by steadyConnections.
	steadyRate        = 1000
	steadyConnections = 64
)

func latencyColumns() []column { return []column{{p50, 0}, {p99, 0}, {p999, 0}} }

func latencySection() section {
	return section{
		name: "latency", title: "Latency at a steady 1,000 calls a second",
		columns: latencyColumns(),
		note:    "Open loop by 64 connections, from the time at which each call was due.",
		measure: func(ctx context.Context, r *run) error {
			ways, err := r.peers(ctx)
			if err != nil {
				return err
			}
			return r.inTurn(ctx, ways, func(w *way) error {
				found, err := open(ctx, w, steadyConnections, steadyRate, r.length, kind{w.get(pathSmall), 10})
				if err != nil {
					return err
				}
				r.addLatency("latency", w.name, found[0])
				return nil
			})
		},
	}
}

func (r *run) addLatency(section, row string, s samples) {
	r.results.add(section, row, p50, micros(s.quantile(.5)))
	r.results.add(section, row, p99, micros(s.quantile(.99)))
	r.results.add(section, row, p999, micros(s.quantile(.999)))
}

// issueBody is what issue.create takes.
const issueBody = `{"fields":{"project":{"key":"BENCH"},"issuetype":{"id":"10001"},"summary":"Agree on the release"}}`

const (
	oneSync  = "one fsync of this disk"
	paidSync = "writes above batch, in fsyncs"
)

func readsOf(sync string) string  { return "reads, AUDIT_SYNC=" + sync }
func writesOf(sync string) string { return "writes, AUDIT_SYNC=" + sync }

func writesSection() section {
	return section{
		name: "writes", title: "Reads and writes: nine GET and one POST of ten, 1,000 calls a second",
		columns: []column{{p50, 1}, {p99, 0}, {p999, 0}},
		note:    "Each POST is answered with the same issue, which the store knows: what it would write for a new one, it would with batch, too. The last row is a ratio.",
		measure: measureWrites,
	}
}

func measureWrites(ctx context.Context, r *run) error {
	if !r.wants(jiragate) {
		return nil
	}
	batch, err := r.own(ctx)
	if err != nil {
		return err
	}
	g, writes, err := r.another(ctx, "writes", "JIRAGATE_AUDIT_SYNC=writes")
	if err != nil {
		return err
	}
	defer g.process.stop()
	syncs := map[*way]string{batch: "batch", writes: "writes"}
	for range r.rounds {
		disk, err := fsync(r.dir)
		if err != nil {
			return err
		}
		r.addLatency("writes", oneSync, disk)
		median := make(map[*way]time.Duration)
		for _, w := range []*way{batch, writes} {
			found, err := open(ctx, w, steadyConnections, steadyRate, r.length,
				kind{w.get(pathSmall), 9}, kind{w.post(pathCreate, issueBody), 1})
			if err != nil {
				return fmt.Errorf("AUDIT_SYNC=%s: %w", syncs[w], err)
			}
			r.addLatency("writes", readsOf(syncs[w]), found[0])
			r.addLatency("writes", writesOf(syncs[w]), found[1])
			median[w] = found[1].quantile(.5)
		}
		r.results.add("writes", paidSync, p50, ratio(float64(median[writes]-median[batch]), float64(disk.quantile(.5))))
	}
	return nil
}

// another is a further gateway, with a way through it.
func (r *run) another(ctx context.Context, name string, extra ...string) (*gateway, *way, error) {
	g := r.newGateway(name, extra...)
	tenants, err := g.fill(ctx, []tenant{{host: r.upstream, client: "bench"}})
	if err != nil {
		return nil, nil, err
	}
	if err := g.start(ctx); err != nil {
		return nil, nil, err
	}
	ways, err := g.ways(tenants)
	if err != nil {
		return nil, nil, err
	}
	return g, ways[0], ways[0].answers(ctx)
}

// fsync appends a kilobyte to a file and waits until it is on disk, a few times, as often
// as the writes that are compared with it: one right after another would be faster.
func fsync(dir string) (samples, error) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var took samples
	for range 100 {
		time.Sleep(10 * time.Millisecond)
		began := time.Now()
		if _, err := f.Write(answerBody); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took, nil
}
