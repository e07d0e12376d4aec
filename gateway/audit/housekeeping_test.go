package audit

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// text is all that a segment holds, as any gzip reads it.
func (s segment) text(t testing.TB, dir string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, s.compressedName()))
	if errors.Is(err, os.ErrNotExist) {
		return readFile(t, filepath.Join(dir, s.name))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestClosedSegmentsAreCompressed, and nothing that reads the log sees a difference.
func TestClosedSegmentsAreCompressed(t *testing.T) {
	signer := newTestSigner(t, 1)
	o := Options{Dir: auditDir(t), Signer: signer, SegmentSize: smallSegments}
	l := mustOpen(t, o)
	written := fill(t, l, 40)
	before, err := segments(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	l.keeper.tidy()
	list, err := segments(o.Dir)
	if err != nil || !slices.Equal(list, before) {
		t.Errorf("segments were %v and are %v, %v", before, list, err)
	}
	if plain := glob(t, o.Dir, "*.jsonl"); len(plain) != 1 || filepath.Base(plain[0]) != list[len(list)-1].name {
		t.Errorf("not compressed are %q", plain)
	}
	got := records(t, o.Dir)
	if !slices.EqualFunc(got, written, func(a, b Record) bool { return a.ID == b.ID && a.Prev == b.Prev }) {
		t.Errorf("records are %+v", got)
	}
	mustAppend(t, l, refusal())
	mustClose(t, l)
	mustProve(t, o.Dir, signer)

	// A crash can leave the newest segment empty, and the one before it compressed.
	newest := filepath.Join(o.Dir, list[len(list)-1].name)
	if err := compressSegment(disk{}, o.Dir, list[len(list)-1]); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, o)
	r := mustAppend(t, l, refusal())
	if _, err := os.Stat(newest); r.Seq != 42 || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the log goes on with %d in the segment that was compressed: %v", r.Seq, err)
	}
	mustClose(t, l)
	mustProve(t, o.Dir, signer)
}

// TestCompressionStoppedAtEveryStep: one of the two files is always whole.
func TestCompressionStoppedAtEveryStep(t *testing.T) {
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir})
	fill(t, l, 9)
	mustClose(t, l)
	s := segmentFor(start)
	want := s.text(t, dir)
	for step := 0; ; step++ {
		at := snapshot(t, dir)
		err := compressSegment(&stoppingDisk{left: step}, at, s)
		text := bytes.Join(rawLines(t, at, s), nil)
		if !bytes.Equal(text, want) {
			t.Fatalf("stopped at step %d: the segment holds %q", step, text)
		}
		if err := compressSegment(disk{}, at, s); err == nil || !errors.Is(err, os.ErrNotExist) {
			if got := s.text(t, at); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("stopped at step %d, then done again: %q, %v", step, got, err)
			}
		}
		if err == nil {
			break
		}
	}
}

// flippingDisk changes a bit of what is written to compressed files.
type flippingDisk struct{ disk }

func (d flippingDisk) open(path string, flag int) (file, error) {
	f, err := d.disk.open(path, flag)
	if err != nil || !strings.HasSuffix(path, compressedSuffix+newSuffix) {
		return f, err
	}
	return flippingFile{f}, nil
}

type flippingFile struct{ file }

func (f flippingFile) WriteAt(p []byte, off int64) (int, error) {
	p = bytes.Clone(p)
	p[len(p)-8] ^= 1 // in the sum at the end of a member
	return f.file.WriteAt(p, off)
}

// TestCompressionIsReadAgain before what was compressed goes.
func TestCompressionIsReadAgain(t *testing.T) {
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir})
	fill(t, l, 9)
	mustClose(t, l)
	s := segmentFor(start)
	want := s.text(t, dir)
	if err := compressSegment(flippingDisk{}, dir, s); err == nil {
		t.Error("what was written is not what was read, and nobody says so")
	}
	if got := readFile(t, filepath.Join(dir, s.name)); !bytes.Equal(got, want) {
		t.Errorf("the segment holds %q", got)
	}
}

// TestTreeOfBeforeALossOfPower: leaves that the file has too many go.
func TestTreeOfBeforeALossOfPower(t *testing.T) {
	dir, s := t.TempDir(), segmentFor(start)
	for _, n := range []int{5, 2} {
		batch := leafBatch{segment: s, before: emptyTree(), leaves: make([]hash, n)}
		if err := batch.write(disk{}, dir); err != nil {
			t.Fatal(err)
		}
		if f, err := s.readTree(dir, 100); err != nil || len(f.leaves) != n {
			t.Errorf("of %d leaves there are %d, %v", n, len(f.leaves), err)
		}
	}
}

func rawLines(t *testing.T, dir string, s segment) (lines [][]byte) {
	t.Helper()
	for l, err := range s.lines(dir) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, append(bytes.Clone(l.text), '\n'))
	}
	return lines
}

var errStopped = errors.New("stopped")

// stoppingDisk does so many steps and no more.
type stoppingDisk struct {
	disk
	left int
}

func (d *stoppingDisk) step() error {
	if d.left--; d.left < 0 {
		return errStopped
	}
	return nil
}

func (d *stoppingDisk) open(path string, flag int) (file, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	return d.disk.open(path, flag)
}

func (d *stoppingDisk) rename(from, to string) error {
	return errors.Join(d.step(), func() error {
		if d.left < 0 {
			return nil
		}
		return d.disk.rename(from, to)
	}())
}

func (d *stoppingDisk) remove(path string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.disk.remove(path)
}

func (d *stoppingDisk) syncDir(path string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.disk.syncDir(path)
}

// TestBlocks: blocks are the same before and after compression, whoever compresses,
// and each can be read alone.
func TestBlocks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		s := segmentFor(start)
		var text []byte
		for range rapid.IntRange(0, 60).Draw(rt, "lines") {
			n := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(10_000, maxLine-1), rapid.Just(blockSize/4-1)).Draw(rt, "length")
			text = append(append(text, bytes.Repeat([]byte{'x'}, n)...), '\n')
		}
		writeTestFile(t, filepath.Join(dir, s.name), text)
		var plain []Block
		for b := range Blocks(dir, s.name) {
			plain = append(plain, b)
		}
		if rapid.Bool().Draw(rt, "by another gzip") {
			var b bytes.Buffer
			zip := gzip.NewWriter(&b)
			zip.Write(text)
			zip.Close()
			writeTestFile(t, filepath.Join(dir, s.compressedName()), b.Bytes())
			os.Remove(filepath.Join(dir, s.name))
		} else if err := compressSegment(disk{}, dir, s); err != nil {
			rt.Fatal(err)
		}
		var whole []byte
		i := 0
		for b := range Blocks(dir, s.name) {
			if i >= len(plain) || b != plain[i] {
				rt.Fatalf("block %d is %+v, and was one of %+v", i, b, plain)
			}
			part, err := s.readBlock(dir, b)
			if err != nil || len(part) != b.Length || !bytes.HasSuffix(part, []byte("\n")) || b.Line != bytes.Count(whole, []byte("\n"))+1 {
				rt.Fatalf("block %+v: %d bytes, %v", b, len(part), err)
			}
			whole = append(whole, part...)
			i++
		}
		if !bytes.Equal(whole, text) {
			rt.Fatalf("the blocks hold %d bytes, the segment %d", len(whole), len(text))
		}
	})
}

// TestDamagedCompression: what cannot be read is named, and what can be is given.
func TestDamagedCompression(t *testing.T) {
	signer := newTestSigner(t, 1)
	o := Options{Dir: auditDir(t), Signer: signer}
	l := mustOpen(t, o)
	fill(t, l, 20)
	mustClose(t, l)
	s := segmentFor(start)
	if err := compressSegment(disk{}, o.Dir, s); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(o.Dir, s.compressedName())
	good, whole := readFile(t, path), s.text(t, o.Dir)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		writeTestFile(t, path, bad)
		_, err := Verify(o.Dir, VerifyOptions{Trust: signer.trust(t)})
		var defect *DefectError
		if err != nil && (!errors.As(err, &defect) || defect.Segment != s.name || defect.Seq == 0) {
			t.Errorf("byte %d changed: verify says %v", i, err)
		}
		// What nothing depends on may differ: the header holds a time, and the last byte
		// of compressed data has bits to spare.
		if err == nil && !bytes.Equal(s.text(t, o.Dir), whole) {
			t.Errorf("byte %d changed unnoticed", i)
		}
		defects := 0
		for _, err := range Query(o.Dir, Filter{}) {
			if err != nil && !errors.As(err, &defect) {
				t.Fatalf("byte %d changed: query says %v", i, err)
			}
			if err != nil {
				defects++
			}
		}
		if err != nil && defects == 0 {
			t.Errorf("byte %d changed: query says nothing", i)
		}
	}
	writeTestFile(t, path, good)
}

// TestRetention: old segments go whole, on record, and what is left verifies and
// proves; what somebody else removes does not pass for it.
func TestRetention(t *testing.T) {
	signer := newTestSigner(t, 1)
	var kept []Elsewhere
	now := start
	o := Options{
		Dir: auditDir(t), Signer: signer, SegmentSize: smallSegments, Retention: 24 * time.Hour, Now: func() time.Time { return now },
		Checkpointed: func(signed []byte, _ uint64) { kept = append(kept, Elsewhere{"copy", signed}) },
	}
	l := mustOpen(t, o)
	fill(t, l, 60) // to 16:53
	l.attester.attest()
	l.keeper.tidy()
	if report := mustProve(t, o.Dir, signer); report.First != 1 {
		t.Errorf("removed too early: %+v", report)
	}
	now = start.Add(27*time.Hour + time.Minute) // 13:01 of the next day: the segments up to 12:xx are over
	l.keeper.tidy()
	l.attester.attest()
	report := mustProve(t, o.Dir, signer)
	if oldest := records(t, o.Dir)[0]; oldest.Seq != report.First || oldest.Time.Before(start.Add(2*time.Hour)) || oldest.Time.After(start.Add(4*time.Hour)) {
		t.Errorf("the oldest record is %+v", oldest)
	}
	removals, left := 0, 0
	for _, r := range records(t, o.Dir) {
		if r.Operation == OperationDelete {
			removals++
		} else {
			left++
		}
	}
	if removals == 0 || left == 0 || 60-left != int(report.First)-1 {
		t.Errorf("%d removals on record, %d of 60 records are left, of %+v", removals, left, report)
	}
	report, err := Verify(o.Dir, VerifyOptions{Trust: signer.trust(t), Checkpoints: kept})
	if err != nil || report.Outdated == 0 {
		t.Errorf("with checkpoints from before: %+v, %v", report, err)
	}
	for seq := report.First; seq <= report.Records; seq++ {
		if _, err := Prove(o.Dir, seq, signer.trust(t)); err != nil {
			t.Error(err)
		}
	}
	mustClose(t, l)
	mustClose(t, mustOpen(t, o))
	mustProve(t, o.Dir, signer)

	list, err := segments(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", compressedSuffix} {
		os.Remove(filepath.Join(o.Dir, list[0].name+suffix))
	}
	_, err = Verify(o.Dir, VerifyOptions{Trust: signer.trust(t)})
	var defect *DefectError
	if !errors.As(err, &defect) || defect.Segment != list[1].name {
		t.Errorf("one removed by hand: verify says %v", err)
	}
	// So that the clean-up verifies a log that is in order.
	if err := os.RemoveAll(o.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(o.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

// TestOldLogsWithoutTrees are attested once they are opened.
func TestOldLogsWithoutTrees(t *testing.T) {
	signer := newTestSigner(t, 1)
	files, _ := chainedLog()
	dir := writeLog(t, files)
	mustClose(t, mustOpen(t, Options{Dir: dir, Signer: signer}))
	if report := mustProve(t, dir, signer); report.Records != 6 {
		t.Errorf("%+v", report)
	}

	// Where the beginning was moved away there is nothing to go on with: records are
	// written all the same.
	delete(files, segmentFor(start).name)
	dir = writeLog(t, files)
	l, err := Open(Options{Dir: dir, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	if r := mustAppend(t, l, refusal()); r.Seq != 7 {
		t.Errorf("the log goes on with %d", r.Seq)
	}
	mustClose(t, l)
	if found := glob(t, dir, "*.checkpoint"); len(found) > 0 {
		t.Errorf("signed was %q", found)
	}
}

func TestSegmentNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"2026-11-23T10.jsonl": true, "2026-11-23T10_0002.jsonl": true, "2026-11-23T10_9999.jsonl": true,
		"2026-11-23T10_0001.jsonl": false, "2026-11-23T10_2.jsonl": false, "2026-11-23T10_00002.jsonl": false, "2026-11-23T10_-002.jsonl": false,
		"2026-11-23T10_.jsonl": false, "2026-11-23T24.jsonl": false, "2026-11-23T10.json": false, "2026-11-23T10_0002x.jsonl": false,
	} {
		s, got := parseSegment(name)
		if got != ok || ok && s.name != name {
			t.Errorf("%s: %v, %+v", name, got, s)
		}
	}
	a, b := newSegment(start, 2), newSegment(start, 10)
	if a.compare(b) >= 0 || a.name >= b.name || segmentFor(start).name >= a.name {
		t.Error("names do not sort as the chain goes")
	}
}
