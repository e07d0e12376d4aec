package audit

import (
	"bytes"
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
	Limit      int    // at most so many, the last
}

// Entry is a record together with its line.
type Entry struct {
	Record
	Raw     []byte // as in the log, without the newline; safe to print, unless the entry comes with an error
	Segment string // file name in the directory of the log
	Line    int    // in the segment, from 1
}

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
// With a Limit, segments are read from the newest back, and the entries up to
// the limit are held in memory.
func Query(dir string, f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		list, err := segments(dir)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		if !f.Since.IsZero() {
			list = slices.DeleteFunc(list, func(s segment) bool { return !f.Since.Before(s.end()) })
		}
		f.Text = strings.ToLower(f.Text)
		if f.Limit > 0 {
			f.last(dir, list, yield)
			return
		}
		for i, s := range list {
			for a := range f.scan(dir, s, i == len(list)-1) {
				if !yield(a.entry, a.err) || a.fatal {
					return
				}
			}
		}
	}
}

// answer is one element of the sequence that Query gives.
type answer struct {
	entry Entry
	err   error
	fatal bool // the sequence ends with it
}

// last yields the last f.Limit answers.
func (f Filter) last(dir string, list []segment, yield func(Entry, error) bool) {
	var found []answer // the newest first
	for i := len(list) - 1; i >= 0 && len(found) < f.Limit; i-- {
		ring := make([]answer, 0, min(f.Limit-len(found), 1024))
		oldest := 0
		for a := range f.scan(dir, list[i], i == len(list)-1) {
			if a.fatal {
				yield(a.entry, a.err)
				return
			}
			if len(ring) < f.Limit-len(found) {
				ring = append(ring, a)
				continue
			}
			ring[oldest] = a
			oldest = (oldest + 1) % len(ring)
		}
		for n := len(ring) - 1; n >= 0; n-- {
			found = append(found, ring[(oldest+n)%len(ring)])
		}
	}
	for _, a := range slices.Backward(found) {
		if !yield(a.entry, a.err) {
			return
		}
	}
}

// scan reads one segment. The unfinished end of the newest is not there yet.
func (f Filter) scan(dir string, s segment, newest bool) iter.Seq[answer] {
	return func(yield func(answer) bool) {
		for l, err := range s.lines(dir) {
			if err != nil {
				yield(answer{err: err, fatal: true})
				return
			}
			if !l.whole && newest {
				return
			}
			var a answer
			r, err := l.record()
			if err != nil {
				a.err = l.defect(err)
			} else if !f.matches(&r) {
				continue
			}
			a.entry = Entry{Record: r, Raw: bytes.Clone(l.text), Segment: s.name, Line: l.number}
			if !yield(a) {
				return
			}
		}
	}
}

func (f *Filter) matches(r *Record) bool {
	return (f.Since.IsZero() || !r.Time.Before(f.Since)) &&
		(f.Until.IsZero() || r.Time.Before(f.Until)) &&
		(f.Connection == "" || r.Connection == f.Connection) &&
		(f.Client == "" || r.Client == f.Client) &&
		(f.Operation == "" || r.Operation == f.Operation) &&
		(f.Decision == "" || r.Decision == f.Decision) &&
		(f.Code == "" || r.Code == f.Code) &&
		(f.Status == 0 || r.Status == f.Status) &&
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
