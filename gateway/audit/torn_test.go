package audit

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTornAtEveryByte cuts the last record at each of its bytes, as a crash
// might, and opens the log again.
func TestTornAtEveryByte(t *testing.T) {
	killed, call, refused := killedLog(t)
	segment := segmentFor(start).name
	content := readFile(t, filepath.Join(killed, segment))
	begin := bytes.LastIndexByte(content[:len(content)-1], '\n') + 1
	for cut := begin; cut <= len(content); cut++ {
		dir := snapshot(t, killed)
		writeTestFile(t, filepath.Join(dir, segment), content[:cut])
		l := mustOpenOn(t, Options{Dir: dir}, newFaultyDisk())
		next := mustAppend(t, l, refusal())
		mustClose(t, l)

		got := calls(t, dir)
		ids := []string{refused.ID, call.ID, next.ID}
		if !slices.EqualFunc(got, ids, func(r Record, id string) bool { return r.ID == id }) {
			t.Fatalf("cut at %d: records are %+v", cut, got)
		}
		wantCode, wantTorn := CodeInterrupted, content[begin:cut]
		if cut == len(content) {
			wantCode, wantTorn = "", nil
		}
		if got[1].Code != wantCode || !got[1].Time.Equal(call.Time) {
			t.Fatalf("cut at %d: the call's record is %+v", cut, got[1])
		}
		if kept := tornBytes(t, dir); !bytes.Equal(kept, wantTorn) {
			t.Fatalf("cut at %d: kept aside %q, want %q", cut, kept, wantTorn)
		}
		mustVerify(t, dir)
	}
}

// TestOpenTellsOfWhatItWrites: who observes the log has the record of a call that was
// interrupted, and of a repair, as any other.
func TestOpenTellsOfWhatItWrites(t *testing.T) {
	dir, _, refused := killedLog(t)
	path := filepath.Join(dir, segmentFor(start).name)
	content := readFile(t, path)
	writeTestFile(t, path, content[:len(content)-3])
	var observed []string
	l := mustOpen(t, Options{Dir: dir, Observe: func(r Record) { observed = append(observed, string(r.Line())) }})
	mustClose(t, l)
	var written []string
	for e, err := range Query(dir, Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Record.ID != refused.ID {
			written = append(written, string(e.Raw))
		}
	}
	if len(written) != 2 || !slices.Equal(observed, written) {
		t.Errorf("observed are %q of %q", observed, written)
	}
}

// killedLog leaves the log of a process that was killed after a refusal and one
// whole call, both in one segment.
func killedLog(t *testing.T) (dir string, call, refused Record) {
	t.Helper()
	dir = auditDir(t)
	l := mustOpen(t, Options{Dir: dir, Sync: SyncBatch})
	refused = mustAppend(t, l, refusal())
	r := intent("POST")
	call = mustComplete(t, mustBegin(t, l, r), outcome(r))
	return snapshot(t, dir), call, refused
}

// calls are the records of calls. Of each repair there must be one more.
func calls(t *testing.T, dir string) []Record {
	t.Helper()
	all := records(t, dir)
	var kept []string
	list := slices.DeleteFunc(slices.Clone(all), func(r Record) bool {
		if r.Operation == OperationRepair {
			kept = append(kept, filepath.Join(dir, r.Path))
		}
		return r.Operation == OperationRepair
	})
	if files := glob(t, dir, "torn-*"); !slices.Equal(files, slices.Sorted(slices.Values(kept))) {
		t.Errorf("on record are the repairs %q, and kept aside is %q", kept, files)
	}
	return list
}

func tornBytes(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	for _, path := range glob(t, dir, "torn-*.bin") {
		all = append(all, readFile(t, path)...)
	}
	return all
}

// TestDamagedEnds: what else a loss of power leaves at the end of the newest
// segment. Whatever is taken off is kept.
func TestDamagedEnds(t *testing.T) {
	killed, call, refused := killedLog(t)
	segment := segmentFor(start).name
	content := readFile(t, filepath.Join(killed, segment))
	next := segmentFor(start.Add(time.Hour)).name
	for _, row := range []struct {
		name   string
		damage map[string]string // appended, by file
		torn   string
	}{
		{"nothing", nil, ""},
		{"a hole of zeros", map[string]string{segment: strings.Repeat("\x00", 5000)}, strings.Repeat("\x00", 5000)},
		{"a line that is no record", map[string]string{segment: "hello\n"}, "hello\n"},
		{"several, the last unfinished", map[string]string{segment: "\n{}\n{\"seq\":3"}, "\n{}\n{\"seq\":3"},
		{"a segment without a record", map[string]string{next: `{"seq":3,"ti`}, `{"seq":3,"ti`},
		{"an empty segment", map[string]string{next: ""}, ""},
		{"both segments", map[string]string{segment: "x", next: "y"}, "x y"},
		{"an unfinished intent", map[string]string{journalName(1): `{"seq":0,"ti`}, `{"seq":0,"ti`},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := snapshot(t, killed)
			for name, text := range row.damage {
				path := filepath.Join(dir, name)
				before, err := os.ReadFile(path)
				if err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
				writeTestFile(t, path, append(before, text...))
			}
			l := mustOpen(t, Options{Dir: dir})
			mustAppend(t, l, refusal())
			mustClose(t, l)
			if got := calls(t, dir); len(got) != 3 || got[0].ID != refused.ID || got[1].ID != call.ID {
				t.Errorf("records are %+v", got)
			}
			kept := tornBytes(t, dir)
			for _, part := range strings.Fields(row.torn) {
				if !bytes.Contains(kept, []byte(part)) {
					t.Errorf("%q was not kept aside: %q", part, kept)
				}
			}
			if row.torn == "" && len(kept) > 0 {
				t.Errorf("kept aside %q", kept)
			}
		})
	}
	if !bytes.Equal(content, readFile(t, filepath.Join(killed, segment))) {
		t.Error("the rows did not start alike")
	}
}

// TestBrokenMiddle: the log goes on after its last good record, and leaves the
// broken one where it is, for Verify to name.
func TestBrokenMiddle(t *testing.T) {
	var said bytes.Buffer
	o := Options{Dir: auditDir(t), Logger: slog.New(slog.NewTextHandler(&said, nil))}
	reopen := func() *Log {
		t.Helper()
		l, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := reopen()
	for range 3 {
		mustAppend(t, l, refusal())
	}
	mustClose(t, l)
	path := filepath.Join(o.Dir, segmentFor(start).name)
	content := readFile(t, path)
	content[bytes.IndexByte(content, '\n')+1] = '!'
	writeTestFile(t, path, content)

	l = reopen()
	if r := mustAppend(t, l, refusal()); r.Seq != 4 {
		t.Errorf("the log goes on with seq %d", r.Seq)
	}
	mustClose(t, l)
	if !strings.Contains(said.String(), "audit verify") {
		t.Errorf("said only: %s", said.String())
	}
	_, err := Verify(o.Dir, VerifyOptions{})
	var defect *DefectError
	if !errors.As(err, &defect) || defect.Segment != segmentFor(start).name || defect.Line != 2 {
		t.Errorf("verify says %v", err)
	}
}

// TestNoCrashDidThis: more is unreadable than was ever on its way to the disk.
func TestNoCrashDidThis(t *testing.T) {
	dir := auditDir(t)
	mustClose(t, mustOpen(t, Options{Dir: dir}))
	path := filepath.Join(dir, segmentFor(start).name)
	writeTestFile(t, path, bytes.Repeat([]byte("not a record\n"), maxUnsynced/12))
	before := readFile(t, path)
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v", err)
	}
	if !bytes.Equal(before, readFile(t, path)) {
		t.Error("the file was changed")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
