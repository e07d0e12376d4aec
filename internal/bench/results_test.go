package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	var s samples
	for i := range 1000 {
		s = append(s, time.Duration(i+1))
	}
	for q, want := range map[float64]time.Duration{0: 1, .5: 501, .99: 991, .999: 1000, 1: 1000} {
		if got := s.quantile(q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
	if got := samples(nil).quantile(.5); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 4}, 4}, {[]float64{1, 2, 4, 100}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

// Rounds are compared with themselves: a machine that is slow for one of them is slow
// for both ways.
func TestGoalIsTheMedianOfTheRoundsRatios(t *testing.T) {
	a, b := cell{"calls", "x", "calls/s"}, cell{"calls", "y", "calls/s"}
	r := &results{}
	for i, n := range []float64{100, 10, 1000} {
		r.add(b.Section, b.Row, b.Column, n)
		r.add(a.Section, a.Row, a.Column, n*[]float64{.5, .6, .7}[i])
	}
	for _, c := range []struct {
		name string
		goal goal
		want float64
		met  bool
	}{
		{"ratio, met", goal{a: a, b: b, by: ratio, bound: .6}, .6, true},
		{"ratio, missed", goal{a: a, b: b, by: ratio, bound: .61}, .6, false},
		{"at most", goal{a: a, b: b, by: ratio, bound: .61, atMost: true}, .6, true},
		{"difference", goal{a: b, b: a, by: difference, bound: 49, atMost: true}, 50, false},
		{"alone", goal{a: b, bound: 100}, 100, true},
	} {
		value, ok := c.goal.reached(r)
		if !ok || value != c.want || c.goal.met(value) != c.met {
			t.Errorf("%s: %v, %v, met: %v", c.name, value, ok, c.goal.met(value))
		}
	}
	r.add("calls", "once", "calls/s", 1)
	for name, g := range map[string]goal{
		"never measured":          {a: cell{"calls", "z", "calls/s"}},
		"not compared with":       {a: a, b: cell{"calls", "z", "calls/s"}, by: ratio},
		"another number of times": {a: a, b: cell{"calls", "once", "calls/s"}, by: ratio},
	} {
		if value, ok := g.reached(r); ok {
			t.Errorf("%s: %v", name, value)
		}
	}
}

// Every goal is of a number that a section measures.
func TestGoalsAreOfColumnsThatThereAre(t *testing.T) {
	columns := make(map[string]bool)
	for _, s := range sections() {
		for _, c := range s.columns {
			columns[s.name+": "+c.name] = true
		}
	}
	for _, g := range goals() {
		for _, c := range []cell{g.a, g.b} {
			if c != (cell{}) && c.Section != microSection && !columns[c.Section+": "+c.Column] {
				t.Errorf("%q: there is no %s: %s", g.what, c.Section, c.Column)
			}
		}
	}
}

func TestMissed(t *testing.T) {
	r := &results{}
	r.add("idle", jiragate, kibEach, 23.9)
	r.add("idle", idleHTTP2, kibEach, 24.1)
	if got := r.missed(); !slices.Equal(got, []string{"memory of an idle tunnel, HTTP/2: 24.1 KiB"}) {
		t.Errorf("%q", got)
	}
	if got, want := r.goalTable(false).plain(), ""+
		"goal                                      wanted  measured  met\n"+
		"memory of an idle tunnel, HTTP/1.1  at most 24.0 KiB  23.9 KiB  yes\n"+
		"memory of an idle tunnel, HTTP/2    at most 24.0 KiB  24.1 KiB   no\n"; strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if all := r.goalTable(true); len(all.rows) != len(goals()) {
		t.Errorf("%d rows", len(all.rows))
	}
}

func TestTable(t *testing.T) {
	r := &results{}
	sec := section{name: "s", columns: []column{{"calls/s", 0}, {"µs", 1}}}
	r.add("s", "no proxy", "calls/s", 12345.6)
	r.add("s", "jiragate", "calls/s", 999)
	r.add("s", "jiragate", "µs", 1234.56)
	r.add("other", "nginx", "µs", 1)
	table := r.table(sec)
	if got, want := table.plain(), "          calls/s       µs\nno proxy   12,346\njiragate      999  1,234.6\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got, want := table.markdown(), "|  | calls/s | µs |\n| --- | ---: | ---: |\n| no proxy | 12,346 |  |\n| jiragate | 999 | 1,234.6 |\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestGrouped(t *testing.T) {
	for in, want := range map[string]string{"0": "0", "999": "999", "1000": "1,000", "-1234567.891": "-1,234,567.891", "0.05": "0.05", "-12": "-12"} {
		if got := grouped(in); got != want {
			t.Errorf("grouped(%q) is %q, want %q", in, got, want)
		}
	}
}

func TestSpliced(t *testing.T) {
	document := "# Performance\n\n" + beginMarker + "\nold\n" + endMarker + "\n\n## Then\n"
	got, err := spliced(document, "\nnew | table\n\n")
	if want := "# Performance\n\n" + beginMarker + "\nnew | table\n" + endMarker + "\n\n## Then\n"; err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	if again, err := spliced(got, "new | table"); err != nil || again != got {
		t.Errorf("again: %q, %v", again, err)
	}
	for _, bad := range []string{"", "# None\n", beginMarker + "\n", endMarker + beginMarker} {
		if got, err := spliced(bad, "new"); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func TestReadMicro(t *testing.T) {
	r := &results{}
	err := r.readMicro(strings.NewReader(`goos: linux
pkg: jiragate/policy
BenchmarkDecide/plain-2         	 1000000	       500.5 ns/op	       0 B/op	       0 allocs/op
BenchmarkDecide/plain-2         	 1000000	       700.5 ns/op	       0 B/op	       0 allocs/op
BenchmarkDecide/of-7
PASS
pkg: jiragate/gateway
BenchmarkDecide/of-acme         	 10	       9 ns/op
`))
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[cell][]float64{
		{microSection, "jiragate/policy BenchmarkDecide/plain", "ns/op"}:     {500.5, 700.5},
		{microSection, "jiragate/policy BenchmarkDecide/plain", "allocs/op"}: {0, 0},
		{microSection, "jiragate/gateway BenchmarkDecide/of-acme", "ns/op"}:  {9},
		{microSection, "jiragate/policy BenchmarkDecide/of-7", "ns/op"}:      nil,
	} {
		if got := r.values(at); !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", at, got, want)
		}
	}
}
