package audit

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhoWaits: when Begin, Complete and Append return, is what they wrote on
// disk?
func TestWhoWaits(t *testing.T) {
	for _, row := range []struct {
		mode                      SyncMode
		read, write, record, deny bool
	}{
		{SyncEach, true, true, true, true},
		{SyncWrites, false, true, false, false},
		{SyncBatch, false, false, false, false},
	} {
		t.Run(string(row.mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, fsys := auditDir(t), newFaultyDisk()
				l := mustOpenOn(t, Options{Dir: dir, Sync: row.mode}, fsys)
				onDisk := func(what, pattern, id string, want bool) {
					t.Helper()
					if got := survives(t, fsys, dir, pattern, id); got != want {
						t.Errorf("%s on disk: %v, want %v", what, got, want)
					}
					time.Sleep(2 * flushInterval)
					synctest.Wait()
					if !survives(t, fsys, dir, pattern, id) {
						t.Errorf("%s is not on disk after a while", what)
					}
				}
				read, write, denied := intent("GET"), intent("POST"), refusal()
				p := mustBegin(t, l, read)
				onDisk("the intent of a read", "pending-*", read.ID, row.read)
				mustBegin(t, l, write)
				onDisk("the intent of a write", "pending-*", write.ID, row.write)
				mustComplete(t, p, outcome(read))
				onDisk("the record", "2026-*", read.ID, row.record)
				mustAppend(t, l, denied)
				onDisk("the refusal", "2026-*", denied.ID, row.deny)
			})
		})
	}
}

// TestSegmentIsFlushedBeforeTheNext: a loss of power can take lines from the end
// of the log, never from its middle.
func TestSegmentIsFlushedBeforeTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, fsys := auditDir(t), newFaultyDisk()
		l := mustOpenOn(t, Options{Dir: dir, Sync: SyncBatch}, fsys)
		first, second := refusal(), refusal()
		second.Time = start.Add(time.Hour)
		mustAppend(t, l, first)
		if survives(t, fsys, dir, "2026-*", first.ID) {
			t.Error("the test proves nothing: the first record is on disk at once")
		}
		mustAppend(t, l, second)
		if !survives(t, fsys, dir, "2026-*", first.ID) {
			t.Error("the first record is not on disk although the next segment is begun")
		}
	})
}

// survives tells whether id is in what a loss of power would leave of the files.
func survives(t *testing.T, fsys *faultyDisk, dir, pattern, id string) bool {
	t.Helper()
	fsys.mu.Lock()
	defer fsys.mu.Unlock()
	for _, path := range glob(t, dir, pattern) {
		if bytes.Contains(readFile(t, path)[:fsys.flushed[path]], []byte(id)) {
			return true
		}
	}
	return false
}

// TestGroupCommit: calls that come while the disk is busy share the next fsync.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 50
		fsys := newFaultyDisk()
		l := mustOpenOn(t, Options{Dir: auditDir(t), Sync: SyncWrites}, fsys)
		fsys.mu.Lock()
		fsys.beforeSync = func(path string) {
			if strings.HasPrefix(filepath.Base(path), "pending-") {
				time.Sleep(10 * time.Millisecond)
			}
		}
		fsys.mu.Unlock()
		before := fsys.syncs.Load()
		var group sync.WaitGroup
		for range calls {
			group.Go(func() {
				r := intent("POST")
				p, err := l.Begin(r)
				if err != nil {
					t.Error(err)
					return
				}
				mustComplete(t, p, outcome(r))
			})
		}
		group.Wait()
		if n := fsys.syncs.Load() - before; n > 3 {
			t.Errorf("%d calls at once took %d fsyncs", calls, n)
		}
	})
}

// TestIdleLogSleeps: without calls, nothing is flushed.
func TestIdleLogSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := newFaultyDisk()
		l := mustOpenOn(t, Options{Dir: auditDir(t)}, fsys)
		mustAppend(t, l, refusal())
		time.Sleep(time.Minute)
		before := fsys.syncs.Load()
		time.Sleep(time.Hour)
		if n := fsys.syncs.Load() - before; n != 0 {
			t.Errorf("%d fsyncs in an idle hour", n)
		}
	})
}

// TestUnsyncedIsBounded: who writes faster than the disk waits for it.
func TestUnsyncedIsBounded(t *testing.T) {
	dir, fsys := auditDir(t), newFaultyDisk()
	if err := openDir(dir); err != nil {
		t.Fatal(err)
	}
	f, err := openSegment(fsys, filepath.Join(dir, "file"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	chunk := bytes.Repeat([]byte("x"), 100_000)
	for range 200 {
		if _, err := f.write(chunk); err != nil {
			t.Fatal(err)
		}
		if len(f.tail) > maxUnsynced || int64(len(f.tail)) != f.size-f.synced {
			t.Fatalf("%d bytes are held, %d are not on disk", len(f.tail), f.size-f.synced)
		}
	}
	if n := fsys.syncs.Load(); n < 2 {
		t.Errorf("20 MB took %d fsyncs", n)
	}
}

// countingHandler counts what is said through slog.
type countingHandler struct {
	slog.Handler
	mu            sync.Mutex
	errors, infos int
	turnedAway    int64
}

func (h *countingHandler) logger() *slog.Logger {
	h.Handler = slog.DiscardHandler
	return slog.New(h)
}

func (h *countingHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *countingHandler) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch r.Level {
	case slog.LevelError:
		h.errors++
	case slog.LevelInfo:
		h.infos++
	}
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "calls_turned_away" {
			h.turnedAway = a.Value.Int64()
		}
		return true
	})
	return nil
}

// TestWriteTakesOneSync: with "writes", a call that changes something waits for one
// fsync, of the journal, a read for none; and what is put into a journal file never
// changes its size, which would make the file system's journal a part of that fsync.
func TestWriteTakesOneSync(t *testing.T) {
	for _, row := range []struct {
		method string
		want   int
	}{{"GET", 0}, {"POST", 1}, {"PUT", 1}, {"DELETE", 1}} {
		t.Run(row.method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // the keeper sleeps as long as the test is at work
				const calls = 20
				dir, fsys := auditDir(t), newFaultyDisk()
				l := mustOpenOn(t, Options{Dir: dir, Sync: SyncWrites}, fsys)
				mustAppend(t, l, refusal())                                             // the first begins a segment
				mustComplete(t, mustBegin(t, l, intent("GET")), outcome(intent("GET"))) // and this one a journal
				time.Sleep(2 * checkpointInterval)
				synctest.Wait()
				files := glob(t, dir, "pending-*")
				size := fileSize(t, files[0])
				synced := make(map[string]int)
				fsys.mu.Lock()
				fsys.beforeSync = func(path string) { synced[path]++ }
				fsys.mu.Unlock()
				for range calls {
					r := intent(row.method)
					mustComplete(t, mustBegin(t, l, r), outcome(r))
				}
				if got := synced[files[0]]; got != calls*row.want {
					t.Errorf("%d calls took %d fsyncs of the journal", calls, got)
				}
				delete(synced, files[0])
				if len(synced) > 0 {
					t.Errorf("they took fsyncs of others, too: %v", synced)
				}
				if got := fileSize(t, files[0]); got != size {
					t.Errorf("the journal file grew from %d to %d bytes", size, got)
				}
			})
		})
	}
}

// TestFirstJournalHasNoRoom: room is made once, when calls have begun to come. What only
// records an act, as a command does, writes no zeros for it.
func TestFirstJournalHasNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, fsys, made := auditDir(t), newFaultyDisk(), 0
		l := mustOpenOn(t, Options{Dir: dir, Sync: SyncWrites}, fsys)
		fsys.mu.Lock()
		fsys.beforePrepare = func() { made++ }
		fsys.mu.Unlock()
		for _, step := range []struct {
			do   func()
			made int
		}{
			{func() { mustAppend(t, l, refusal()) }, 0},
			{func() { r := intent("POST"); mustComplete(t, mustBegin(t, l, r), outcome(r)) }, 1},
			{func() { r := intent("POST"); mustComplete(t, mustBegin(t, l, r), outcome(r)) }, 1},
		} {
			step.do()
			time.Sleep(3 * flushInterval)
			synctest.Wait()
			if made != step.made {
				t.Errorf("room was made %d times, want %d", made, step.made)
			}
		}
		if files := glob(t, dir, "pending-*"); len(files) != 1 {
			t.Errorf("journal files %q", files)
		}
	})
}

// TestNoCallWaitsForTheNextJournal: a call goes on while the file of the calls to come
// is being made.
func TestNoCallWaitsForTheNextJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := newFaultyDisk()
		l := mustOpenOn(t, Options{Dir: auditDir(t), Sync: SyncBatch, generationSize: 1 << 10}, fsys)
		call := func() {
			r := intent("GET")
			mustComplete(t, mustBegin(t, l, r), outcome(r))
		}
		call() // three quarters are full
		made := 0
		fsys.mu.Lock()
		fsys.beforePrepare = func() {
			made++
			if !l.journal.mu.TryLock() {
				t.Error("calls wait for the next journal file")
				return
			}
			l.journal.mu.Unlock()
			call()
		}
		fsys.mu.Unlock()
		call()
		time.Sleep(2 * flushInterval)
		synctest.Wait()
		if made != 1 {
			t.Errorf("%d journal files were made", made)
		}
	})
}
