package main

import "fmt"

// goal is something that the gateway shall reach, as a ratio or difference of two
// numbers of the same round, or as a number alone.
type goal struct {
	what   string
	a, b   cell
	by     func(a, b float64) float64 // nil: a alone
	atMost bool
	bound  float64
	digits int
	unit   string
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func difference(a, b float64) float64 { return a - b }

// reached is the median of the rounds; ok is false if something was not measured.
func (g goal) reached(r *results) (value float64, ok bool) {
	a := r.values(g.a)
	if g.by == nil {
		if len(a) == 0 {
			return 0, false
		}
		return median(a), true
	}
	b := r.values(g.b)
	if len(a) == 0 || len(a) != len(b) {
		return 0, false
	}
	values := make([]float64, len(a))
	for i := range a {
		values[i] = g.by(a[i], b[i])
	}
	return median(values), true
}

func (g goal) met(value float64) bool {
	if g.atMost {
		return value <= g.bound
	}
	return value >= g.bound
}

func (g goal) wanted() string {
	how := "at least"
	if g.atMost {
		how = "at most"
	}
	return fmt.Sprintf("%s %s", how, g.shown(g.bound))
}

func (g goal) shown(value float64) string {
	s := grouped(fmt.Sprintf("%.*f", g.digits, value))
	if g.unit != "" {
		s += " " + g.unit
	}
	return s
}

// goalTable has every goal, or those that were measured.
func (r *results) goalTable(all bool) table {
	t := table{head: []string{"goal", "wanted", "measured", "met"}}
	for _, g := range goals() {
		value, ok := g.reached(r)
		if !ok && !all {
			continue
		}
		measured, met := "not measured", ""
		if ok {
			measured, met = g.shown(value), "no"
			if g.met(value) {
				met = "yes"
			}
		}
		t.rows = append(t.rows, []string{g.what, g.wanted(), measured, met})
	}
	return t
}

// missed are the goals that were measured and not met.
func (r *results) missed() (missed []string) {
	for _, g := range goals() {
		if value, ok := g.reached(r); ok && !g.met(value) {
			missed = append(missed, g.what+": "+g.shown(value))
		}
	}
	return missed
}

// goals are all of them.
func goals() []goal {
	return []goal{
		{what: "calls a second, 16 connections, of bare goproxy's", by: ratio, bound: 1, digits: 2,
			a: cell{"calls", jiragate, calls16}, b: cell{"calls", goproxyLoop, calls16}},
		{what: "calls a second, 64 connections, of bare goproxy's", by: ratio, bound: 1, digits: 2,
			a: cell{"calls", jiragate, calls64}, b: cell{"calls", goproxyLoop, calls64}},
		{what: "calls a second, 16 connections, of nginx's", by: ratio, bound: .6, digits: 2,
			a: cell{"calls", jiragate, calls16}, b: cell{"calls", nginx, calls16}},
		{what: "calls a second, 64 connections, of nginx's", by: ratio, bound: .6, digits: 2,
			a: cell{"calls", jiragate, calls64}, b: cell{"calls", nginx, calls64}},
		{what: "processor time of a call, 16 connections, of nginx's", by: ratio, atMost: true, bound: 2, digits: 2,
			a: cell{"calls", jiragate, cpu16}, b: cell{"calls", nginx, cpu16}},
		{what: "processor time of a call, 64 connections, of nginx's", by: ratio, atMost: true, bound: 2, digits: 2,
			a: cell{"calls", jiragate, cpu64}, b: cell{"calls", nginx, cpu64}},
		{what: "memory at 64 busy connections", atMost: true, bound: 64, digits: 1, unit: "MiB", a: cell{"calls", jiragate, memory64}},
		{what: "p99 at 1,000 calls a second above no proxy", by: difference, atMost: true, bound: 800, unit: "µs",
			a: cell{"latency", jiragate, p99}, b: cell{"latency", direct, p99}},
		{what: "p99.9 at 1,000 calls a second above no proxy", by: difference, atMost: true, bound: 4000, unit: "µs",
			a: cell{"latency", jiragate, p999}, b: cell{"latency", direct, p999}},
		{what: "reads with AUDIT_SYNC=writes: p50 of that with batch", by: ratio, atMost: true, bound: 1.1, digits: 2,
			a: cell{"writes", readsOf("writes"), p50}, b: cell{"writes", readsOf("batch"), p50}},
		{what: "writes with AUDIT_SYNC=writes: p50 above batch, in fsyncs of this disk", atMost: true, bound: 1.5, digits: 2,
			a: cell{"writes", paidSync, p50}},
		{what: "new tunnels a second, of nginx's new connections", by: ratio, bound: .85, digits: 2,
			a: cell{"tunnels", jiragate, perSecond}, b: cell{"tunnels", nginx, perSecond}},
		{what: "memory of an idle tunnel, HTTP/1.1", atMost: true, bound: 24, digits: 1, unit: "KiB", a: cell{"idle", jiragate, kibEach}},
		{what: "memory of an idle tunnel, HTTP/2", atMost: true, bound: 24, digits: 1, unit: "KiB", a: cell{"idle", idleHTTP2, kibEach}},
		{what: "one HTTP/2 connection, of 16 of HTTP/1.1", by: ratio, bound: 1, digits: 2,
			a: cell{"http2", oneHTTP2, perSecond}, b: cell{"http2", manyHTTP1, perSecond}},
		{what: "HTTP/2 to Jira: p99 beside slow answers above p99 without", by: difference, atMost: true, bound: 5000, unit: "µs",
			a: cell{"upstream", byHTTP2, besideSlow}, b: cell{"upstream", byHTTP2, p99}},
		{what: "calls a second with the large store, of those with the small one", by: ratio, bound: .95, digits: 2,
			a: cell{"store", largeStore, perSecond}, b: cell{"store", smallStore, perSecond}},
		{what: "resolving", atMost: true, bound: 1000, unit: "ns", a: cell{microSection, "jiragate/gateway BenchmarkStations/resolve_site", "ns/op"}},
		{what: "deciding", atMost: true, bound: 1000, unit: "ns", a: cell{microSection, "jiragate/policy BenchmarkDecide/plain", "ns/op"}},
		{what: "deciding, allocations", atMost: true, bound: 0, a: cell{microSection, "jiragate/policy BenchmarkDecide/plain", "allocs/op"}},
		{what: "start-up with the large store", atMost: true, bound: 2, digits: 2, unit: "s", a: cell{"store", largeStore, startUp}},
		{what: "memory with the large store, busy", atMost: true, bound: 300, unit: "MiB", a: cell{"store", largeStore, memoryBusy}},
		{what: "first chunk of a slow answer after Jira sent it, p50", atMost: true, bound: 1000, unit: "µs", a: cell{"streaming", jiragate, firstP50}},
		{what: "first chunk of a slow answer after Jira sent it, p99", atMost: true, bound: 1000, unit: "µs", a: cell{"streaming", jiragate, firstP99}},
		{what: "speed of a large answer, of no proxy's", by: ratio, bound: .7, digits: 2,
			a: cell{"download", jiragate, speed}, b: cell{"download", direct, speed}},
		{what: "memory that a large answer takes", atMost: true, bound: 16, unit: "MiB", a: cell{"download", jiragate, grown}},
	}
}
