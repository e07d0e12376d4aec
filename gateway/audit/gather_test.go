package audit

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// countedWrites is a disk that counts what is put into segments and journal files.
type countedWrites struct {
	fileSystem
	writes  atomic.Int64
	longest atomic.Int64 // in bytes
}

func (d *countedWrites) open(path string, flag int) (file, error) {
	f, err := d.fileSystem.open(path, flag)
	if err != nil || !strings.HasSuffix(path, segmentSuffix) && !strings.HasSuffix(path, ".journal") {
		return f, err
	}
	return countedFile{f, d}, nil
}

type countedFile struct {
	file
	disk *countedWrites
}

func (f countedFile) WriteAt(p []byte, off int64) (int, error) {
	f.disk.writes.Add(1)
	f.disk.longest.Store(max(f.disk.longest.Load(), int64(len(p))))
	return f.file.WriteAt(p, off)
}

// await puts r beside what the next to write writes, as a call does that gives others a
// turn.
func (c *chain) await(r Record) *entry {
	e := &entry{time: r.Time, body: appendBody(nil, &r)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, e)
	return e
}

// TestRecordsShareAWrite: records that wait go into the log with that of who writes next,
// in their order, and by one write where they belong into one.
func TestRecordsShareAWrite(t *testing.T) {
	for _, row := range []struct {
		name    string
		waiting int
		step    time.Duration // from one record to the next
		segment int64         // its size
		writes  int64
	}{
		{"nobody waits", 0, 0, 0, 1},
		{"some wait", 3, 0, 0, 1},
		{"of several hours", 3, time.Hour, 0, 4},
		{"the segment is full", 3, 0, 1000, 2},
		{"more than one write takes", 300, 0, 0, 3}, // of about 600 bytes each
	} {
		t.Run(row.name, func(t *testing.T) {
			dir, fsys, signer := auditDir(t), &countedWrites{fileSystem: newFaultyDisk()}, newTestSigner(t, 1)
			l := mustOpenOn(t, Options{Dir: dir, Sync: SyncBatch, SegmentSize: row.segment, Signer: signer}, fsys)
			var waiting []*entry
			next := refusal()
			for range row.waiting {
				waiting = append(waiting, l.chain.await(next))
				next.Time = next.Time.Add(row.step)
			}
			before := fsys.writes.Load()
			last := mustAppend(t, l, next)
			if n := fsys.writes.Load() - before; n != row.writes {
				t.Errorf("%d writes, want %d", n, row.writes)
			}
			if n := fsys.longest.Load(); n > maxGathered+maxLine {
				t.Errorf("a write of %d bytes", n)
			}
			mustClose(t, l)
			list := records(t, dir)
			if len(list) != row.waiting+1 || last.Seq != uint64(len(list)) || last.Prev != list[len(list)-1].Prev {
				t.Fatalf("%d records, the last is %+v", len(list), last)
			}
			for i, e := range waiting {
				if !e.done || e.err != nil || e.seq != list[i].Seq || e.prev != list[i].Prev {
					t.Errorf("entry %d: %+v", i, e)
				}
			}
			mustProve(t, dir, signer)
		})
	}
}

// TestRecordsFailTogether: if the write fails, none of the records is in the log, each is
// told, and the chain goes on as if they had never come.
func TestRecordsFailTogether(t *testing.T) {
	dir, fsys, signer := auditDir(t), newFaultyDisk(), newTestSigner(t, 1)
	l := mustOpenOn(t, Options{Dir: dir, Sync: SyncBatch, Signer: signer}, fsys)
	first := mustAppend(t, l, refusal())
	fsys.setRoom(1000) // for one of them
	waiting, r := l.chain.await(refusal()), refusal()
	_, err := l.chain.append(&r, &entry{}, appendBody(nil, &r))
	if !errors.Is(err, syscall.ENOSPC) || !waiting.done || !errors.Is(waiting.err, syscall.ENOSPC) {
		t.Errorf("%v, and who waited: %v", err, waiting.err)
	}
	if r.Seq != 0 || r.Prev != "" || len(l.chain.waiting) != 0 {
		t.Errorf("%+v, %d wait", r, len(l.chain.waiting))
	}
	fsys.setRoom(unlimited)
	if r := mustAppend(t, l, refusal()); r.Seq != first.Seq+1 {
		t.Errorf("the next is %+v", r)
	}
	mustClose(t, l)
	if n := len(records(t, dir)); n != 2 {
		t.Errorf("%d records", n)
	}
	mustProve(t, dir, signer)
}

// TestClosedWhileOneWaits: a log that is closed while a record waits takes it no more, and
// says so.
func TestClosedWhileOneWaits(t *testing.T) {
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir})
	waiting := l.chain.await(refusal())
	mustClose(t, l)
	if _, err := l.Append(refusal()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if !waiting.done || !errors.Is(waiting.err, ErrClosed) || len(records(t, dir)) != 0 {
		t.Errorf("%+v; %d records", waiting, len(records(t, dir)))
	}
}

// TestIntentsShareAWrite: intents that wait go into the journal with the next one. If
// that fails, none of their calls is under way.
func TestIntentsShareAWrite(t *testing.T) {
	full := func(d *faultyDisk) { d.setRoom(1000) }
	for _, row := range []struct {
		name    string
		waiting int
		disk    func(*faultyDisk)
		writes  int64
		err     error
	}{
		{"nobody waits", 0, nil, 1, nil},
		{"some wait", 3, nil, 1, nil},
		{"more than one write takes", 300, nil, 3, nil}, // of about 600 bytes each
		{"the disk is full", 3, full, 1, syscall.ENOSPC},
	} {
		t.Run(row.name, func(t *testing.T) {
			faulty := newFaultyDisk()
			fsys := &countedWrites{fileSystem: faulty}
			j, err := openJournal(fsys, t.TempDir(), generationSize)
			if err != nil {
				t.Fatal(err)
			}
			defer j.close()
			if row.disk != nil {
				row.disk(faulty)
			}
			call := func() *Pending {
				r, d := intent("GET"), &draft{}
				d.begin(&r)
				return &Pending{id: r.ID, draft: d}
			}
			calls, size := []*Pending{call()}, 0
			for range row.waiting {
				p := call()
				calls = append(calls, p)
				j.pending.add(p)
				j.waiting = append(j.waiting, p)
			}
			at, admitted, err := j.begin(calls[0])
			if !admitted || !errors.Is(err, row.err) || fsys.writes.Load() != row.writes || len(j.waiting) != 0 {
				t.Errorf("admitted %v, %v; %d writes; %d wait", admitted, err, fsys.writes.Load(), len(j.waiting))
			}
			for _, p := range calls {
				if !p.tried || !errors.Is(p.err, row.err) || (p.generation == j.current) != (row.err == nil) {
					t.Errorf("one that waited: %+v", p)
				}
				size += len(p.line)
			}
			under := len(calls)
			if row.err != nil {
				under, size = 0, 0
			}
			if j.pending.size != under || j.current.open != under || at.end != int64(size) || j.current.file.length() != int64(size) {
				t.Errorf("%d under way, %d in the file of %d bytes, the last ends at %d", j.pending.size, j.current.open, j.current.file.length(), at.end)
			}
		})
	}
}

// TestCallsAtOnceShareWrites: calls that are at work in the same moment find each other.
func TestCallsAtOnceShareWrites(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // who isn't at work is waiting for a turn
	const calls = 50
	fsys := &countedWrites{fileSystem: newFaultyDisk()}
	l := mustOpenOn(t, Options{Dir: auditDir(t), Sync: SyncBatch}, fsys)
	before := fsys.writes.Load()
	var group sync.WaitGroup
	for range calls {
		group.Go(func() {
			r := intent("GET")
			p, err := l.Begin(r)
			if err == nil {
				_, err = p.Complete(outcome(r))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := fsys.writes.Load() - before; n > calls/2 {
		t.Errorf("%d calls at once took %d writes", calls, n)
	}
}

// TestTurns: one call after the other seldom gives a turn; one that was joined gives the
// next ones again.
func TestTurns(t *testing.T) {
	var turns turns
	var given []bool
	for range 2 * lonelyTurn {
		given = append(given, turns.due())
		turns.wrote(1)
	}
	for i, due := range given {
		if want := i < patientWrites || i == lonelyTurn; due != want {
			t.Errorf("write %d: %v, want %v", i, due, want)
		}
	}
	turns.wrote(1)
	turns.wrote(2)
	if !turns.due() {
		t.Error("no turn after company")
	}
}

// TestFullDiskManyCalls: a disk that is full while many calls share writes: what was
// begun has its record once, when there is room again.
func TestFullDiskManyCalls(t *testing.T) {
	for room := int64(0); room < 40_000; room += 3_911 {
		synctest.Test(t, func(t *testing.T) {
			dir, fsys := auditDir(t), newFaultyDisk()
			l := mustOpenOn(t, Options{Dir: dir, Sync: SyncBatch, generationSize: 16 << 10, SegmentSize: 10_000}, fsys)
			fsys.setRoom(room)
			var mu sync.Mutex
			var kept []string
			var group sync.WaitGroup
			for range 16 {
				group.Go(func() {
					for range 10 {
						r := intent("GET")
						p, err := l.Begin(r)
						if err != nil {
							if !errors.Is(err, ErrUnavailable) {
								t.Error(err)
							}
							continue
						}
						mu.Lock()
						kept = append(kept, r.ID)
						mu.Unlock()
						if _, err := p.Complete(outcome(r)); err != nil && !errors.Is(err, ErrUnavailable) {
							t.Error(err)
						}
					}
				})
			}
			group.Wait()
			mustVerify(t, dir)
			fsys.setRoom(unlimited)
			passRetry()
			kept = append(kept, mustAppend(t, l, refusal()).ID)
			mustClose(t, l)
			expectOnce(t, dir, kept)
			if got := records(t, dir); len(got) != len(kept) {
				t.Errorf("room for %d: %d records instead of %d", room, len(got), len(kept))
			}
		})
	}
}
