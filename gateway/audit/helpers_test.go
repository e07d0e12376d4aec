package audit

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// start is when the tests begin; each call is a second later than the one before.
var start = time.Date(2026, 11, 23, 10, 0, 0, 123456000, time.UTC)

func auditDir(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "audit")
}

// mustOpen opens the log in dir on the real disk.
func mustOpen(t testing.TB, o Options) *Log {
	t.Helper()
	return mustOpenOn(t, o, disk{})
}

// mustOpenOn opens a log and, when the test is over, closes it if the test did
// not, and verifies what it wrote.
func mustOpenOn(t testing.TB, o Options, fsys fileSystem) *Log {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l, err := open(o, fsys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("close: %v", err)
		}
		mustVerify(t, o.Dir)
	})
	return l
}

func mustVerify(t testing.TB, dir string) Report {
	t.Helper()
	report, err := Verify(dir, VerifyOptions{})
	if err != nil {
		t.Errorf("verify: %v", err)
	}
	return report
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustAppend(t testing.TB, l *Log, r Record) Record {
	t.Helper()
	r, err := l.Append(r)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustBegin(t testing.TB, l *Log, r Record) *Pending {
	t.Helper()
	p, err := l.Begin(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustComplete(t testing.TB, p *Pending, r Record) Record {
	t.Helper()
	r, err := p.Complete(r)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// refusal is a record as a refused call makes it.
func refusal() Record {
	return Record{
		Time: start, ID: NewID(), Client: "billing", ClientAddr: "10.1.2.3:50000", Connection: "acme", Edition: "cloud", Region: "us",
		Method: "GET", Path: "/rest/api/3/project/ACME/roles", Decision: DecisionDeny, Code: "operation_not_documented",
		PolicySHA256: "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9", Status: 403,
		TraceID: "0af7651916cd43dd8448eb211c80319c",
	}
}

// intent is a record as it is known before the call goes out.
func intent(method string) Record {
	return Record{
		Time: start, ID: NewID(), Client: "billing", ClientAddr: "10.1.2.3:50000", Connection: "acme", Edition: "cloud", Region: "us",
		Method: method, Operation: "user.assignable.search", Path: "/rest/api/3/user/assignable/search", QueryNames: []string{"project", "query"},
		Decision:     DecisionAllow,
		PolicySHA256: "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9", Credential: "oauth2",
		TraceID: "0af7651916cd43dd8448eb211c80319c",
	}
}

// outcome is the intent r with what came of the call.
func outcome(r Record) Record {
	r.EgressIP, r.UpstreamAddr = "203.0.113.7", "198.51.100.9:443"
	r.Status, r.BytesOut, r.DurationMS = 200, 512, 81.25
	return r
}

// records reads the whole log, in order.
func records(t testing.TB, dir string) []Record {
	t.Helper()
	var list []Record
	for e, err := range Query(dir, Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e.Record)
	}
	return list
}

// snapshot copies dir as it is at this moment: what a process that is killed
// now leaves behind.
func snapshot(t testing.TB, dir string) string {
	t.Helper()
	to := auditDir(t)
	err := os.CopyFS(to, os.DirFS(dir))
	for errors.Is(err, os.ErrNotExist) { // a log that runs has just put a new file in the place of another
		to = auditDir(t)
		err = os.CopyFS(to, os.DirFS(dir))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(to, 0o700); err != nil {
		t.Fatal(err)
	}
	return to
}

// glob lists the files in dir that match pattern.
func glob(t testing.TB, dir, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeTestFile(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// errDisk is what a failing disk says.
var errDisk = syscall.EIO

func fileSize(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
