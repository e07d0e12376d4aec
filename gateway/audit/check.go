package audit

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/transparency-dev/merkle/compact"
)

// segmentCheck is what is in a segment, seen by itself.
type segmentCheck struct {
	segment segment
	first   uint64 // seq of the first record
	prev    string // of the first record
	lines   uint64 // that are in order, each continuing the one before
	head    string // hash of the last of them
	nodes   *compact.Range
	heads   []*compact.Range // the same, cut at each size that somebody claims a root for
	removed []removal

	defect     error // of the line behind those in order
	unfinished int64
	err        error // of the file system
}

// removal is what the record of one says: with its own seq, the last record it took.
type removal struct{ seq, last uint64 }

// asError names the line behind those in order, which should be record seq.
func (c *segmentCheck) asError(seq uint64) error {
	if c.defect == nil {
		return nil
	}
	return &DefectError{Segment: c.segment.name, Line: int(c.lines) + 1, Seq: seq, Err: c.defect}
}

// checkSegments checks segments some ahead of those that are asked for, in order,
// with as many processors as there are.
func checkSegments(dir string, list []segment, claims []claim) (result func(i int) segmentCheck) {
	sizes := make([]uint64, 0, len(claims))
	for _, c := range claims {
		sizes = append(sizes, c.size)
	}
	sizes = slices.Compact(sizes)
	ahead := runtime.GOMAXPROCS(0)
	results := make([]chan segmentCheck, len(list))
	begin := func(i int) {
		if i >= len(list) {
			return
		}
		results[i] = make(chan segmentCheck, 1)
		go func() { results[i] <- checkSegment(dir, list[i], i == len(list)-1, sizes) }()
	}
	for i := range ahead {
		begin(i)
	}
	return func(i int) segmentCheck {
		c := <-results[i]
		begin(i + ahead)
		return c
	}
}

// checkSegment reads s up to its first defect.
func checkSegment(dir string, s segment, newest bool, sizes []uint64) segmentCheck {
	c := segmentCheck{segment: s}
	if c.err = s.checkTwin(dir); c.err != nil {
		return c
	}
	room := make([]byte, 1, 4<<10)
	for l, err := range s.lines(dir) {
		switch {
		case err != nil && l.number > 0: // damaged where it is compressed
			c.defect = err
			return c
		case err != nil:
			c.err = err
			return c
		case !l.whole && newest:
			c.unfinished = l.size
			return c
		}
		r, err := l.record()
		if err == nil {
			err = c.continues(&r)
		}
		if err != nil {
			c.defect = err
			return c
		}
		if c.lines == 0 {
			c.first, c.prev, c.nodes = r.Seq, r.Prev, ranges.NewEmptyRange(r.Seq-1)
			from, _ := slices.BinarySearch(sizes, r.Seq)
			sizes = sizes[from:]
		}
		room = append(room[:1], l.text...)
		leaf := leafHash(room)
		if err := c.nodes.Append(leaf[:], nil); err != nil {
			panic("audit: " + err.Error())
		}
		c.lines++
		c.head = hashLine(l.text)
		if last := removedUpTo(&r); last > 0 {
			c.removed = append(c.removed, removal{r.Seq, last})
		}
		if len(sizes) > 0 && sizes[0] == r.Seq {
			c.cut()
			sizes = sizes[1:]
		}
	}
	return c
}

// continues checks that r may follow the lines so far.
func (c *segmentCheck) continues(r *Record) error {
	switch {
	case r.Seq == 0 || r.Seq > maxRecords:
		return fmt.Errorf("seq is %d, which no record has", r.Seq)
	case c.lines > 0 && r.Seq != c.first+c.lines:
		return fmt.Errorf("seq is %d where %d must be: records were removed, added or moved", r.Seq, c.first+c.lines)
	case c.lines > 0 && r.Prev != c.head:
		return fmt.Errorf("prev of record %d is not the hash of the line before: that line, or the order, was changed", r.Seq)
	case c.lines == 0 && r.Seq == 1 && r.Prev != genesis:
		return fmt.Errorf("prev of record 1 is not 64 zeros")
	case !r.Time.Before(c.segment.end()):
		return fmt.Errorf("record %d is of %s, later than its segment", r.Seq, r.Time.Format(timeLayout))
	}
	return nil
}

// cut keeps the tree as it is now.
func (c *segmentCheck) cut() {
	now, err := ranges.NewRange(c.nodes.Begin(), c.nodes.End(), slices.Clone(c.nodes.Hashes()))
	if err != nil {
		panic("audit: " + err.Error()) // it is a copy
	}
	c.heads = append(c.heads, now)
}
