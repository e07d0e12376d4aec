package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"
)

const segmentLayout = "2006-01-02T15.jsonl"

// segment names one file of the log. hour is in UTC; no record in it is later
// than that hour.
type segment struct {
	name string
	hour time.Time
}

func segmentFor(t time.Time) segment {
	hour := t.UTC().Truncate(time.Hour)
	return segment{hour.Format(segmentLayout), hour}
}

// parseSegment is the inverse: ok is false for what is no segment's name.
func parseSegment(name string) (s segment, ok bool) {
	t, err := time.Parse(segmentLayout, name)
	if err != nil {
		return segment{}, false
	}
	s = segmentFor(t)
	return s, s.name == name
}

// end is after the time of every record in s.
func (s segment) end() time.Time { return s.hour.Add(time.Hour) }

// segments lists those in dir in the order of the chain.
func segments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("list the audit log: %w", err)
	}
	var list []segment
	for _, e := range entries {
		if s, ok := parseSegment(e.Name()); ok {
			list = append(list, s)
		}
	}
	return list, nil
}

// line is one line of a segment.
type line struct {
	segment segment
	number  int    // from 1
	text    []byte // without the newline; valid until the next line is read
	whole   bool   // the newline is there
	size    int64  // with the newline
	tooLong bool   // text is only the beginning
}

// lines reads the segment as it is now: a line that is being appended while we
// read comes as unfinished, not torn apart. An error ends the sequence.
func (s segment) lines(dir string) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		f, info, err := openRegular(filepath.Join(dir, s.name))
		if err != nil {
			yield(line{}, fmt.Errorf("read the audit log: %w", err))
			return
		}
		defer f.Close()
		readLines(io.LimitReader(f, info.Size()), s, yield)
	}
}

func readLines(r io.Reader, s segment, yield func(line, error) bool) {
	br := bufio.NewReaderSize(r, maxLine)
	for number := 1; ; number++ {
		text, err := br.ReadSlice('\n')
		l := line{segment: s, number: number, text: text, size: int64(len(text))}
		if errors.Is(err, bufio.ErrBufferFull) {
			l.tooLong = true
			l.text = bytes.Clone(text)
			for errors.Is(err, bufio.ErrBufferFull) {
				text, err = br.ReadSlice('\n')
				l.size += int64(len(text))
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			yield(line{}, fmt.Errorf("read the audit log: %w", err))
			return
		}
		if l.whole = err == nil; l.whole && !l.tooLong {
			l.text = text[:len(text)-1]
		}
		if l.size == 0 {
			return
		}
		if !yield(l, nil) || !l.whole {
			return
		}
	}
}

// record decodes the line.
func (l line) record() (Record, error) {
	switch {
	case l.tooLong:
		return Record{}, fmt.Errorf("the line is longer than the %d bytes of any record", maxLine)
	case !l.whole:
		return Record{}, errors.New("the line is unfinished")
	}
	return decode(l.text)
}

// defect says what is wrong with the line.
func (l line) defect(err error) *DefectError {
	return &DefectError{Segment: l.segment.name, Line: l.number, Err: err}
}

// DefectError names a line of the log that is not as the log wrote it.
type DefectError struct {
	Segment string // file name in the directory of the log
	Line    int    // in the segment, from 1
	Err     error  // what is wrong
}

// Error names the place first.
func (e *DefectError) Error() string {
	return fmt.Sprintf("audit log %s line %d: %v", e.Segment, e.Line, e.Err)
}

// Unwrap returns what is wrong.
func (e *DefectError) Unwrap() error { return e.Err }
