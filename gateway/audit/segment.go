package audit

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The names of a segment's files: 2026-11-23T10.jsonl for the first of an hour,
// 2026-11-23T10_0002.jsonl for the next. The underscore sorts behind the point, so
// that a listing by name is in the order of the chain. Closed and compressed, it
// has ".gz" behind its name; its companions have their suffix instead of ".jsonl".
const (
	hourLayout       = "2006-01-02T15"
	segmentSuffix    = ".jsonl"
	compressedSuffix = ".gz"
	treeSuffix       = ".tree"
	checkpointSuffix = ".checkpoint"
)

// maxPart bounds the segments of an hour: a name has four digits for it.
const maxPart = 9999

// segment is a part of the log. hour is in UTC; no record in it is later than that
// hour.
type segment struct {
	name string // without ".gz"
	hour time.Time
	part int // of the hour, from 1
}

func newSegment(hour time.Time, part int) segment {
	s := segment{hour: hour, part: part}
	s.name = s.stem() + segmentSuffix
	return s
}

// segmentFor is the first segment for a record of time t.
func segmentFor(t time.Time) segment { return newSegment(t.UTC().Truncate(time.Hour), 1) }

// parseSegment is the inverse: ok is false for what is no segment's name.
func parseSegment(name string) (s segment, ok bool) {
	stem, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok {
		return segment{}, false
	}
	stem, number, several := strings.Cut(stem, "_")
	t, err := time.Parse(hourLayout, stem)
	if err != nil {
		return segment{}, false
	}
	part := 1
	if several {
		if _, err := fmt.Sscanf(number, "%04d", &part); err != nil {
			return segment{}, false
		}
	}
	s = newSegment(t, part)
	return s, s.name == name
}

// stem is the part of the name that the files of a segment share.
func (s segment) stem() string {
	stem := s.hour.Format(hourLayout)
	if s.part > 1 {
		stem += fmt.Sprintf("_%04d", s.part)
	}
	return stem
}

func (s segment) compressedName() string { return s.name + compressedSuffix }
func (s segment) treeName() string       { return s.stem() + treeSuffix }
func (s segment) checkpointName() string { return s.stem() + checkpointSuffix }

// gone tells whether s was removed.
func (s segment) gone(dir string) bool {
	for _, name := range []string{s.name, s.compressedName()} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// end is after the time of every record in s.
func (s segment) end() time.Time { return s.hour.Add(time.Hour) }

// next is the segment that follows s in the chain and takes a record of time t.
func (s segment) next(t time.Time) segment {
	if later := segmentFor(t); later.hour.After(s.hour) || s.part == 0 {
		return later
	}
	return newSegment(s.hour, s.part+1)
}

func (s segment) compare(other segment) int {
	return cmp.Or(s.hour.Compare(other.hour), cmp.Compare(s.part, other.part))
}

// segments lists those in dir in the order of the chain.
func segments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the audit log: %w", err)
	}
	var list []segment
	for _, e := range entries {
		if s, ok := parseSegment(strings.TrimSuffix(e.Name(), compressedSuffix)); ok {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, segment.compare)
	// Between the end of compressing and the removal of what was compressed there
	// are two files of one segment.
	return slices.Compact(list), nil
}

// DefectError names a line of the log that is not as the log wrote it.
type DefectError struct {
	Segment string // file name in the directory of the log, without ".gz"
	Line    int    // in the segment, from 1; 0 where the segment as a whole is meant
	Seq     uint64 // of the first record that is concerned; 0 if that cannot be told
	Err     error  // what is wrong
}

// Error names the place first.
func (e *DefectError) Error() string {
	place := "audit log " + e.Segment
	if e.Line > 0 {
		place += fmt.Sprintf(" line %d", e.Line)
	}
	if e.Seq > 0 {
		place += fmt.Sprintf(" (record %d)", e.Seq)
	}
	return fmt.Sprintf("%s: %v", place, e.Err)
}

// Unwrap returns what is wrong.
func (e *DefectError) Unwrap() error { return e.Err }
