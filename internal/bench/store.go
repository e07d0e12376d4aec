package main

import (
	"context"
	"fmt"
	"time"
)

const (
	smallStore = "small store"
	largeStore = "large store"
	startUp    = "s until ready"
	memoryNew  = "MiB when ready"
	memoryBusy = "MiB busy"

	// live is how many connections are used, each by a client of its own.
	live = 16
)

func storeSection() section {
	return section{
		name: "store", title: "A large store",
		columns: []column{{startUp, 2}, {memoryNew, 0}, {perSecond, 0}, {cpu, 3}, {memoryBusy, 0}},
		note:    "The small store has 16 connections and as many clients; the large one 100,000 connections and 1,000 clients, which may use 100 each. 16 of them make calls, each to a connection of its own.",
		measure: measureStore,
	}
}

func measureStore(ctx context.Context, r *run) error {
	if !r.wants(jiragate) {
		return nil
	}
	type filled struct {
		row     string
		gateway *gateway
		tenants []tenant
	}
	var both []filled
	for _, size := range []struct {
		row                  string
		connections, clients int
	}{{smallStore, live, live}, {largeStore, r.connections, r.clients}} {
		g := r.newGateway(fmt.Sprintf("of-%d", size.connections))
		tenants, err := g.fill(ctx, crowd(r.upstream, size.connections, size.clients))
		if err != nil {
			return fmt.Errorf("filling the %s: %w", size.row, err)
		}
		// The first start makes the certificates, and much that others only read.
		if err := g.start(ctx); err != nil {
			return err
		}
		g.process.stop()
		both = append(both, filled{size.row, g, tenants[:live]})
	}
	for range r.rounds {
		for _, f := range both {
			if err := r.measureStored(ctx, f.row, f.gateway, f.tenants); err != nil {
				return fmt.Errorf("%s: %w", f.row, err)
			}
		}
	}
	return nil
}

func (r *run) measureStored(ctx context.Context, row string, g *gateway, tenants []tenant) error {
	began := time.Now()
	if err := g.start(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	defer g.process.stop()
	resident, err := g.process.memory()
	if err != nil {
		return err
	}
	ways, err := g.ways(tenants)
	if err != nil {
		return err
	}
	found, err := closed(ctx, ways, live, r.length, pathSmall)
	if err != nil {
		return err
	}
	r.results.add("store", row, startUp, took.Seconds())
	r.results.add("store", row, memoryNew, mebibytes(resident))
	r.addRate("store", row, found)
	r.results.add("store", row, memoryBusy, mebibytes(found.memory))
	return nil
}

// crowd is a store's content: the first connections lead to the upstream, below a path
// of their own, and the others to hosts of their own that nobody calls.
func crowd(upstream string, connections, clients int) []tenant {
	all := make([]tenant, connections)
	for i := range all {
		all[i] = tenant{host: fmt.Sprintf("jira.customer-%06d.example.com", i), base: "/jira", client: fmt.Sprintf("service-%04d", i%clients)}
		if i < live {
			all[i].host, all[i].base = upstream, fmt.Sprintf("/jira-%d", i)
		}
	}
	return all
}
