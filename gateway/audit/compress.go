package audit

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	fastgzip "github.com/klauspost/compress/gzip"
)

// A compressed segment is a gzip file of several members (RFC 1952 section 2.2),
// one a block of the log. So every gzip reads it whole, and [ReadBlock] reads a
// part of it without the rest: each member has, in a subfield "JG" of its extra
// field, its own size and that of the block.
const (
	blockSize  = 256 << 10 // in bytes; a block ends with the line that reaches it
	headerSize = 10 + 2 + 4 + subfieldSize
	subfieldID = "JG"
	// subfieldSize: size of the member and of the block, in bytes, little endian.
	subfieldSize = 4 + 4
)

// compressSegmentResting makes the compressed file of a segment that is not written any
// more, and removes the other. What it wrote is read again and compared before
// anything is removed. A crash leaves one of the two files whole. rest is called after
// each block.
func compressSegmentResting(fsys fileSystem, dir string, s segment, rest func()) error {
	from := filepath.Join(dir, s.name)
	to := filepath.Join(dir, s.compressedName())
	if err := compressFile(fsys, from, to+newSuffix, rest); err != nil {
		return fmt.Errorf("compress %s: %w", s.name, err)
	}
	if err := compare(from, to+newSuffix, rest); err != nil {
		return fmt.Errorf("compress %s: read again what was written: %w", s.name, err)
	}
	if err := fsys.rename(to+newSuffix, to); err != nil {
		return fmt.Errorf("compress %s: %w", s.name, err)
	}
	if err := fsys.syncDir(dir); err != nil {
		return fmt.Errorf("compress %s: %w", s.name, err)
	}
	if err := fsys.remove(from); err != nil {
		return fmt.Errorf("compress %s: %w", s.name, err)
	}
	return fsys.syncDir(dir)
}

func compressFile(fsys fileSystem, from, to string, rest func()) error {
	in, info, err := openRegular(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := fsys.open(to, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	m, err := newMembers(out)
	if err == nil {
		err = eachBlock(io.LimitReader(in, info.Size()), func(block []byte) error {
			defer rest()
			return m.write(block)
		})
	}
	if err == nil && m.offset == 0 {
		err = m.write(nil) // no member at all is no gzip file
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, fsys.remove(to))
	}
	return nil
}

// errDiffers says that a compressed file does not hold what it was, or should have been,
// made of.
var errDiffers = errors.New("it is not what was to be written: is the memory or the disk faulty?")

// compare reads both files of a segment and compares what they hold: with the gzip
// reader by which the log is read, which is of another hand than the writer. The error
// is errDiffers, or one of the plain file, or whatever is wrong with the compressed one.
func compare(plain, zipped string, rest func()) error {
	in, info, err := openRegular(plain)
	if err != nil {
		return &plainError{err}
	}
	defer in.Close()
	f, _, err := openRegular(zipped)
	if err != nil {
		return err
	}
	defer f.Close()
	zip, err := gzip.NewReader(bufio.NewReaderSize(f, 64<<10))
	if err != nil {
		return err
	}
	want, got := make([]byte, blockSize), make([]byte, blockSize)
	for left := info.Size(); left > 0; rest() {
		n := min(left, blockSize)
		if _, err := io.ReadFull(in, want[:n]); err != nil {
			return &plainError{err}
		}
		switch _, err := io.ReadFull(zip, got[:n]); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return errDiffers // or it was cut
		case err != nil:
			return err
		case !bytes.Equal(got[:n], want[:n]):
			return errDiffers
		}
		left -= n
	}
	switch _, err := io.ReadFull(zip, got[:1]); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return errDiffers
}

// plainError is an error of the file that is not compressed.
type plainError struct{ error }

func (e *plainError) Unwrap() error { return e.error }

// checkTwin compares the two files of a segment where both are there: a crash leaves
// them alike, and whoever reads the wrong one must not read something else.
func (s segment) checkTwin(dir string) error {
	zipped := filepath.Join(dir, s.compressedName())
	if _, err := os.Lstat(zipped); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := compare(filepath.Join(dir, s.name), zipped, func() {})
	if err == nil || errors.Is(err, fs.ErrNotExist) { // of either, meanwhile
		return nil
	}
	if plain, ok := errors.AsType[*plainError](err); ok {
		return plain.error
	}
	return &DefectError{Segment: s.name, Err: fmt.Errorf("%s stands beside it and does not hold the same", s.compressedName())}
}

// eachBlock calls do for each block of r, in order. The last may be short.
func eachBlock(r io.Reader, do func(block []byte) error) error {
	in := bufio.NewReaderSize(r, blockSize)
	buf := make([]byte, 2*blockSize)
	for {
		n, err := io.ReadFull(in, buf[:blockSize])
		if err == nil && buf[n-1] != '\n' {
			var rest []byte
			rest, err = in.ReadSlice('\n')
			n += copy(buf[n:], rest)
		}
		// errCompressed may wrap the end of the file, which is not that of the segment.
		ended := !errors.Is(err, errCompressed) && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF))
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("a line is longer than the %d bytes of any record", maxLine)
		case err != nil && !ended:
			return err
		case n > 0:
			if err := do(buf[:n]); err != nil {
				return err
			}
		}
		if ended {
			return nil
		}
	}
}

// members writes a gzip file member by member.
type members struct {
	out    file
	offset int64
	buf    bytes.Buffer
	zip    *fastgzip.Writer
}

// newMembers compresses as fast as it goes: the lines of a log are so alike that a
// better level makes the file smaller by 5 % only, in three times the time.
func newMembers(out file) (*members, error) {
	zip, err := fastgzip.NewWriterLevel(nil, fastgzip.BestSpeed)
	return &members{out: out, zip: zip}, err
}

func (m *members) write(block []byte) error {
	m.buf.Reset()
	m.zip.Reset(&m.buf)
	m.zip.Extra = append([]byte(subfieldID), subfieldSize, 0)
	m.zip.Extra = append(m.zip.Extra, make([]byte, subfieldSize)...)
	_, err := m.zip.Write(block)
	if err = errors.Join(err, m.zip.Close()); err != nil {
		return err
	}
	member := m.buf.Bytes()
	sizes := member[headerSize-subfieldSize : headerSize]
	binary.LittleEndian.PutUint32(sizes, uint32(len(member)))
	binary.LittleEndian.PutUint32(sizes[4:], uint32(len(block)))
	n, err := m.out.WriteAt(member, m.offset)
	m.offset += int64(n)
	return err
}

// memberAt finds the member of the block that begins at offset of the segment. ok
// is false if there is none, or if somebody else has compressed the file.
func memberAt(f io.ReaderAt, size, offset int64) (at, length int64, ok bool) {
	var header [headerSize]byte
	for begin := int64(0); at < size; {
		if _, err := f.ReadAt(header[:], at); err != nil {
			return 0, 0, false
		}
		extra := header[10:]
		// Bit 2 of the flags: there is an extra field.
		if header[0] != 0x1f || header[1] != 0x8b || header[3]&4 == 0 || string(extra[2:4]) != subfieldID {
			return 0, 0, false
		}
		length = int64(binary.LittleEndian.Uint32(extra[6:]))
		if begin == offset {
			return at, length, length >= headerSize && at+length <= size
		}
		if length < headerSize || begin > offset {
			return 0, 0, false
		}
		at += length
		begin += int64(binary.LittleEndian.Uint32(extra[10:]))
	}
	return 0, 0, false
}

// readMember decompresses the block of so many bytes that begins at offset.
func readMember(path string, offset int64, length int) ([]byte, error) {
	f, info, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	at, size, ok := memberAt(f, info.Size(), offset)
	var zip *gzip.Reader
	if ok {
		zip, err = gzip.NewReader(io.NewSectionReader(f, at, size))
	} else if zip, err = gzip.NewReader(f); err == nil { // it may be of another gzip: from the start
		_, err = io.CopyN(io.Discard, zip, offset)
	}
	if err != nil {
		return nil, asDamage(err)
	}
	block := make([]byte, length)
	if _, err := io.ReadFull(zip, block); err != nil {
		return nil, asDamage(err)
	}
	return block, nil
}

// asDamage tells errors of the data from those of the file system.
func asDamage(err error) error {
	if _, system := errors.AsType[*fs.PathError](err); system {
		return err
	}
	return fmt.Errorf("%w: %w", errCompressed, err)
}
