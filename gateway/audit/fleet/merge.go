package fleet

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"jiragate/gateway/audit"
)

// Merge gives the records of all logs that ask finds, in the order that the package
// describes, each with its Node. With a limit it gives the last so many; ask should find
// no more of each. Otherwise one record of each log is held in memory.
//
// A line that is no record ([audit.DefectError]) comes between its neighbours, and the
// sequence goes on. Any other error ends it. Both name the node.
func Merge(logs []Log, limit int, ask func(Log) iter.Seq2[audit.Entry, error]) iter.Seq2[audit.Entry, error] {
	if limit > 0 {
		return last(limit, Merge(logs, 0, ask))
	}
	return func(yield func(audit.Entry, error) bool) {
		var heads []*head
		for _, l := range logs {
			next, stop := iter.Pull2(ask(l))
			defer stop()
			if h := (&head{node: l.Node, next: next}); h.advance() {
				heads = append(heads, h)
			}
		}
		for len(heads) > 0 {
			first := 0
			for i, h := range heads {
				if h.before(heads[first]) {
					first = i
				}
			}
			h := heads[first]
			if !yield(h.entry, h.err) || h.fatal() {
				return
			}
			if !h.advance() {
				heads = append(heads[:first], heads[first+1:]...)
			}
		}
	}
}

// head is what comes next of one log.
type head struct {
	node   string
	next   func() (audit.Entry, error, bool)
	entry  audit.Entry
	err    error
	latest time.Time // in the log so far
}

// advance is false at the end of the log.
func (h *head) advance() (ok bool) {
	if h.entry, h.err, ok = h.next(); !ok {
		return false
	}
	h.entry.Node = h.node
	if h.err != nil {
		h.err = fmt.Errorf("node %s: %w", h.node, h.err)
	} else if h.entry.Time.After(h.latest) {
		h.latest = h.entry.Time
	}
	return true
}

// before tells whether h comes before another. What ends the sequence doesn't wait.
func (h *head) before(o *head) bool {
	switch {
	case h.fatal() != o.fatal():
		return h.fatal()
	case !h.latest.Equal(o.latest):
		return h.latest.Before(o.latest)
	}
	return h.node < o.node
}

func (h *head) fatal() bool {
	_, damaged := errors.AsType[*audit.DefectError](h.err)
	return h.err != nil && !damaged
}

// last gives the last of a sequence.
func last(limit int, all iter.Seq2[audit.Entry, error]) iter.Seq2[audit.Entry, error] {
	type answer struct {
		entry audit.Entry
		err   error
	}
	return func(yield func(audit.Entry, error) bool) {
		var ring []answer
		oldest := 0
		for e, err := range all {
			if _, damaged := errors.AsType[*audit.DefectError](err); err != nil && !damaged {
				yield(e, err)
				return
			}
			if len(ring) < limit {
				ring = append(ring, answer{e, err})
				continue
			}
			ring[oldest] = answer{e, err}
			oldest = (oldest + 1) % limit
		}
		for i := range ring {
			a := ring[(oldest+i)%len(ring)]
			if !yield(a.entry, a.err) {
				return
			}
		}
	}
}
