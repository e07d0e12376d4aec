package audit

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
)

// line is one line of a segment.
type line struct {
	segment segment
	number  int    // from 1
	text    []byte // without the newline; valid until the next line is read
	whole   bool   // the newline is there
	size    int64  // with the newline
	tooLong bool   // text is only the beginning
}

// segmentReader gives the lines of a segment, whether it is compressed or not.
type segmentReader struct {
	io.Reader
	file io.Closer
}

func (r *segmentReader) Close() error { return r.file.Close() }

// open opens the segment as it is now. Where both of its files are there, the
// compressed one has just been made of the other, or may not be whole.
func (s segment) open(dir string) (*segmentReader, error) {
	for range 2 { // it may be compressed between the two attempts
		f, info, err := openRegular(filepath.Join(dir, s.name))
		if err == nil {
			return &segmentReader{io.LimitReader(f, info.Size()), f}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		f, _, err = openRegular(filepath.Join(dir, s.compressedName()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &segmentReader{&compressed{file: bufio.NewReaderSize(f, 64<<10)}, f}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: filepath.Join(dir, s.name), Err: fs.ErrNotExist}
}

// errCompressed says that a compressed segment is not as it was made: the fault of
// the data, unlike an error of the file system.
var errCompressed = errors.New("the compressed segment is damaged from here on")

// compressed decompresses a file as it is read.
type compressed struct {
	file *bufio.Reader
	zip  *gzip.Reader
}

func (c *compressed) Read(p []byte) (n int, err error) {
	if c.zip == nil {
		if c.zip, err = gzip.NewReader(c.file); err != nil {
			if errors.Is(err, io.EOF) { // an empty file is no compressed one
				err = io.ErrUnexpectedEOF
			}
			return 0, asDamage(err)
		}
	}
	n, err = c.zip.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = asDamage(err)
	}
	return n, err
}

// lines reads the segment as it is now: a line that is being appended while we
// read comes as unfinished, not torn apart. An error ends the sequence; it is a
// [*DefectError] if the segment is compressed and damaged.
func (s segment) lines(dir string) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		r, err := s.open(dir)
		if err != nil {
			yield(line{}, fmt.Errorf("read the audit log: %w", err))
			return
		}
		defer r.Close()
		readLines(r, s, 1, yield)
	}
}

// readLines reads the lines of s from r, of which the first has the number first.
func readLines(r io.Reader, s segment, first int, yield func(line, error) bool) {
	br := bufio.NewReaderSize(r, maxLine)
	for number := first; ; number++ {
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
		switch {
		case errors.Is(err, errCompressed):
			yield(l, l.defect(err))
			return
		case err != nil && !errors.Is(err, io.EOF):
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
