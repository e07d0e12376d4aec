package audit

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// Filter says which records [Query] gives. A field left at its zero value does
// not filter; the others must all hold. Values compare exactly, except Text.
type Filter struct {
	Since      time.Time // records of this time and later
	Until      time.Time // records before this time
	Connection string
	Client     string
	Operation  string
	Decision   string
	Code       string
	Status     int
	Text       string // in any text field or query name, whatever its case
	Kind       Kind
	Before     uint64 // records with a lower seq, and the lines between those
	Limit      int    // at most so many, the last
}

// Kind says what a record is of.
type Kind string

// The kinds of records: see [Record.IsAct].
const (
	KindCall Kind = "call"
	KindAct  Kind = "act"
)

// Entry is a record together with its line.
type Entry struct {
	Record
	Raw     []byte // as in the log, without the newline; safe to print, unless the entry comes with an error
	Segment string // file name in the directory of the log
	Line    int    // in the segment, from 1
	Node    string // whose log it is in, where the logs of several gateways are read together (package fleet)
}

// Chooser narrows a segment down to the blocks that can hold what is asked for, in
// their order. ok is false if it does not know: the segment is read whole then. It
// may choose too much, never too little.
type Chooser func(segment string) (blocks []Block, ok bool)

// Query reads the records in dir that f lets through, in the order of the log,
// newest last. It needs no lock and may run while the log is written; it sees
// what was written when it began to read each segment. Calls under way, also
// those of a process that has crashed, have no record yet: they appear when they
// are over, or when the log is next opened.
//
// A line that is no record comes with a [*DefectError] and its Raw, whatever the
// filter, and the sequence goes on; so an auditor is not shown less than there
// is. Any other error ends it. The chain is not checked: see [Verify].
//
// With a Limit, the log is read from the newest record back, and the entries up to
// the limit are held in memory. With Before and a Limit it is read page by page: seq
// goes up in the log, so what is later is not looked at.
func Query(dir string, f Filter) iter.Seq2[Entry, error] { return QueryBlocks(dir, f, nil) }

// QueryBlocks is [Query] that reads of each segment only the blocks that choose
// names; all of them if choose is nil. Lines outside of those are not looked at,
// whether they are records or not.
func QueryBlocks(dir string, f Filter, choose Chooser) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		list, err := segments(dir)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		q := query{filter: f, dir: dir, choose: choose}
		if len(list) > 0 {
			q.newest = list[len(list)-1]
		}
		if !f.Since.IsZero() {
			list = slices.DeleteFunc(list, func(s segment) bool { return !f.Since.Before(s.end()) })
		}
		list = upTo(dir, list, f.Before)
		q.filter.Text = strings.ToLower(f.Text)
		if f.Limit > 0 {
			q.last(list, yield)
			return
		}
		for _, s := range list {
			for a := range q.scan(s) {
				if !yield(a.entry, a.err) || a.fatal {
					return
				}
			}
		}
	}
}

// query is one question to the log.
type query struct {
	filter Filter
	dir    string
	choose Chooser // nil: everything is read
	newest segment
}

// answer is one element of the sequence that Query gives.
type answer struct {
	entry Entry
	err   error
	fatal bool // the sequence ends with it
}

// last yields the last answers up to the limit.
func (q *query) last(list []segment, yield func(Entry, error) bool) {
	var found []answer // the newest first
	limit := q.filter.Limit
	for _, s := range slices.Backward(list) {
		for part := range q.fromEnd(s) {
			ring := make([]answer, 0, min(limit-len(found), 1024))
			oldest := 0
			for a := range part {
				if a.fatal {
					yield(a.entry, a.err)
					return
				}
				if len(ring) < limit-len(found) {
					ring = append(ring, a)
					continue
				}
				ring[oldest] = a
				oldest = (oldest + 1) % len(ring)
			}
			for n := len(ring) - 1; n >= 0; n-- {
				found = append(found, ring[(oldest+n)%len(ring)])
			}
			if len(found) >= limit {
				break
			}
		}
		if len(found) >= limit {
			break
		}
	}
	for _, a := range slices.Backward(found) {
		if !yield(a.entry, a.err) {
			return
		}
	}
}

// scan reads one segment, or the chosen blocks of it.
func (q *query) scan(s segment) iter.Seq[answer] {
	if q.choose != nil && s != q.newest {
		if blocks, ok := q.choose(s.name); ok {
			return q.scanBlocks(s, blocks)
		}
	}
	return q.scanWhole(s)
}

func (q *query) scanWhole(s segment) iter.Seq[answer] {
	return func(yield func(answer) bool) {
		for a := range q.filter.decode(s.lines(q.dir), s, s == q.newest) {
			if a.fatal && s.gone(q.dir) {
				return // removed by retention since it was listed
			}
			if !yield(a) {
				return
			}
		}
	}
}

func (q *query) scanBlocks(s segment, blocks []Block) iter.Seq[answer] {
	return func(yield func(answer) bool) {
		for _, b := range blocks {
			text, err := s.readBlock(q.dir, b)
			switch {
			case errors.Is(err, errCompressed), errors.Is(err, errShortened):
				if !yield(answer{err: &DefectError{Segment: s.name, Line: b.Line, Err: err}}) {
					return
				}
				continue
			case err != nil && s.gone(q.dir):
				return
			case err != nil:
				yield(answer{err: fmt.Errorf("read the audit log: %w", err), fatal: true})
				return
			}
			for a := range q.filter.decode(linesOf(text, s, b.Line), s, false) {
				if !yield(a) {
					return
				}
			}
		}
	}
}

// decode reads lines of one segment. The unfinished end of the newest is not there
// yet.
func (f *Filter) decode(lines iter.Seq2[line, error], s segment, newest bool) iter.Seq[answer] {
	return func(yield func(answer) bool) {
		for l, err := range lines {
			if defect, ok := errors.AsType[*DefectError](err); ok {
				yield(answer{entry: Entry{Raw: bytes.Clone(l.text), Segment: s.name, Line: l.number}, err: defect})
				return
			}
			if err != nil {
				yield(answer{err: err, fatal: true})
				return
			}
			if !l.whole && newest {
				return
			}
			var a answer
			r, err := l.record()
			switch {
			case err != nil:
				a.err = l.defect(err)
			case f.Before > 0 && r.Seq >= f.Before:
				return // what follows is later still
			case !f.matches(&r):
				continue
			}
			a.entry = Entry{Record: r, Raw: bytes.Clone(l.text), Segment: s.name, Line: l.number}
			if !yield(a) {
				return
			}
		}
	}
}

// Matches reports whether f lets r through, whatever its Limit.
func (f Filter) Matches(r *Record) bool {
	f.Text = strings.ToLower(f.Text)
	return (f.Before == 0 || r.Seq < f.Before) && f.matches(r)
}

// matches expects f.Text in lower case, and leaves Before to the caller.
func (f *Filter) matches(r *Record) bool {
	return (f.Since.IsZero() || !r.Time.Before(f.Since)) &&
		(f.Until.IsZero() || r.Time.Before(f.Until)) &&
		(f.Connection == "" || r.Connection == f.Connection) &&
		(f.Client == "" || r.Client == f.Client) &&
		(f.Operation == "" || r.Operation == f.Operation) &&
		(f.Decision == "" || r.Decision == f.Decision) &&
		(f.Code == "" || r.Code == f.Code) &&
		(f.Status == 0 || r.Status == f.Status) &&
		(f.Kind == "" || (f.Kind == KindAct) == r.IsAct()) &&
		(f.Text == "" || f.holdsText(r))
}

// holdsText expects f.Text in lower case.
func (f *Filter) holdsText(r *Record) bool {
	holds := func(s string) bool { return strings.Contains(strings.ToLower(s), f.Text) }
	for _, s := range r.texts() {
		if holds(*s) {
			return true
		}
	}
	return holds(r.Path) || slices.ContainsFunc(r.QueryNames, holds)
}
