package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
)

// SegmentInfo describes a segment of the log for who keeps an index of it.
type SegmentInfo struct {
	Name       string // without ".gz"
	Closed     bool   // it is not written any more
	Compressed bool
	Size       int64 // of its file, in bytes
}

// Segments lists the segments of the log in dir, in the order of the chain.
func Segments(dir string) ([]SegmentInfo, error) {
	list, err := segments(dir)
	if err != nil {
		return nil, err
	}
	infos := make([]SegmentInfo, 0, len(list))
	for i, s := range list {
		info := SegmentInfo{Name: s.name, Closed: i < len(list)-1}
		stat, err := os.Lstat(filepath.Join(dir, s.name))
		if errors.Is(err, fs.ErrNotExist) {
			info.Compressed = true
			stat, err = os.Lstat(filepath.Join(dir, s.compressedName()))
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // retention has just removed it
		}
		if err != nil {
			return nil, fmt.Errorf("list the audit log: %w", err)
		}
		info.Size = stat.Size()
		infos = append(infos, info)
	}
	return infos, nil
}

// Block is a run of whole lines of a closed segment, about 256 KiB long. Where one
// ends is told by the lines alone, so it is the same before and after compression.
type Block struct {
	Offset int64 // of its first byte in the segment, uncompressed
	Length int   // in bytes
	Line   int   // number of its first line in the segment, from 1
}

// Blocks reads a closed segment block by block, with the entries of each. An error
// of the last element ends the sequence; a line that is no record comes as an entry
// with a [*DefectError], as [Query] gives it. The entries are valid until the next
// block.
func Blocks(dir, segmentName string) iter.Seq2[Block, iter.Seq2[Entry, error]] {
	return func(yield func(Block, iter.Seq2[Entry, error]) bool) {
		s, ok := parseSegment(segmentName)
		if !ok {
			yield(Block{}, failing(fmt.Errorf("read the audit log: %q is no segment's name", segmentName)))
			return
		}
		r, err := s.open(dir)
		if err != nil {
			yield(Block{}, failing(fmt.Errorf("read the audit log: %w", err)))
			return
		}
		defer r.Close()
		b := Block{Line: 1}
		stopped := errors.New("stopped")
		err = eachBlock(r, func(text []byte) error {
			b.Length = len(text)
			if !yield(b, s.entries(text, b.Line)) {
				return stopped
			}
			b.Offset += int64(len(text))
			b.Line += bytes.Count(text, []byte("\n"))
			return nil
		})
		switch {
		case err == nil, errors.Is(err, stopped):
		case errors.Is(err, errCompressed):
			yield(b, failing(&DefectError{Segment: s.name, Line: b.Line, Err: err}))
		default:
			yield(b, failing(fmt.Errorf("read the audit log: %w", err)))
		}
	}
}

func failing(err error) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) { yield(Entry{}, err) }
}

// entries decodes the lines in text.
func (s segment) entries(text []byte, first int) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var all Filter
		for a := range all.decode(linesOf(text, s, first), s, false) {
			if !yield(a.entry, a.err) {
				return
			}
		}
	}
}

func linesOf(text []byte, s segment, first int) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) { readLines(bytes.NewReader(text), s, first, yield) }
}

// readBlock reads one block again.
func (s segment) readBlock(dir string, b Block) ([]byte, error) {
	f, _, err := openRegular(filepath.Join(dir, s.name))
	if errors.Is(err, fs.ErrNotExist) {
		return readMember(filepath.Join(dir, s.compressedName()), b.Offset, b.Length)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := make([]byte, b.Length)
	if _, err := f.ReadAt(text, b.Offset); errors.Is(err, io.EOF) {
		return nil, errShortened
	} else if err != nil {
		return nil, err
	}
	return text, nil
}

// errShortened says that a segment has lost its end.
var errShortened = errors.New("the segment ends before this block does: it was cut")
