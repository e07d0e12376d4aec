package audit

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jiragate/gateway/audit/checkpoint"
)

// fill writes n refusals, some in each of several hours.
func fill(t testing.TB, l *Log, n int) []Record {
	t.Helper()
	var list []Record
	for i := range n {
		r := refusal()
		r.Time = start.Add(time.Duration(i) * 7 * time.Minute)
		list = append(list, mustAppend(t, l, r))
	}
	return list
}

// smallSegments make several segments an hour of a few records.
const smallSegments = 2000

// TestCheckpoints: a log that was closed is covered wholly by its checkpoints, in
// whatever way its segments came about, and so it is when it goes on.
func TestCheckpoints(t *testing.T) {
	for _, size := range []int64{1, smallSegments, 0} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			o := Options{Dir: auditDir(t), SegmentSize: size, Signer: newTestSigner(t, 1)}
			for round := range 3 {
				l := mustOpenOn(t, o, newFaultyDisk())
				fill(t, l, 30)
				mustClose(t, l)
				report := mustProve(t, o.Dir, o.Signer.(*testSigner))
				if report.Records != uint64(30*(round+1)) || report.Checkpoints != report.Segments {
					t.Errorf("round %d: %+v", round, report)
				}
			}
		})
	}
}

// TestCheckpointIsTold: while calls come, no record is without a checkpoint for long,
// and each is told.
func TestCheckpointIsTold(t *testing.T) {
	told := make(chan uint64, 100)
	signer := newTestSigner(t, 1)
	l := mustOpen(t, Options{Dir: auditDir(t), Signer: signer, Checkpointed: func(signed []byte, size uint64) {
		c, err := signer.trust(t).Open(signed)
		if err != nil || c.Size != size {
			t.Errorf("told of %d records: %+v, %v", size, c, err)
		}
		told <- size
	}})
	for n := range uint64(3) {
		mustAppend(t, l, refusal())
		for size := range told {
			if size == n+1 {
				break
			}
		}
	}
	if records, covered := l.Checkpoint(); records != 3 || covered != 3 {
		t.Errorf("of %d the newest checkpoint covers %d", records, covered)
	}
}

// TestSigningFails: records go on, and the checkpoint comes once it can.
func TestSigningFails(t *testing.T) {
	signer := newTestSigner(t, 1)
	signer.failing = errors.New("the key is away")
	o := Options{Dir: auditDir(t), Signer: signer, SegmentSize: smallSegments}
	l := mustOpen(t, o)
	fill(t, l, 20)
	if err := l.attester.attest(); !errors.Is(err, signer.failing) {
		t.Errorf("attest says %v", err)
	}
	if records, covered := l.Checkpoint(); records != 20 || covered != 0 {
		t.Errorf("covered are %d of %d", covered, records)
	}
	if _, err := Verify(o.Dir, VerifyOptions{Trust: signer.trust(t)}); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("verify says %v", err)
	}
	signer.mu.Lock()
	signer.failing = nil
	signer.mu.Unlock()
	mustClose(t, l)
	if report := mustProve(t, o.Dir, signer); report.Checkpoints != report.Segments {
		t.Errorf("segments closed meanwhile lack their checkpoint: %+v", report)
	}
}

// TestKeyRotation: who trusts the first key alone can verify what later ones signed.
func TestKeyRotation(t *testing.T) {
	signer := newTestSigner(t, 1)
	o := Options{Dir: auditDir(t), Signer: signer, SegmentSize: smallSegments}
	l := mustOpen(t, o)
	fill(t, l, 20)
	l.attester.attest()
	signer.rotate(t, 2)
	fill(t, l, 20)
	l.attester.attest()
	signer.rotate(t, 3)
	mustClose(t, l)
	mustProve(t, o.Dir, signer)
	mustClose(t, mustOpen(t, o))

	// A succession that the first key did not sign leads nowhere.
	stranger := newTestSigner(t, 8)
	stranger.rotate(t, 9)
	writeTestFile(t, filepath.Join(o.Dir, "key-0001.succession"), stranger.notes[0])
	if _, err := Verify(o.Dir, VerifyOptions{Trust: signer.trust(t)}); !errors.Is(err, checkpoint.ErrUnsigned) {
		t.Errorf("verify says %v", err)
	}
}

// tampered is a log of 60 records in many segments, with checkpoints; half of the
// segments are compressed.
type tampered struct {
	dir   string
	lines [][]byte // all, in order
}

// segmentsOf gives the lines to the segments that they were in; what is more goes to
// the last.
func (l *tampered) write(t *testing.T, sizes map[string]int) {
	t.Helper()
	list, err := segments(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	rest := l.lines
	for i, s := range list {
		n := min(sizes[s.name], len(rest))
		if i == len(list)-1 {
			n = len(rest)
		}
		text := bytes.Join(append(slices.Clone(rest[:n]), nil), []byte("\n"))
		rest = rest[n:]
		path := filepath.Join(l.dir, s.name)
		_, err := os.Stat(path)
		writeTestFile(t, path, text)
		if err != nil {
			if err := compressSegment(disk{}, l.dir, s); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (l *tampered) rechain(t *testing.T, from int, change func(*Record)) {
	t.Helper()
	for i := from; i < len(l.lines); i++ {
		r, err := decode(l.lines[i])
		if err != nil {
			t.Fatal(err)
		}
		if i == from {
			change(&r)
		}
		r.Seq, r.Prev = uint64(i+1), genesis
		if i > 0 {
			r.Prev = hashLine(l.lines[i-1])
		}
		l.lines[i] = appendRecord(nil, &r)
	}
}

// TestTampering: each row changes the log as somebody might who can write the
// directory and has no key. The first record that is not what it was is named.
func TestTampering(t *testing.T) {
	signer := newTestSigner(t, 1)
	original := auditDir(t)
	l := mustOpen(t, Options{Dir: original, Signer: signer, SegmentSize: smallSegments})
	fill(t, l, 60)
	half, err := segments(original)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	for i, s := range half[:len(half)-1] {
		if i%2 == 0 {
			if _, err := os.Stat(filepath.Join(original, s.name)); err == nil {
				if err := compressSegment(disk{}, original, s); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	sizes := make(map[string]int)
	var all [][]byte
	for e, err := range Query(original, Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		sizes[e.Segment]++
		all = append(all, e.Raw)
	}
	mustProve(t, original, signer)

	deny := func(r *Record) { r.Decision = DecisionAllow }
	for _, row := range []struct {
		name  string
		seq   uint64 // of the record that must be named
		exact bool   // also without the trees beside the segments
		do    func(t *testing.T, l *tampered)
	}{
		{"a byte of a value", 23, false, func(_ *testing.T, l *tampered) {
			l.lines[22] = bytes.Replace(l.lines[22], []byte("billing"), []byte("killing"), 1)
		}},
		{"a byte of the last record", 60, false, func(_ *testing.T, l *tampered) {
			l.lines[59] = bytes.Replace(l.lines[59], []byte("billing"), []byte("killing"), 1)
		}},
		{"two records exchanged", 30, true, func(_ *testing.T, l *tampered) {
			l.lines[29], l.lines[30] = l.lines[30], l.lines[29]
		}},
		{"a record removed", 31, true, func(_ *testing.T, l *tampered) { l.lines = slices.Delete(l.lines, 30, 31) }},
		{"the first record removed", 1, true, func(_ *testing.T, l *tampered) { l.lines = slices.Delete(l.lines, 0, 1) }},
		{"a record inserted", 12, true, func(_ *testing.T, l *tampered) { l.lines = slices.Insert(l.lines, 11, l.lines[10]) }},
		{"a record inserted and all behind it chained afresh", 12, false, func(t *testing.T, l *tampered) {
			l.lines = slices.Insert(l.lines, 11, l.lines[10])
			l.rechain(t, 11, deny)
		}},
		{"the last records cut off", 58, true, func(_ *testing.T, l *tampered) { l.lines = l.lines[:57] }},
		{"nearly all records cut off", 4, true, func(_ *testing.T, l *tampered) { l.lines = l.lines[:3] }},
		{"all records cut off", 1, true, func(_ *testing.T, l *tampered) { l.lines = nil }},
		{"the tail chained afresh", 41, false, func(t *testing.T, l *tampered) { l.rechain(t, 40, deny) }},
		{"the tail chained afresh, and cut", 41, false, func(t *testing.T, l *tampered) {
			l.rechain(t, 40, deny)
			l.lines = l.lines[:50]
		}},
		{"the last record replaced", 60, false, func(t *testing.T, l *tampered) { l.rechain(t, 59, deny) }},
		{"all of it chained afresh", 1, false, func(t *testing.T, l *tampered) { l.rechain(t, 0, deny) }},
		{"a record removed and the rest chained afresh", 5, false, func(t *testing.T, l *tampered) {
			l.lines = slices.Delete(l.lines, 4, 5)
			l.rechain(t, 4, func(*Record) {})
		}},
		{"chained afresh, and longer than before", 20, false, func(t *testing.T, l *tampered) {
			l.lines = append(l.lines, l.lines[len(l.lines)-1], l.lines[len(l.lines)-1])
			l.rechain(t, 19, deny)
		}},
		{"a byte that is none of JSON", 33, true, func(_ *testing.T, l *tampered) { l.lines[32][0] = 0 }},
		{"a line that is empty", 33, true, func(_ *testing.T, l *tampered) { l.lines = slices.Insert(l.lines, 32, nil) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := snapshot(t, original)
			lines := make([][]byte, len(all))
			for i := range all {
				lines[i] = bytes.Clone(all[i])
			}
			l := &tampered{dir, lines}
			row.do(t, l)
			l.write(t, sizes)
			report, err := Verify(dir, VerifyOptions{Trust: signer.trust(t)})
			var defect *DefectError
			if !errors.As(err, &defect) || defect.Seq != row.seq || report.Records != row.seq-1 {
				t.Errorf("verify says %v after %d records, want record %d", err, report.Records, row.seq)
			}
			if !strings.Contains(fmt.Sprint(err), fmt.Sprintf("(record %d)", row.seq)) {
				t.Errorf("verify says %v", err)
			}
			// Nor does the gateway go on with it, and sign what is left.
			before := listing(t, dir)
			reopened, err := Open(Options{Dir: dir, Signer: signer, Logger: slog.New(slog.DiscardHandler)})
			switch {
			case err == nil: // what is before the newest segment is not read again
				mustClose(t, reopened)
				if row.seq > 56 {
					t.Error("the gateway goes on with it")
				}
			case !errors.Is(err, ErrContradicted) && !errors.Is(err, ErrDamaged):
				t.Errorf("open says %v", err)
			case listing(t, dir) != before:
				t.Error("the directory was changed")
			}

			// Whoever removes the trees, too, blurs the place, but no more than up to
			// the checkpoint before.
			for _, path := range glob(t, dir, "*.tree") {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			_, err = Verify(dir, VerifyOptions{Trust: signer.trust(t)})
			if !errors.As(err, &defect) || row.exact && defect.Seq != row.seq || defect.Seq > row.seq+1 {
				t.Errorf("without trees, verify says %v, want record %d", err, row.seq)
			}
		})
	}
}

// listing is the names and sizes of the files in dir in which there is something.
func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.Name() != "lock" && info.Size() > 0 {
			fmt.Fprintln(&b, e.Name(), info.Size())
		}
	}
	return b.String()
}

// TestCheckpointsAreForged: nothing but the key makes one.
func TestCheckpointsAreForged(t *testing.T) {
	signer := newTestSigner(t, 1)
	o := Options{Dir: auditDir(t), Signer: signer}
	l := mustOpen(t, o)
	fill(t, l, 3)
	mustClose(t, l)
	path := glob(t, o.Dir, "*.checkpoint")[0]
	signed := readFile(t, path)
	stranger := newTestSigner(t, 7)
	forged, err := stranger.Sign(checkpoint.Checkpoint{Origin: "jiragate/us", Size: 3}.Text())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"of another key": forged,
		"empty":          nil,
		"another size":   bytes.Replace(signed, []byte("\n3\n"), []byte("\n2\n"), 1),
		"too large":      bytes.Repeat([]byte("x"), 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			writeTestFile(t, path, content)
			defer writeTestFile(t, path, signed)
			if _, err := Verify(o.Dir, VerifyOptions{Trust: signer.trust(t)}); err == nil {
				t.Error("verify believes it")
			}
			if _, err := Open(o); !errors.Is(err, ErrContradicted) {
				t.Errorf("open says %v", err)
			}
		})
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(o.Dir, VerifyOptions{Trust: signer.trust(t)}); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("verify says %v", err)
	}
}

// TestCheckpointsFromElsewhere show what those beside the log no longer can: an
// operator who has the key has signed another past.
func TestCheckpointsFromElsewhere(t *testing.T) {
	signer := newTestSigner(t, 1)
	var kept []Elsewhere
	o := Options{Dir: auditDir(t), Signer: signer, Checkpointed: func(signed []byte, size uint64) {
		kept = append(kept, Elsewhere{fmt.Sprintf("copy of %d", size), signed})
	}}
	l := mustOpen(t, o)
	fill(t, l, 3)
	mustClose(t, l)
	if _, err := Verify(o.Dir, VerifyOptions{Trust: signer.trust(t), Checkpoints: kept}); err != nil {
		t.Errorf("verify says %v", err)
	}

	o.Dir = auditDir(t)
	o.Checkpointed = nil
	l = mustOpen(t, o)
	fill(t, l, 5)
	mustClose(t, l)
	mustProve(t, o.Dir, signer)
	_, err := Verify(o.Dir, VerifyOptions{Trust: signer.trust(t), Checkpoints: kept})
	var defect *DefectError
	if !errors.As(err, &defect) || !strings.Contains(err.Error(), "copy of") {
		t.Errorf("verify says %v", err)
	}
}

// TestProve: each record of a log has its proof, which holds without the log.
func TestProve(t *testing.T) {
	signer := newTestSigner(t, 1)
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir, Signer: signer, SegmentSize: smallSegments})
	written := fill(t, l, 45)
	mustClose(t, l)
	for _, trees := range []bool{true, false} {
		for _, r := range written {
			p, err := Prove(dir, r.Seq, signer.trust(t))
			if err != nil {
				t.Fatal(err)
			}
			if p, err = checkpoint.ParseProof(p.Marshal()); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Verify(signer.trust(t)); err != nil || !bytes.Contains(p.Line, []byte(r.ID)) {
				t.Errorf("record %d: %s, %v", r.Seq, p.Line, err)
			}
		}
		if trees { // the log itself is the truth
			for i, path := range glob(t, dir, "*.tree") {
				content := readFile(t, path)
				if i > 0 {
					content[len(content)-1] ^= 1
				}
				writeTestFile(t, path, content)
			}
		}
	}
	for _, seq := range []uint64{0, 46, 1 << 60} {
		if _, err := Prove(dir, seq, signer.trust(t)); !errors.Is(err, ErrNoRecord) {
			t.Errorf("record %d: %v", seq, err)
		}
	}
}

// TestCheckpointWhileOneIsMade: metrics do not wait for a disk that hangs.
func TestCheckpointWhileOneIsMade(t *testing.T) {
	l := mustOpen(t, Options{Dir: auditDir(t), Signer: newTestSigner(t, 1)})
	mustAppend(t, l, refusal())
	l.attester.attest()
	l.attester.mu.Lock()
	defer l.attester.mu.Unlock()
	told := make(chan uint64)
	go func() {
		_, covered := l.Checkpoint()
		told <- covered
	}()
	select {
	case covered := <-told:
		if covered != 1 {
			t.Errorf("covered are %d", covered)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for the checkpoint that is being made")
	}
}

// TestFIFOInThePlaceOfASuccession fails the checkpoint, and hangs nobody.
func TestFIFOInThePlaceOfASuccession(t *testing.T) {
	o := Options{Dir: auditDir(t), Signer: newTestSigner(t, 1)}
	l := mustOpen(t, o)
	mustAppend(t, l, refusal())
	path := filepath.Join(o.Dir, "key-0001.succession")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Signer.(*testSigner).rotate(t, 2)
	if err := l.attester.attest(); err == nil {
		t.Error("the checkpoint was signed without the succession of its key")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := l.attester.attest(); err != nil {
		t.Error(err)
	}
}
