package audit

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// passRetry waits until the log has had time to try again.
func passRetry() {
	time.Sleep(2 * retryInterval)
	synctest.Wait()
}

// TestFullDisk fills the disk at every byte of a call's life, and makes room
// again: nothing is corrupt, nothing acknowledged is lost, and calls are refused
// only meanwhile.
func TestFullDisk(t *testing.T) {
	for _, mode := range []SyncMode{SyncEach, SyncWrites, SyncBatch} {
		for name, unprepared := range map[string]bool{"": false, ", the journal has no room": true} {
			t.Run(string(mode)+name, func(t *testing.T) {
				for room := int64(0); room < 2500; room += 41 {
					synctest.Test(t, func(t *testing.T) { fillDisk(t, mode, room, unprepared) })
				}
			})
		}
	}
}

func fillDisk(t *testing.T, mode SyncMode, room int64, unprepared bool) {
	dir, fsys := auditDir(t), newFaultyDisk()
	fsys.unprepared = unprepared
	l := mustOpenOn(t, Options{Dir: dir, Sync: mode}, fsys)
	kept := []string{mustAppend(t, l, refusal()).ID}

	fsys.setRoom(room)
	for range 3 {
		r := intent("POST")
		p, err := l.Begin(r)
		if err != nil {
			if !errors.Is(err, ErrUnavailable) || !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("room for %d: begin: %v", room, err)
			}
			continue
		}
		kept = append(kept, r.ID)
		if _, err := p.Complete(outcome(r)); err != nil && !errors.Is(err, ErrUnavailable) {
			t.Fatalf("room for %d: complete: %v", room, err)
		}
	}
	refused := l.Ready()
	if room < 2000 && refused == nil {
		t.Fatalf("room for %d: the log is ready", room)
	}
	passRetry()
	if (l.Ready() == nil) != (refused == nil) {
		t.Fatalf("room for %d: without more room the log changed from %v to %v", room, refused, l.Ready())
	}
	if refused != nil {
		if _, err := l.Append(refusal()); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("room for %d: append: %v", room, err)
		}
	}
	mustVerify(t, dir)

	fsys.setRoom(unlimited)
	passRetry()
	if err := l.Ready(); err != nil {
		t.Fatalf("room for %d: with room again: %v", room, err)
	}
	kept = append(kept, mustAppend(t, l, refusal()).ID)
	mustClose(t, l)
	expectOnce(t, dir, kept)
	if got := records(t, dir); len(got) != len(kept) {
		t.Fatalf("room for %d: %d records instead of %d", room, len(got), len(kept))
	}
}

// expectOnce checks that each id has exactly one record, and returns the records
// by id.
func expectOnce(t *testing.T, dir string, ids []string) map[string]Record {
	t.Helper()
	byID := make(map[string]Record)
	for _, r := range records(t, dir) {
		if _, ok := byID[r.ID]; ok {
			t.Errorf("two records of id %s", r.ID)
		}
		byID[r.ID] = r
	}
	for _, id := range ids {
		if _, ok := byID[id]; !ok {
			t.Errorf("no record of id %s", id)
		}
	}
	return byID
}

// TestFsyncFails: the disk loses what was not flushed, and says so once. The log
// has it still, and writes it again before anything else.
func TestFsyncFails(t *testing.T) {
	for _, row := range []struct {
		name string
		mode SyncMode
		file string
	}{
		{"of the journal, in mode each", SyncEach, "pending-"},
		{"of the journal, in mode writes", SyncWrites, "pending-"},
		{"of the journal, in mode batch", SyncBatch, "pending-"},
		{"of a segment, in mode each", SyncEach, "2026-"},
		{"of a segment, in mode writes", SyncWrites, "2026-"},
		{"of a segment, in mode batch", SyncBatch, "2026-"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, fsys := auditDir(t), newFaultyDisk()
				l := mustOpenOn(t, Options{Dir: dir, Sync: row.mode}, fsys)
				var kept []string
				r := intent("POST")
				long := mustBegin(t, l, r) // under way all the time
				kept = append(kept, r.ID, mustAppend(t, l, refusal()).ID)

				// Several calls are written before the disk is asked to flush them.
				fsys.setFailSync(func(path string) bool { return strings.HasPrefix(filepath.Base(path), row.file) })
				for range 3 {
					r := intent("POST")
					p, err := l.Begin(r)
					if err != nil {
						if !errors.Is(err, ErrUnavailable) || !errors.Is(err, errDisk) {
							t.Fatalf("begin: %v", err)
						}
						continue
					}
					kept = append(kept, r.ID)
					if _, err := p.Complete(outcome(r)); err != nil && !errors.Is(err, errDisk) {
						t.Fatalf("complete: %v", err)
					}
				}
				passRetry()
				if err := l.Ready(); !errors.Is(err, ErrUnavailable) || !errors.Is(err, errDisk) {
					t.Fatalf("ready: %v", err)
				}
				if _, err := l.Begin(intent("GET")); !errors.Is(err, ErrUnavailable) {
					t.Fatalf("a call may go out: %v", err)
				}
				fsys.setFailSync(nil)
				passRetry()
				if err := l.Ready(); err != nil {
					t.Fatalf("ready when the disk works again: %v", err)
				}
				mustVerify(t, dir)
				mustComplete(t, long, outcome(r))
				kept = append(kept, mustAppend(t, l, refusal()).ID)
				mustClose(t, l)
				expectOnce(t, dir, kept)
			})
		})
	}
}

// TestIntentSurvivesFsyncFailure: the intents in the journal, too, are written
// again, not only flushed again.
func TestIntentSurvivesFsyncFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, fsys := auditDir(t), newFaultyDisk()
		l := mustOpenOn(t, Options{Dir: dir, Sync: SyncBatch}, fsys)
		r := intent("POST")
		mustBegin(t, l, r)
		fsys.setFailSync(func(string) bool { return true })
		passRetry()
		fsys.setFailSync(nil)
		passRetry()
		copied := snapshot(t, dir)
		mustClose(t, mustOpen(t, Options{Dir: copied}))
		if got := expectOnce(t, copied, []string{r.ID}); got[r.ID].Code != CodeInterrupted {
			t.Errorf("the record is %+v", got[r.ID])
		}
	})
}

// TestUnfinishedLineStays: neither the rest of a line nor taking it back works.
// The file is not touched again before it was repaired.
func TestUnfinishedLineStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, fsys := auditDir(t), newFaultyDisk()
		l := mustOpenOn(t, Options{Dir: dir}, fsys)
		kept := []string{mustAppend(t, l, refusal()).ID}
		synctest.Wait() // the log writes beside its lines, too
		fsys.setRoom(100)
		fsys.setFailTruncate(true)
		if _, err := l.Append(refusal()); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("append: %v", err)
		}
		if report := mustVerify(t, dir); report.Unfinished != 100 {
			t.Errorf("the test has no unfinished line: %+v", report)
		}
		fsys.setRoom(unlimited)
		passRetry()
		if err := l.Ready(); err == nil {
			t.Error("the log is ready although the file is not repaired")
		}
		fsys.setFailTruncate(false)
		passRetry()
		kept = append(kept, mustAppend(t, l, refusal()).ID)
		mustClose(t, l)
		expectOnce(t, dir, kept)
	})
}

// TestLateRecord: calls that were under way when the disk filled up have their
// records written when there is room, without anybody asking, and Close tries
// once more.
func TestLateRecord(t *testing.T) {
	for _, row := range []struct {
		name string
		wait func()
	}{
		{"by the keeper", passRetry},
		{"by Close", func() {}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, fsys := auditDir(t), newFaultyDisk()
				l := mustOpenOn(t, Options{Dir: dir}, fsys)
				r := intent("POST")
				p := mustBegin(t, l, r)
				fsys.setRoom(0)
				if _, err := p.Complete(outcome(r)); !errors.Is(err, ErrUnavailable) {
					t.Fatalf("complete: %v", err)
				}
				if err := l.Ready(); !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("ready: %v", err)
				}
				fsys.setRoom(unlimited)
				row.wait()
				mustClose(t, l)
				if got := expectOnce(t, dir, []string{r.ID}); got[r.ID].Status != 200 {
					t.Errorf("the record is %+v", got[r.ID])
				}
				if left := glob(t, dir, "p*"); len(left) != 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		})
	}
}

// TestReplacedFile: a segment that somebody put another file in place of is not
// written to as if it were the same.
func TestReplacedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, fsys := auditDir(t), newFaultyDisk()
		l, err := open(Options{Dir: dir, Sync: SyncEach, Logger: slog.New(slog.DiscardHandler)}, fsys)
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, refusal())
		path := filepath.Join(dir, segmentFor(start).name)
		content := readFile(t, path)
		if err := (disk{}).remove(path); err != nil {
			t.Fatal(err)
		}
		writeTestFile(t, path, content)
		fsys.setFailSync(func(string) bool { return true })
		if _, err := l.Append(refusal()); err == nil {
			t.Fatal("append succeeded without fsync")
		}
		fsys.setFailSync(nil)
		passRetry()
		if err := l.Ready(); err == nil || !strings.Contains(err.Error(), "replaced") {
			t.Errorf("ready: %v", err)
		}
		if err := l.Close(); err == nil {
			t.Error("close hides that a record is lost")
		}
	})
}

// TestLogRecordsFailureOnce: a disk that stays full does not fill the log file,
// too.
func TestLogRecordsFailureOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys, said := newFaultyDisk(), new(countingHandler)
		l := mustOpenOn(t, Options{Dir: auditDir(t), Logger: said.logger()}, fsys)
		fsys.setRoom(0)
		for range 100 {
			if _, err := l.Append(refusal()); err == nil {
				t.Fatal("append succeeded on a full disk")
			}
			time.Sleep(retryInterval)
		}
		fsys.setRoom(unlimited)
		passRetry()
		if said.errors != 1 || said.infos != 1 || said.turnedAway != 99 {
			t.Errorf("%d errors, %d notices, %d calls counted", said.errors, said.infos, said.turnedAway)
		}
	})
}

// TestLateRecordWhileRecovering: a record that comes late just when writing was
// found to work again is not forgotten.
func TestLateRecordWhileRecovering(t *testing.T) {
	var h health
	h.failed(errDisk)
	h.postpone(late{})
	if _, ok := h.recovered(); ok || h.current() == nil {
		t.Error("calls are let in although a record is owed")
	}
	h.lateWritten()
	if _, ok := h.recovered(); !ok || h.current() != nil {
		t.Error("calls are refused although all is written")
	}
}
