package main

import "context"

const (
	calls16  = "calls/s, 16 connections"
	cpu16    = "CPU s per 1,000, 16"
	calls64  = "calls/s, 64 connections"
	cpu64    = "CPU s per 1,000, 64"
	memory64 = "MiB resident, 64 busy"

	// perSecond and cpu are columns of several sections.
	perSecond = "calls/s"
	cpu       = "CPU s per 1,000"
)

func callsSection() section {
	return section{
		name: "calls", title: "Calls by connections that are kept",
		columns: []column{{calls16, 0}, {cpu16, 3}, {calls64, 0}, {cpu64, 3}, {memory64, 0}},
		measure: measureCalls,
	}
}

func measureCalls(ctx context.Context, r *run) error {
	ways, err := r.peers(ctx)
	if err != nil {
		return err
	}
	return r.inTurn(ctx, ways, func(w *way) error {
		for _, loop := range []struct {
			connections  int
			calls, spent string
		}{{16, calls16, cpu16}, {64, calls64, cpu64}} {
			found, err := closed(ctx, []*way{w}, loop.connections, r.length, pathSmall)
			if err != nil {
				return err
			}
			r.results.add("calls", w.name, loop.calls, found.perSecond)
			if w.process == nil {
				continue
			}
			r.results.add("calls", w.name, loop.spent, found.processor.Seconds())
			if loop.connections == 64 {
				r.results.add("calls", w.name, memory64, mebibytes(found.memory))
			}
		}
		return nil
	})
}
