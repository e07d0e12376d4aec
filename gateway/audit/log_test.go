package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAppendChains(t *testing.T) {
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir})
	first := mustAppend(t, l, refusal())
	second := mustAppend(t, l, refusal())
	if first.Seq != 1 || second.Seq != 2 || first.Prev != genesis {
		t.Errorf("got seq %d with prev %s, then seq %d", first.Seq, first.Prev, second.Seq)
	}
	if want := hashLine(appendRecord(nil, &first)); second.Prev != want {
		t.Errorf("prev is %s, the hash of the first line is %s", second.Prev, want)
	}
	report := mustVerify(t, dir)
	if report.Records != 2 || report.Segments != 1 || report.Head != hashLine(appendRecord(nil, &second)) || report.Unfinished != 0 {
		t.Errorf("report is %+v", report)
	}
}

func TestCallMakesOneRecord(t *testing.T) {
	for _, mode := range []SyncMode{SyncEach, SyncWrites, SyncBatch} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			t.Run(fmt.Sprintf("%s/%s", mode, method), func(t *testing.T) {
				dir := auditDir(t)
				l := mustOpen(t, Options{Dir: dir, Sync: mode})
				r := intent(method)
				p := mustBegin(t, l, r)
				if got := records(t, dir); len(got) != 0 {
					t.Fatalf("a call under way has a record already: %+v", got)
				}
				written := mustComplete(t, p, outcome(r))
				mustClose(t, l)
				got := records(t, dir)
				if len(got) != 1 || got[0].ID != r.ID || got[0].Status != 200 || got[0].Seq != written.Seq {
					t.Errorf("records are %+v", got)
				}
				if left := glob(t, dir, "pending-*"); len(left) != 0 {
					t.Errorf("an idle log leaves %v", left)
				}
			})
		}
	}
}

// TestCompleteKeepsIdentity: the record is that of its intent, whatever the
// caller hands in.
func TestCompleteKeepsIdentity(t *testing.T) {
	l := mustOpen(t, Options{Dir: auditDir(t), Now: func() time.Time { return start }})
	p := mustBegin(t, l, Record{Method: "GET", Decision: DecisionAllow})
	got := mustComplete(t, p, Record{ID: "another", Time: start.Add(time.Hour), Method: "GET", Status: 200})
	if p.ID() == "" || got.ID != p.ID() || !got.Time.Equal(start) || got.Decision != DecisionAllow {
		t.Errorf("got %+v, the intent was %s of %s", got, p.ID(), start)
	}
	if _, err := p.Complete(Record{}); err == nil {
		t.Error("a call was completed twice")
	}
}

func TestMistakesOfTheCaller(t *testing.T) {
	l := mustOpen(t, Options{Dir: auditDir(t)})
	if _, err := l.Append(Record{}); err == nil {
		t.Error("a record without a decision was written")
	}
	if _, err := l.Begin(refusal()); err == nil {
		t.Error("a refused call may go out")
	}
	r := intent("GET")
	p := mustBegin(t, l, r)
	if _, err := l.Begin(r); err == nil {
		t.Error("two calls of one id are under way")
	}
	mustComplete(t, p, outcome(r))
	if err := l.Ready(); err != nil {
		t.Errorf("the log blames itself: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, row := range []struct {
		name string
		o    Options
		want string
	}{
		{"no directory", Options{}, "needs a directory"},
		{"an unknown mode", Options{Dir: auditDir(t), Sync: "sometimes"}, `"sometimes" is unknown: use "each", "writes" or "batch"`},
		{"a directory that others can read", Options{Dir: openDirectory(t)}, "chmod 700"},
		{"a file in place of the directory", Options{Dir: filepath.Join(openDirectory(t), "file")}, "not a directory"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := Open(row.o)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func openDirectory(t *testing.T) string {
	dir := auditDir(t)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	writeTestFile(t, filepath.Join(dir, "file"), nil)
	return dir
}

func TestOneProcess(t *testing.T) {
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrLocked) {
		t.Fatalf("a second log opened the directory: %v", err)
	}
	mustClose(t, l)
	mustClose(t, mustOpen(t, Options{Dir: dir}))
}

func TestFileModes(t *testing.T) {
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir})
	mustAppend(t, l, refusal())
	mustBegin(t, l, intent("POST"))
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		want := fs.FileMode(0o600)
		if path == dir {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
		seen++
		return err
	})
	if err != nil || seen < 4 {
		t.Errorf("saw %d files: at least the directory, lock, segment and journal must be there: %v", seen, err)
	}
}

// TestSymbolicLink: nobody can have records written elsewhere.
func TestSymbolicLink(t *testing.T) {
	dir := auditDir(t)
	mustClose(t, mustOpen(t, Options{Dir: dir}))
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	writeTestFile(t, elsewhere, nil)
	link := filepath.Join(dir, segmentFor(start).name)
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir}); err == nil {
		t.Error("Open followed a link in place of a segment")
	}
	if _, err := Verify(dir, VerifyOptions{}); err == nil {
		t.Error("Verify followed a link in place of a segment")
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
}

func TestSegments(t *testing.T) {
	at := func(h, m int) time.Time { return time.Date(2026, 11, 23, h, m, 0, 0, time.UTC) }
	for _, row := range []struct {
		name  string
		times []time.Time
		want  []string // the segment of each record
	}{
		{"one for each hour with records", []time.Time{at(9, 59), at(10, 0), at(13, 30)}, []string{"2026-11-23T09", "2026-11-23T10", "2026-11-23T13"}},
		{"the hour is that of UTC", []time.Time{at(10, 0).In(time.FixedZone("", -5*3600))}, []string{"2026-11-23T10"}},
		{"a long call stays in the newest", []time.Time{at(9, 59), at(10, 0), at(9, 58)}, []string{"2026-11-23T09", "2026-11-23T10", "2026-11-23T10"}},
		{"the clock jumps back a year and comes again", []time.Time{at(10, 0), at(10, 0).AddDate(-1, 0, 0), at(11, 0)}, []string{"2026-11-23T10", "2026-11-23T10", "2026-11-23T11"}},
		{"the clock jumps ahead and is corrected", []time.Time{at(10, 0), at(10, 0).AddDate(1, 0, 0), at(11, 0)}, []string{"2026-11-23T10", "2027-11-23T10", "2027-11-23T10"}},
	} {
		for _, restart := range []string{"", ", with a restart between records"} {
			t.Run(row.name+restart, func(t *testing.T) {
				dir := auditDir(t)
				l := mustOpen(t, Options{Dir: dir})
				for _, at := range row.times {
					if restart != "" {
						mustClose(t, l)
						l = mustOpen(t, Options{Dir: dir})
					}
					r := refusal()
					r.Time = at
					mustAppend(t, l, r)
				}
				mustClose(t, l)
				var got []string
				for e, err := range Query(dir, Filter{}) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, strings.TrimSuffix(e.Segment, ".jsonl"))
				}
				if !slices.Equal(got, row.want) {
					t.Errorf("got %v, want %v", got, row.want)
				}
				if report := mustVerify(t, dir); report.Records != uint64(len(row.times)) {
					t.Errorf("report is %+v", report)
				}
			})
		}
	}
}

// TestConcurrent: many calls at once, and no two records share a seq. It also
// has the journal change files all the time, and readers at work.
func TestConcurrent(t *testing.T) {
	const callers, calls = 16, 40
	for _, mode := range []SyncMode{SyncEach, SyncWrites, SyncBatch} {
		t.Run(string(mode), func(t *testing.T) {
			dir := auditDir(t)
			l := mustOpenOn(t, Options{Dir: dir, Sync: mode, generationSize: 4 << 10}, newFaultyDisk())
			var mu sync.Mutex
			seen := make(map[uint64]string)
			note := func(r Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				} else if other, ok := seen[r.Seq]; ok {
					t.Errorf("records %s and %s share seq %d", other, r.ID, r.Seq)
				}
				seen[r.Seq] = r.ID
			}
			var writers, reader sync.WaitGroup
			stop := make(chan struct{})
			reader.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						if _, err := Verify(dir, VerifyOptions{}); err != nil {
							t.Errorf("verify while writing: %v", err)
							return
						}
					}
				}
			})
			for i := range callers {
				writers.Go(func() {
					for n := range calls {
						r := intent([]string{"GET", "POST"}[n%2])
						r.Time = start.Add(time.Duration(i*n) * time.Minute)
						p, err := l.Begin(r)
						if err != nil {
							t.Error(err)
							return
						}
						if n%4 == 0 {
							note(l.Append(refusal()))
						}
						l.flush() // as the keeper does now and then
						note(p.Complete(outcome(r)))
					}
				})
			}
			writers.Wait()
			close(stop)
			reader.Wait()
			mustClose(t, l)
			if want := callers * (calls + calls/4); len(seen) != want || mustVerify(t, dir).Records != uint64(want) {
				t.Errorf("%d calls made %d records", want, len(seen))
			}
		})
	}
}

func TestClosed(t *testing.T) {
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir})
	r := intent("POST")
	p := mustBegin(t, l, r)
	mustClose(t, l)
	if _, err := l.Append(refusal()); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if _, err := l.Begin(intent("GET")); !errors.Is(err, ErrClosed) {
		t.Errorf("begin: %v", err)
	}
	if _, err := p.Complete(outcome(r)); !errors.Is(err, ErrClosed) {
		t.Errorf("complete: %v", err)
	}
	if err := l.Ready(); !errors.Is(err, ErrClosed) {
		t.Errorf("ready: %v", err)
	}
	if err := l.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("close: %v", err)
	}
	mustOpen(t, Options{Dir: dir})
	if got := records(t, dir); len(got) != 1 || got[0].ID != r.ID || got[0].Code != CodeInterrupted {
		t.Errorf("records are %+v", got)
	}
}
