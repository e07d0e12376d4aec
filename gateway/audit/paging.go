package audit

import (
	"bytes"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sort"
)

// upTo leaves out the segments at the end of list that begin with the record before,
// or a later one. Where it can't be told, the segment stays.
func upTo(dir string, list []segment, before uint64) []segment {
	if before == 0 {
		return list
	}
	return list[:sort.Search(len(list), func(i int) bool {
		seq, err := list[i].firstSeq(dir)
		return err == nil && seq >= before
	})]
}

// fromEnd gives the answers of a segment in parts, the last first. A segment that the
// index knows is one part, since the index has left out what isn't needed, and so is
// a compressed one, which is read from its beginning anyway.
func (q *query) fromEnd(s segment) iter.Seq[iter.Seq[answer]] {
	return func(yield func(iter.Seq[answer]) bool) {
		if q.choose != nil && s != q.newest {
			if blocks, ok := q.choose(s.name); ok {
				yield(q.scanBlocks(s, blocks))
				return
			}
		}
		f, info, err := openRegular(filepath.Join(q.dir, s.name))
		if err != nil {
			yield(q.scanWhole(s)) // compressed, or this says why
			return
		}
		defer f.Close()
		blocks, err := blocksBefore(io.NewSectionReader(f, 0, info.Size()), s, q.filter.Before)
		if err != nil {
			yield(q.scanWhole(s)) // a line that is too long
			return
		}
		for _, b := range slices.Backward(blocks) {
			if !yield(q.scanRun(f, s, b)) {
				return
			}
		}
	}
}

// blocksBefore lists the blocks up to the one in which the record before is, or a
// later one; all if before is 0.
func blocksBefore(r io.Reader, s segment, before uint64) ([]Block, error) {
	var blocks []Block
	b := Block{Line: 1}
	beyond := false
	err := eachBlock(r, func(text []byte) error {
		if beyond {
			return nil
		}
		b.Length = len(text)
		blocks = append(blocks, b)
		b.Offset += int64(len(text))
		b.Line += bytes.Count(text, []byte("\n"))
		beyond = before > 0 && lastSeq(text, s) >= before
		return nil
	})
	return blocks, err
}

// lastSeq is the seq of the last record in text, 0 if there is none.
func lastSeq(text []byte, s segment) uint64 {
	for len(text) > 0 {
		start := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
		for l := range linesOf(text[start:], s, 1) {
			if r, err := l.record(); err == nil {
				return r.Seq
			}
		}
		text = text[:start]
	}
	return 0
}

// scanRun reads a block of an open segment.
func (q *query) scanRun(f *os.File, s segment, b Block) iter.Seq[answer] {
	return func(yield func(answer) bool) {
		lines := func(yield func(line, error) bool) {
			readLines(io.NewSectionReader(f, b.Offset, int64(b.Length)), s, b.Line, yield)
		}
		for a := range q.filter.decode(lines, s, s == q.newest) {
			if !yield(a) {
				return
			}
		}
	}
}
