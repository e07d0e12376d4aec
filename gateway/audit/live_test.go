package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jiragate/gateway/audit/checkpoint"
)

// TestWhileTheLogIsWritten: verifying, proving and asking go on beside writing,
// compressing, and removing what is old, and find nothing wrong.
func TestWhileTheLogIsWritten(t *testing.T) {
	signer := newTestSigner(t, 1)
	var minutes atomic.Int64
	now := func() time.Time { return start.Add(time.Duration(minutes.Load()) * time.Minute) }
	dir := auditDir(t)
	l := mustOpenOn(t, Options{Dir: dir, Signer: signer, SegmentSize: smallSegments, Retention: time.Hour, Now: now}, newFaultyDisk())
	var proven, asked int
	for i := range 40 {
		var group sync.WaitGroup
		group.Go(func() {
			for range 10 {
				r := refusal()
				r.Time = now()
				minutes.Add(1)
				mustAppend(t, l, r)
				l.attester.attest()
			}
			l.keeper.tidy()
		})
		report, err := Verify(dir, VerifyOptions{Trust: signer.trust(t)})
		if err != nil && !errors.Is(err, ErrNoCheckpoint) {
			t.Errorf("verify: %v", err)
		}
		last := uint64(0)
		for e, err := range Query(dir, Filter{}) {
			if err != nil || e.Seq <= last { // there may be gaps: what was old is gone
				t.Errorf("query: record %d after %d, %v", e.Seq, last, err)
			}
			last = e.Seq
			asked++
		}
		if i%10 == 9 && report.Checkpointed > 0 {
			_, err := Prove(dir, report.Checkpointed, signer.trust(t))
			if err != nil && !errors.Is(err, ErrNoRecord) && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("prove: %v", err)
			}
			proven++
		}
		group.Wait()
	}
	mustClose(t, l)
	if report := mustProve(t, dir, signer); report.First == 1 || proven == 0 || asked == 0 {
		t.Errorf("nothing was removed, proven or asked: %+v", report)
	}
}

// TestPowerLostAtAnyMoment: a checkpoint never covers what a loss of power can take
// away, so the log goes on after it.
func TestPowerLostAtAnyMoment(t *testing.T) {
	signer := newTestSigner(t, 1)
	disk := newFaultyDisk()
	dir := auditDir(t)
	l := mustOpenOn(t, Options{Dir: dir, Signer: signer, SegmentSize: smallSegments, Sync: SyncBatch}, disk)
	for i := range 40 {
		r := refusal()
		r.Time = start.Add(time.Duration(i) * 9 * time.Minute)
		mustAppend(t, l, r)
		if i%7 == 3 {
			l.attester.attest()
		}
		left := powerLoss(t, disk, dir)
		again := mustOpen(t, Options{Dir: left, Signer: signer})
		mustClose(t, again)
		mustProve(t, left, signer)
	}
}

// TestAnotherImplementation checks a log with the standard library and the RFCs
// alone: what the documentation promises to those who do not want this program.
func TestAnotherImplementation(t *testing.T) {
	signer := newTestSigner(t, 1)
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir, Signer: signer, SegmentSize: smallSegments})
	fill(t, l, 37)
	l.keeper.tidy()
	mustClose(t, l)

	list, err := segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for _, s := range list {
		text = append(text, s.text(t, dir)...)
	}
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	_, encoded, _ := strings.Cut(strings.TrimPrefix(signer.Verifiers()[0], "jiragate/us+"), "+")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, path := range glob(t, dir, "*.checkpoint") {
		text, signature, _ := strings.Cut(string(readFile(t, path)), "\n\n")
		text += "\n"
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.TrimPrefix(signature, "— jiragate/us ")))
		if err != nil || !ed25519.Verify(key[1:], []byte(text), raw[4:]) {
			t.Errorf("%s is not signed: %v", path, err)
		}
		field := strings.Split(text, "\n")
		size, err := strconv.Atoi(field[1])
		if err != nil {
			t.Fatal(err)
		}
		root := treeHead(lines[:size])
		if field[0] != "jiragate/us" || field[2] != base64.StdEncoding.EncodeToString(root[:]) {
			t.Errorf("%s is not of the first %d lines", path, size)
		}
		checked++
	}
	if checked != len(list) {
		t.Errorf("%d checkpoints of %d segments", checked, len(list))
	}
}

// treeHead is MTH of RFC 6962 section 2.1, as it is defined there.
func treeHead(lines [][]byte) [sha256.Size]byte {
	if len(lines) == 1 {
		return sha256.Sum256(append([]byte{0}, lines[0]...))
	}
	k := 1
	for k*2 < len(lines) {
		k *= 2
	}
	left, right := treeHead(lines[:k]), treeHead(lines[k:])
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

// FuzzReadTree reads any file as the tree beside a segment: no panic, no more than
// there is, and what was written comes back.
func FuzzReadTree(f *testing.F) {
	tree := emptyTree()
	tree.append(checkpoint.Leaf([]byte("a")), checkpoint.Leaf([]byte("b")), checkpoint.Leaf([]byte("c")))
	f.Add(append(treeHeader(tree), make([]byte, 40)...))
	f.Add(treeHeader(emptyTree()))
	f.Add([]byte(treeMagic + "\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte{})
	s := segmentFor(start)
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		writeTestFile(t, filepath.Join(dir, s.treeName()), content)
		file, err := s.readTree(dir, math.MaxUint64)
		if err != nil {
			if !errors.Is(err, errNoTree) {
				t.Fatal(err)
			}
			return
		}
		batch := leafBatch{segment: s, before: file.before, leaves: file.leaves}
		if err := batch.write(disk{}, dir); err != nil {
			t.Fatal(err)
		}
		if again := readFile(t, filepath.Join(dir, s.treeName())); !bytes.HasPrefix(content, again) || len(content)-len(again) >= sha256.Size {
			t.Errorf("%d bytes became %d", len(content), len(again))
		}
	})
}

// FuzzCompressed reads any file as a compressed segment.
func FuzzCompressed(f *testing.F) {
	s := segmentFor(start)
	files, _ := chainedLog()
	dir := f.TempDir()
	writeTestFile(f, filepath.Join(dir, s.name), files[s.name])
	if err := compressSegment(disk{}, dir, s); err != nil {
		f.Fatal(err)
	}
	f.Add(readFile(f, filepath.Join(dir, s.compressedName())), int64(0))
	f.Add([]byte{}, int64(1))
	f.Add([]byte("\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff\x0c\x00JG\x08\x00\x18\x00\x00\x00\x00\x00\x00\x00"), int64(24))
	f.Fuzz(func(t *testing.T, content []byte, offset int64) {
		dir := t.TempDir()
		writeTestFile(t, filepath.Join(dir, s.compressedName()), content)
		for e, err := range Query(dir, Filter{}) {
			var defect *DefectError
			if err != nil && !errors.As(err, &defect) {
				t.Fatal(err)
			}
			if err == nil && e.Seq == 0 {
				t.Errorf("record %+v", e)
			}
		}
		if offset >= 0 {
			block, err := s.readBlock(dir, Block{Offset: offset, Length: 1 << 10})
			if err != nil && !errors.Is(err, errCompressed) && !errors.Is(err, errShortened) {
				t.Fatal(err)
			}
			if len(block) > 1<<10 {
				t.Errorf("%d bytes", len(block))
			}
		}
		var defect *DefectError
		if _, err := Verify(dir, VerifyOptions{}); err != nil && !errors.As(err, &defect) {
			t.Fatal(err)
		}
	})
}

// TestOrphans: what a crash leaves of a segment that was removed goes with the next
// look.
func TestOrphans(t *testing.T) {
	now := start
	o := Options{Dir: auditDir(t), Signer: newTestSigner(t, 1), Retention: time.Hour, Now: func() time.Time { return now }}
	l := mustOpen(t, o)
	fill(t, l, 20)
	l.attester.attest()
	for _, suffix := range []string{checkpointSuffix, treeSuffix} {
		writeTestFile(t, filepath.Join(o.Dir, "2026-11-01T00"+suffix), nil)
		writeTestFile(t, filepath.Join(o.Dir, "notes"+suffix), nil)
	}
	l.keeper.tidy()
	if left := glob(t, o.Dir, "2026-11-01*"); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
	if left := glob(t, o.Dir, "notes*"); len(left) != 2 {
		t.Errorf("left are %q: what is not of the log is nobody's business", left)
	}
	for _, name := range glob(t, o.Dir, "notes*") {
		os.Remove(name)
	}
	mustClose(t, l)
	if report := mustProve(t, o.Dir, o.Signer.(*testSigner)); report.First != 1 {
		t.Error(fmt.Sprint("removed too much: ", report))
	}
}
