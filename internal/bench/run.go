package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
)

// run is what the sections share: the programs, and what was found so far.
type run struct {
	settings
	*stage
	results *results
	out     io.Writer
	shared  []*way          // made when they are needed
	tenants map[string]*way // ways through the shared gateway to both upstreams
}

// section is a question, and how it is answered.
type section struct {
	name, title, note string
	columns           []column
	measure           func(context.Context, *run) error
}

func sections() []section {
	return []section{callsSection(), latencySection(), writesSection(), tunnelsSection(), idleSection(),
		http2Section(), upstreamSection(), storeSection(), streamingSection(), downloadSection()}
}

func sectionNames() (names []string) {
	for _, s := range sections() {
		names = append(names, s.name)
	}
	return names
}

// run measures everything, prints it as it comes and returns it.
func (s settings) run(ctx context.Context, out io.Writer) (*results, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := newStage(ctx, dir, s.gateway)
	if st != nil {
		defer st.close()
	}
	if err != nil {
		return nil, err
	}
	r := &run{settings: s, stage: st, out: out, results: &results{Machine: machine(), Length: s.length.String(), Rounds: s.rounds}}
	if s.micro != "" {
		if err := r.results.addMicro(s.micro); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(out, "%s; %d rounds of %s\n", r.results.Machine, s.rounds, s.length)
	for _, sec := range sections() {
		if len(s.sections) > 0 && !slices.Contains(s.sections, sec.name) {
			continue
		}
		if err := sec.measure(ctx, r); err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("%s: interrupted", sec.name)
			}
			return nil, fmt.Errorf("%s: %w", sec.name, err)
		}
		fmt.Fprintf(out, "\n%s\n%s", sec.title, r.results.table(sec).plain())
	}
	fmt.Fprintf(out, "\nGoals\n%s", r.results.goalTable(false).plain())
	return r.results, nil
}

// inTurn has each round measure each way after the other, so that what else happens on
// the machine meets all of them.
func (r *run) inTurn(ctx context.Context, ways []*way, measure func(w *way) error) error {
	for range r.rounds {
		for _, w := range ways {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := measure(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// peers are the ways that are compared, in this order, started once.
func (r *run) peers(ctx context.Context) ([]*way, error) {
	if r.shared != nil {
		return r.shared, nil
	}
	ways := []*way{}
	for _, peer := range []struct {
		name string
		make func(context.Context) (*way, error)
	}{{direct, r.direct}, {nginx, r.nginx}, {goproxyLoop, r.goproxy}, {jiragate, r.own}} {
		if !r.wants(peer.name) {
			continue
		}
		w, err := peer.make(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", peer.name, err)
		}
		if w == nil {
			fmt.Fprintf(r.out, "%s is not installed: it is left out\n", peer.name)
			continue
		}
		ways = append(ways, w)
	}
	r.shared = ways
	return ways, nil
}

// only are those of the peers with these names.
func (r *run) only(ctx context.Context, names ...string) ([]*way, error) {
	ways, err := r.peers(ctx)
	return slices.DeleteFunc(slices.Clone(ways), func(w *way) bool { return !slices.Contains(names, w.name) }), err
}

// own is the shared gateway with AUDIT_SYNC=batch, by HTTP/1.1 to the upstream.
func (r *run) own(ctx context.Context) (*way, error) { return r.through(ctx, r.upstream) }

// through is the way by the shared gateway to one of the upstreams.
func (r *run) through(ctx context.Context, host string) (*way, error) {
	if r.tenants == nil {
		g := r.newGateway("jiragate")
		tenants, err := g.fill(ctx, []tenant{{host: r.upstream, client: "bench"}, {host: r.http2, client: "bench"}})
		if err != nil {
			return nil, err
		}
		if err := g.start(ctx); err != nil {
			return nil, err
		}
		ways, err := g.ways(tenants)
		if err != nil {
			return nil, err
		}
		r.tenants = map[string]*way{r.upstream: ways[0], r.http2: ways[1]}
	}
	w := r.tenants[host]
	return w, w.answers(ctx)
}
