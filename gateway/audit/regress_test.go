package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway/audit/checkpoint"
)

// provenLog is a log of 60 records over seven hours that was closed, in many segments,
// each with its checkpoint. Somebody who has no key goes on to change it.
type provenLog struct {
	tampered
	signer *testSigner
	list   []segment
	sizes  map[string]int // records of each segment, by name
}

func newProvenLog(t *testing.T) *provenLog {
	t.Helper()
	l := &provenLog{signer: newTestSigner(t, 1), sizes: make(map[string]int)}
	o := Options{Dir: auditDir(t), Signer: l.signer, SegmentSize: smallSegments}
	original := mustOpen(t, o)
	fill(t, original, 60)
	mustClose(t, original)
	l.dir = snapshot(t, o.Dir)
	for e, err := range Query(l.dir, Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		l.sizes[e.Segment]++
		l.lines = append(l.lines, e.Raw)
	}
	l.list, _ = segments(l.dir)
	return l
}

// pose changes the record seq and chains all behind it afresh.
func (l *provenLog) pose(t *testing.T, seq int) {
	l.rechain(t, seq-1, func(r *Record) { r.Client = "impostor" })
	l.write(t, l.sizes)
}

func (l *provenLog) verify(t *testing.T) error {
	_, err := Verify(l.dir, VerifyOptions{Trust: l.signer.trust(t)})
	return err
}

func (l *provenLog) expectDefect(t *testing.T, s segment, seq int) {
	t.Helper()
	err := l.verify(t)
	if d, ok := errors.AsType[*DefectError](err); !ok || d.Segment != s.name || d.Seq != uint64(seq) {
		t.Errorf("verify says %v, and should name record %d in %s", err, seq, s.name)
	}
}

func (l *provenLog) expectContradicted(t *testing.T) {
	t.Helper()
	if _, err := Open(Options{Dir: l.dir, Signer: l.signer}); !errors.Is(err, ErrContradicted) {
		t.Errorf("open says %v", err)
	}
}

// TestOldCheckpointUnderALaterName does not keep Open from comparing the log with the
// newest one.
func TestOldCheckpointUnderALaterName(t *testing.T) {
	l := newProvenLog(t)
	writeTestFile(t, filepath.Join(l.dir, "2099-01-01T00.checkpoint"), readFile(t, filepath.Join(l.dir, l.list[0].checkpointName())))
	l.pose(t, 59)
	l.expectContradicted(t)
}

// TestForgedTreesOfAppendedSegments: Open goes on with the tree beside the newest
// segment, but not where that hides that an older record was changed.
func TestForgedTreesOfAppendedSegments(t *testing.T) {
	l := newProvenLog(t)
	for hour := range 2 {
		r := refusalAt(8 + hour).canonical()
		r.Seq, r.Prev = 1, genesis // the chain is made below
		l.lines = append(l.lines, appendRecord(nil, &r))
		s := segmentFor(r.Time)
		l.list, l.sizes[s.name] = append(l.list, s), 1
		writeTestFile(t, filepath.Join(l.dir, s.name), nil)
	}
	l.pose(t, 3)
	before, rest := emptyTree(), l.lines
	for _, s := range l.list {
		batch := leafBatch{segment: s, before: before.clone()}
		for _, line := range rest[:l.sizes[s.name]] {
			batch.leaves = append(batch.leaves, checkpoint.Leaf(line))
		}
		rest = rest[l.sizes[s.name]:]
		before.append(batch.leaves...)
		if err := batch.write(disk{}, l.dir); err != nil {
			t.Fatal(err)
		}
	}
	mustVerify(t, l.dir) // as a chain it is flawless
	l.expectContradicted(t)
}

// TestForgedRemovalExcusesNothing: anybody can write the record of a removal behind
// the last checkpoint.
func TestForgedRemovalExcusesNothing(t *testing.T) {
	l := newProvenLog(t)
	gone := l.sizes[l.list[0].name] + l.sizes[l.list[1].name]
	forged := Record{
		Time: start.Add(59 * 7 * time.Minute), ID: NewID(), Client: ClientLog, Operation: OperationDelete, Decision: DecisionAllow,
		Path: removedPath(l.list[1].name, 1, uint64(gone)), Seq: 61, Prev: hashLine(l.lines[59]),
	}.canonical()
	l.lines = append(l.lines, appendRecord(nil, &forged))
	l.write(t, l.sizes)
	for _, s := range l.list[:2] {
		for _, name := range []string{s.name, s.treeName(), s.checkpointName()} {
			os.Remove(filepath.Join(l.dir, name))
		}
	}
	mustVerify(t, l.dir) // it is enough only where no key is asked
	l.expectDefect(t, l.list[2], gone+1)
}

// TestHugeTree: a tree may pretend to be of any size. It is read as far as it is
// needed, and the record that was changed is named all the same.
func TestHugeTree(t *testing.T) {
	l := newProvenLog(t)
	before := l.sizes[l.list[0].name]
	l.lines[before] = bytes.Replace(l.lines[before], []byte("billing"), []byte("killing"), 1)
	l.write(t, l.sizes)
	if err := os.Truncate(filepath.Join(l.dir, l.list[1].treeName()), 1<<38); err != nil {
		t.Fatal(err)
	}
	l.expectDefect(t, l.list[1], before+1)
}

// TestTwinsDiffer: who reads the compressed file of a segment must not see another
// past than who reads the plain one.
func TestTwinsDiffer(t *testing.T) {
	l, forged := newProvenLog(t), newProvenLog(t)
	forged.pose(t, 1)
	s := l.list[0]
	if err := compressSegment(disk{}, forged.dir, s); err != nil {
		t.Fatal(err)
	}
	writeTestFile(t, filepath.Join(l.dir, s.compressedName()), readFile(t, filepath.Join(forged.dir, s.compressedName())))
	l.expectDefect(t, s, 0)
}

// TestFIFOForAKey: Verify does not wait for a writer that never comes.
func TestFIFOForAKey(t *testing.T) {
	l := newProvenLog(t)
	if err := syscall.Mkfifo(filepath.Join(l.dir, "key-0001.succession"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l.verify(t) == nil {
		t.Error("verify takes it for an endorsement")
	}
}

// TestLaterCheckpointsRemoved: the first one alone does not prove hours of records.
func TestLaterCheckpointsRemoved(t *testing.T) {
	l := newProvenLog(t)
	for _, s := range l.list[1:] {
		os.Remove(filepath.Join(l.dir, s.checkpointName()))
	}
	if err := l.verify(t); !errors.Is(err, ErrUncovered) {
		t.Errorf("verify says %v", err)
	}
}

// refusalAt is a refusal so many hours after the start.
func refusalAt(hour int) Record {
	r := refusal()
	r.Time = start.Add(time.Duration(hour) * time.Hour)
	return r
}

// fillHours writes a record in each of the hours, and attests it.
func fillHours(t *testing.T, l *Log, hours ...int) {
	t.Helper()
	for _, h := range hours {
		mustAppend(t, l, refusalAt(h))
		l.attester.attest()
	}
}

// leaveEmpty leaves the segment of an hour without a record: it is begun on a full disk.
func leaveEmpty(t *testing.T, l *Log, fsys *faultyDisk, hour int) segment {
	t.Helper()
	fsys.setRoom(0)
	if _, err := l.Append(refusalAt(hour)); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("append: %v", err)
	}
	fsys.setRoom(unlimited)
	return segmentFor(refusalAt(hour).Time)
}

// dayLog is the options of a log that keeps its records for a day, and its clock.
func dayLog(t *testing.T, dir string) (o Options, now *time.Time) {
	now = new(start)
	return Options{Dir: dir, Signer: newTestSigner(t, 1), Retention: 24 * time.Hour, Now: func() time.Time { return *now }}, now
}

// expectRemoved removes what is old and closes the log: on record are these removals,
// and what is left is proven, from the record first on.
func expectRemoved(t *testing.T, l *Log, first uint64, removals ...string) {
	t.Helper()
	if err := l.keeper.removeOld(); err != nil {
		t.Error(err)
	}
	mustProve(t, snapshot(t, l.options.Dir), l.options.Signer.(*testSigner)) // at once, not only when the log is closed
	mustClose(t, l)
	var got []string
	for _, r := range records(t, l.options.Dir) {
		if r.Operation == OperationDelete {
			got = append(got, r.Path)
		}
	}
	if report := mustProve(t, l.options.Dir, l.options.Signer.(*testSigner)); report.First != first || !slices.Equal(got, removals) {
		t.Errorf("the log begins with %d and not %d; on record are the removals %q", report.First, first, got)
	}
}

// TestSegmentBegunAgain: the tree of a segment that recovery removed, since it was
// empty, may be there still when the segment is begun again after other records.
func TestSegmentBegunAgain(t *testing.T) {
	fsys, o := newFaultyDisk(), Options{Dir: auditDir(t), Signer: newTestSigner(t, 1)}
	l := mustOpenOn(t, o, fsys)
	first := mustAppend(t, l, refusal())
	mustBegin(t, l, intent("POST"))
	again, stale := leaveEmpty(t, l, fsys, 1), emptyTree()
	stale.append(checkpoint.Leaf(appendRecord(nil, &first)))
	o.Dir = snapshot(t, o.Dir)
	writeTestFile(t, filepath.Join(o.Dir, again.treeName()), treeHeader(stale))
	mustClose(t, l)
	l = mustOpen(t, o)   // removes it, and the call under way gets its record
	l.attester.mu.Lock() // killed before the attester has its turn
	mustAppend(t, l, refusalAt(1))
	o.Dir = snapshot(t, o.Dir)
	l.attester.mu.Unlock()
	mustClose(t, l)
	mustClose(t, mustOpen(t, o))
	mustProve(t, o.Dir, o.Signer.(*testSigner))
}

// attesting is a disk on which the attester has its turn whenever it can while a
// directory is flushed.
type attesting struct {
	disk
	l *Log
}

func (a *attesting) syncDir(dir string) error {
	if a.l != nil && a.l.attester.mu.TryLock() {
		a.l.attester.mu.Unlock()
		if a.l.chain.mu.TryLock() {
			a.l.chain.mu.Unlock()
			a.l.attester.attest()
		}
	}
	return a.disk.syncDir(dir)
}

// TestRemovalBeginsASegment: in an idle log the record of a removal is the first of
// its hour. It is not what follows the segments that go.
func TestRemovalBeginsASegment(t *testing.T) {
	o, now := dayLog(t, auditDir(t))
	fsys := &attesting{}
	l := mustOpenOn(t, o, fsys)
	fillHours(t, l, 0, 1, 20)
	l.attester.mu.Lock()
	fsys.l = l
	l.attester.mu.Unlock()
	*now = start.Add(27 * time.Hour)
	expectRemoved(t, l, 3, "2026-11-23T10.jsonl#1-1", "2026-11-23T11.jsonl#2-2")
}

// TestEmptySegment: a closed segment without a record, compressed too, hinders
// neither Open nor the removal of what is before and behind it.
func TestEmptySegment(t *testing.T) {
	o, now := dayLog(t, auditDir(t))
	fsys := newFaultyDisk()
	l := mustOpenOn(t, o, fsys)
	fillHours(t, l, 0)
	empty := leaveEmpty(t, l, fsys, 1)
	l.heal()
	fillHours(t, l, 2, 3)
	l.keeper.tidy()
	mustClose(t, l)
	readFile(t, filepath.Join(o.Dir, empty.compressedName())) // it is there
	l = mustOpen(t, o)
	*now = start.Add(27*time.Hour + time.Minute)
	fillHours(t, l, 27)
	expectRemoved(t, l, 3, "2026-11-23T10.jsonl#1-1", "2026-11-23T12.jsonl#2-2")
}

// TestRetentionOfOldLog: a log from before there were trees loses its segments as any
// other does, and power may be lost right after.
func TestRetentionOfOldLog(t *testing.T) {
	files, _ := chainedLog()
	o, now := dayLog(t, writeLog(t, files))
	fsys := newFaultyDisk()
	l := mustOpenOn(t, o, fsys)
	fillHours(t, l, 2, 3)
	*now = start.Add(26*time.Hour + time.Minute)
	if err := l.keeper.removeOld(); err != nil {
		t.Fatal(err)
	}
	mustProve(t, powerLoss(t, fsys, o.Dir), o.Signer.(*testSigner))
	expectRemoved(t, l, 7, "2026-11-23T10.jsonl#1-3", "2026-11-23T11.jsonl#4-6")
}

// TestRetentionMendsTheNextTree: what is left is verified from the tree beside it, so
// a damaged one is made again before that cannot be done any more.
func TestRetentionMendsTheNextTree(t *testing.T) {
	o, now := dayLog(t, auditDir(t))
	l := mustOpen(t, o)
	fillHours(t, l, 0, 1, 2, 3)
	path := filepath.Join(o.Dir, "2026-11-23T11.tree")
	damaged := readFile(t, path)
	damaged[len(treeMagic)+8] ^= 1 // in the node that stands for all before
	writeTestFile(t, path, damaged)
	*now = start.Add(25*time.Hour + time.Minute)
	expectRemoved(t, l, 2, "2026-11-23T10.jsonl#1-1")
}

// TestRetentionOfChangedLines: the checkpoint of a segment tells that its lines are not
// what they were; what is left is verified from what it was signed for.
func TestRetentionOfChangedLines(t *testing.T) {
	o, now := dayLog(t, auditDir(t))
	l := mustOpen(t, o)
	fillHours(t, l, 0, 1, 2, 3)
	path := filepath.Join(o.Dir, "2026-11-23T10.jsonl")
	good := readFile(t, path)
	writeTestFile(t, path, bytes.Replace(good, []byte("billing"), []byte("killing"), 1))
	*now = start.Add(25*time.Hour + time.Minute)

	// Without the tree beside the next segment, nobody can tell any more what it was.
	tree := filepath.Join(o.Dir, "2026-11-23T11.tree")
	kept := readFile(t, tree)
	writeTestFile(t, tree, nil)
	if err := l.keeper.removeOld(); err == nil {
		t.Error("the segment is gone, and what is left cannot be verified")
	}
	writeTestFile(t, tree, kept)
	expectRemoved(t, l, 2, "2026-11-23T10.jsonl#1-1")
}

// TestRetentionOfUnfinishedFiles: what a crash left of a segment that is gone holds its
// records, and goes too.
func TestRetentionOfUnfinishedFiles(t *testing.T) {
	o, now := dayLog(t, auditDir(t))
	l := mustOpen(t, o)
	fillHours(t, l, 0, 1, 2)
	var left []string
	for _, name := range []string{"2026-11-23T10.jsonl.gz.new", "2026-11-23T10.checkpoint.new"} {
		left = append(left, filepath.Join(o.Dir, name))
		writeTestFile(t, left[len(left)-1], []byte("of a crash"))
	}
	*now = start.Add(25*time.Hour + time.Minute)
	for range 2 {
		if err := l.keeper.removeOld(); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range left {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", filepath.Base(path), err)
		}
	}
	expectRemoved(t, l, 2, "2026-11-23T10.jsonl#1-1")
}

// TestNoSegmentBehindATornLine: while the rest of a line cannot be taken back, a record
// of the next hour waits: only the newest segment may end within a line.
func TestNoSegmentBehindATornLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, fsys := auditDir(t), newFaultyDisk()
		l := mustOpenOn(t, Options{Dir: dir}, fsys)
		kept := mustAppend(t, l, refusal())
		next := intent("POST")
		next.Time = start.Add(time.Hour)
		p := mustBegin(t, l, next)
		l.chain.flush() // so that nothing but the torn line is in the way
		fsys.setRoom(100)
		fsys.setFailTruncate(true)
		if _, err := l.Append(refusal()); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("append: %v", err)
		}
		fsys.setRoom(unlimited)
		fsys.setFailTruncate(false)
		if _, err := p.Complete(outcome(next)); !errors.Is(err, ErrUnavailable) {
			t.Errorf("complete: %v", err)
		}
		passRetry()
		mustClose(t, l)
		expectOnce(t, dir, []string{kept.ID, next.ID})
	})
}
