package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strings"
)

// Tail reads the records that a log gets, each time from where it stopped before. It
// needs no lock, and goes on from segment to segment, compressed or not. It is for one
// goroutine.
type Tail struct {
	dir     string
	last    uint64 // seq of the last record given or passed over
	segment segment
	offset  int64 // behind the last line read of it, uncompressed
	lines   int   // before the offset
}

// NewTail makes a tail that stands at the present end of the log in dir. A line that is
// being written is behind it.
func NewTail(dir string) (*Tail, error) {
	list, err := segments(dir)
	if err != nil {
		return nil, err
	}
	t := &Tail{dir: dir}
	// The newest segment may be without a record yet.
	for i := len(list) - 1; i >= 0 && t.last == 0; i-- {
		newest := i == len(list)-1
		if newest {
			t.segment = list[i]
		}
		for l, err := range list[i].lines(dir) {
			if _, damaged := errors.AsType[*DefectError](err); err != nil && !damaged {
				return nil, err
			}
			if !l.whole && newest {
				break
			}
			if newest {
				t.offset, t.lines = t.offset+l.size, l.number
			}
			if r, err := l.record(); err == nil {
				t.last = r.Seq
			}
		}
	}
	return t, nil
}

// Last is the seq of the last record given or passed over; 0 if there was none.
func (t *Tail) Last() uint64 { return t.last }

// Next gives what was written since the last time and f lets through, as [Query] does,
// whose errors it gives. f.Limit is not heeded. A caller that stops early goes on behind
// the last entry it got.
func (t *Tail) Next(f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		list, err := segments(t.dir)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		f.Text = strings.ToLower(f.Text)
		list = slices.DeleteFunc(list, func(s segment) bool { return s.compare(t.segment) < 0 })
		for i, s := range list {
			if s != t.segment {
				t.segment, t.offset, t.lines = s, 0, 0
			}
			goesOn, err := t.read(&f, i == len(list)-1, yield)
			if err != nil && !s.gone(t.dir) {
				yield(Entry{}, fmt.Errorf("read the audit log: %w", err))
				return
			}
			if !goesOn {
				return
			}
		}
	}
}

// read reads on in the segment.
func (t *Tail) read(f *Filter, newest bool, yield func(Entry, error) bool) (goesOn bool, err error) {
	r, err := t.segment.openAt(t.dir, t.offset)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil // removed by retention since it was listed
	case errors.Is(err, errShortened):
		// The log took back what it could not bring to disk. What is still there has
		// a seq that was seen.
		t.offset, t.lines = 0, 0
		return true, nil
	case err != nil:
		return false, err
	}
	defer r.Close()
	var fault error
	stopped := false
	readLines(r, t.segment, t.lines+1, func(l line, err error) bool {
		if _, damaged := errors.AsType[*DefectError](err); err != nil && !damaged {
			fault = err
			return false
		}
		if !l.whole && err == nil && newest {
			return false // it is being written
		}
		t.offset += l.size
		t.lines = l.number
		stopped = !t.give(f, l, err, yield)
		return !stopped
	})
	return !stopped, fault
}

// give gives a line if it is new and f lets it through.
func (t *Tail) give(f *Filter, l line, err error, yield func(Entry, error) bool) bool {
	var record Record
	if err == nil {
		if record, err = l.record(); err != nil {
			err = l.defect(err)
		} else if record.Seq <= t.last {
			return true
		}
	}
	if err == nil {
		t.last = record.Seq
		if !f.matches(&record) {
			return true
		}
	}
	return yield(Entry{Record: record, Raw: slices.Clone(l.text), Segment: t.segment.name, Line: l.number}, err)
}

// openAt opens the segment behind the first so many bytes, or fails with errShortened.
func (s segment) openAt(dir string, offset int64) (*segmentReader, error) {
	f, info, err := openRegular(filepath.Join(dir, s.name))
	if err == nil && info.Size() < offset {
		return nil, errors.Join(errShortened, f.Close())
	}
	if err == nil {
		return &segmentReader{io.NewSectionReader(f, offset, info.Size()-offset), f}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	r, err := s.open(dir)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, r, offset); err != nil {
		if errors.Is(err, io.EOF) {
			err = errShortened
		}
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}
