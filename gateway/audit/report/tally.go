package report

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"jiragate/gateway/audit"
)

// tally counts by name, of at most so many names; the others are More.
type tally[V any] struct {
	limit  int
	byName map[string]*V
}

func newTally[V any](limit int) tally[V] { return tally[V]{limit, map[string]*V{}} }

func (t tally[V]) at(name string) *V {
	v := t.byName[name]
	if v == nil && len(t.byName) >= t.limit {
		name = More
		v = t.byName[name]
	}
	if v == nil {
		v = new(V)
		t.byName[name] = v
	}
	return v
}

func (t tally[V]) names() []string { return slices.Sorted(maps.Keys(t.byName)) }

// counts is the tally of what came how often.
type counts struct{ tally[uint64] }

func newCounts(limit int) counts { return counts{newTally[uint64](limit)} }

func (c counts) add(name string) { *c.at(name)++ }

// list is in the order of names.
func (c counts) list() []Count {
	list := []Count{}
	for _, name := range c.names() {
		list = append(list, Count{plain(name), *c.byName[name]})
	}
	return list
}

// mostFirst is list with the greatest counts first.
func (c counts) mostFirst() []Count {
	list := c.list()
	slices.SortStableFunc(list, func(a, b Count) int { return cmp.Compare(b.Count, a.Count) })
	return list
}

// span is the first and the last time of something.
type span struct{ first, last time.Time }

func (s *span) add(t time.Time) {
	if s.first.IsZero() || t.Before(s.first) {
		s.first = t
	}
	if t.After(s.last) {
		s.last = t
	}
}

// cellKey is what is told apart in the CSV.
type cellKey struct {
	day, kind, operation, decision, code string
	status                               int
	egressIP, client, policySHA256       string
}

type cell struct {
	cellKey
	n                 uint64
	bytesIn, bytesOut int64
}

// cells are counted by key, the rest by day, kind and decision.
type cells map[cellKey]*cell

func (m cells) add(r *audit.Record, kind string) {
	k := cellKey{r.Time.Format(time.DateOnly), kind, r.Operation, r.Decision, r.Code, r.Status, r.EgressIP, r.Client, r.PolicySHA256}
	c := m[k]
	if c == nil && len(m) >= maxCells {
		k = cellKey{day: k.day, kind: kind, operation: More, decision: k.decision}
		c = m[k]
	}
	if c == nil {
		c = &cell{cellKey: k}
		m[k] = c
	}
	c.n++
	c.bytesIn += r.BytesIn
	c.bytesOut += r.BytesOut
}

func (m cells) list() []cell {
	list := make([]cell, 0, len(m))
	for _, c := range m {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.kind, b.kind), cmp.Compare(a.operation, b.operation), cmp.Compare(a.decision, b.decision),
			cmp.Compare(a.code, b.code), cmp.Compare(a.status, b.status), cmp.Compare(a.egressIP, b.egressIP), cmp.Compare(a.client, b.client),
			cmp.Compare(a.policySHA256, b.policySHA256))
	})
	return list
}
