package audit

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestJournalStaysSmall: whatever the number of calls, and although one of them
// never ends, the journal holds little more than two files' worth.
func TestJournalStaysSmall(t *testing.T) {
	synctest.Test(t, journalStaysSmall)
}

func journalStaysSmall(t *testing.T) {
	const limit = 8 << 10
	dir := auditDir(t)
	o := Options{Dir: dir, Sync: SyncBatch, generationSize: limit}
	l := mustOpenOn(t, o, newFaultyDisk())
	r := intent("POST")
	long := mustBegin(t, l, r)
	var most int64
	for range 500 {
		r := intent("GET")
		mustComplete(t, mustBegin(t, l, r), outcome(r))
		if err := l.flush(); err != nil { // as the keeper does
			t.Fatal(err)
		}
		var size int64
		for _, path := range glob(t, dir, "pending-*") {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			size += info.Size()
		}
		most = max(most, size)
		if size > 2*limit+maxPath {
			t.Fatalf("the journal has %d bytes", size)
		}
	}
	if most < limit {
		t.Errorf("the journal never had more than %d bytes: the test proves nothing", most)
	}

	// The long call was carried from file to file, and is still known.
	killed := snapshot(t, dir)
	mustClose(t, mustOpen(t, Options{Dir: killed}))
	if got := expectOnce(t, killed, []string{r.ID}); got[r.ID].Code != CodeInterrupted || len(got) != 501 {
		t.Errorf("%d records; that of the long call is %+v", len(got), got[r.ID])
	}
	mustComplete(t, long, outcome(r))
}

// TestStoppedAtEveryStep takes a copy of the directory after each step of some
// calls, among them changes of the journal's file and of the segment, as a kill
// or a loss of power would leave it, and opens each copy: every call that was
// begun has one record, and after a kill, that of a completed call is complete.
func TestStoppedAtEveryStep(t *testing.T) {
	for _, row := range []struct {
		name string
		mode SyncMode
		copy func(*testing.T, *faultyDisk, string) string
		kept bool // what is not flushed
	}{
		{"killed", SyncBatch, func(t *testing.T, _ *faultyDisk, dir string) string { return snapshot(t, dir) }, true},
		{"power lost", SyncWrites, powerLoss, false},
		{"power lost, in mode each", SyncEach, powerLoss, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { stopAtEveryStep(t, row.mode, row.copy, row.kept) })
		})
	}
}

func stopAtEveryStep(t *testing.T, mode SyncMode, copyDir func(*testing.T, *faultyDisk, string) string, kept bool) {
	dir, fsys := auditDir(t), newFaultyDisk()
	l := mustOpenOn(t, Options{Dir: dir, Sync: mode, generationSize: 1 << 10}, fsys)
	var begun, refused []string
	completed := make(map[string]bool)
	check := func() {
		t.Helper()
		stopped := copyDir(t, fsys, dir)
		mustClose(t, mustOpenOn(t, Options{Dir: stopped}, newFaultyDisk()))
		if !kept {
			refused = nil
		}
		got := expectOnce(t, stopped, slices.Concat(begun, refused))
		for _, id := range begun {
			r := got[id]
			if interrupted := r.Code == CodeInterrupted; interrupted == (r.Status == 200) || interrupted && completed[id] && kept || !interrupted && !completed[id] {
				t.Fatalf("completed: %v, the record is %+v", completed[id], r)
			}
		}
		if kept && len(got) != len(begun)+len(refused) {
			t.Fatalf("%d records for %d calls", len(got), len(begun)+len(refused))
		}
	}
	var open []*Pending
	for n := range 12 {
		r := intent("POST")
		r.Time = start.Add(time.Duration(n) * 17 * time.Minute)
		open = append(open, mustBegin(t, l, r))
		begun = append(begun, r.ID)
		check()
		if n%3 == 2 { // the older of two calls ends
			p := open[len(open)-2]
			open = append(open[:len(open)-2], open[len(open)-1])
			mustComplete(t, p, outcome(p.intent))
			completed[p.ID()] = true
			check()
		}
		if n%4 == 1 {
			refused = append(refused, mustAppend(t, l, refusal()).ID)
			check()
		}
		if err := l.journal.tidy(l.chain.flush); err != nil {
			t.Fatal(err)
		}
		check()
	}
	if l.journal.number < 4 {
		t.Errorf("the journal changed its file %d times: the test proves little", l.journal.number)
	}
	for _, p := range open {
		mustComplete(t, p, outcome(p.intent))
	}
}

// powerLoss copies dir without what was not flushed.
func powerLoss(t *testing.T, fsys *faultyDisk, dir string) string {
	t.Helper()
	copied := snapshot(t, dir)
	fsys.mu.Lock()
	defer fsys.mu.Unlock()
	for _, path := range slices.Concat(glob(t, copied, "*.jsonl"), glob(t, copied, "*.tree")) {
		if flushed, ok := fsys.flushed[filepath.Join(dir, filepath.Base(path))]; ok {
			if err := os.Truncate(path, flushed); err != nil {
				t.Fatal(err)
			}
		}
	}
	return copied
}

// TestPowerLostAfterRecovery: the process is killed before anything was flushed,
// and opens the log again; then power is lost. The journal is gone by now, so the
// records must be on disk.
func TestPowerLostAfterRecovery(t *testing.T) {
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir})
	done, under := intent("POST"), intent("POST")
	mustComplete(t, mustBegin(t, l, done), outcome(done))
	withoutCall := snapshot(t, dir)
	mustBegin(t, l, under)
	for _, row := range []struct {
		name, killed string
		want         []string
	}{
		{"all calls were over", withoutCall, []string{done.ID}},
		{"a call was under way", snapshot(t, dir), []string{done.ID, under.ID}},
	} {
		t.Run(row.name, func(t *testing.T) {
			fsys := newFaultyDisk()
			for _, path := range glob(t, row.killed, "2026-*") {
				fsys.flushed[path] = 0
			}
			mustOpenOn(t, Options{Dir: row.killed}, fsys)
			left := powerLoss(t, fsys, row.killed)
			mustClose(t, mustOpen(t, Options{Dir: left}))
			expectOnce(t, left, row.want)
		})
	}
}

// TestRecoveryIsRepeatable: the process is killed again while it recovers, after
// it wrote the interrupted records and before it removed the journal.
func TestRecoveryIsRepeatable(t *testing.T) {
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir})
	r := intent("POST")
	mustBegin(t, l, r)
	killed := snapshot(t, dir)
	journal := readFile(t, filepath.Join(killed, journalName(1)))
	for range 3 {
		mustClose(t, mustOpen(t, Options{Dir: killed}))
		expectOnce(t, killed, []string{r.ID})
		writeTestFile(t, filepath.Join(killed, journalName(1)), journal)
	}
}

func TestJournalNames(t *testing.T) {
	for name, want := range map[string]bool{
		"pending-00000001.journal":    true,
		"pending-123456789.journal":   true,
		"pending-1.journal":           false,
		"pending-00000001.journal.gz": false,
		"pending--0000001.journal":    false,
		"pending-.journal":            false,
		"2026-11-23T10.jsonl":         false,
	} {
		if got := isJournal(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
