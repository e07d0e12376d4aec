package index_test

import (
	"bytes"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/index"
)

// TestMakesAnewWhatIsNoIndex: with a warning, and with the right answers.
func TestMakesAnewWhatIsNoIndex(t *testing.T) {
	dir := logDir(t)
	hours(t, dir, 3, 200)
	path := indexFile(dir)
	for _, row := range []struct {
		name    string
		make    func(t *testing.T)
		warning string
	}{
		{"nothing", func(t *testing.T) {}, ""},
		{"an empty file", func(t *testing.T) { mustWrite(t, path, nil) }, ""},
		{"an index", func(t *testing.T) { update(t, open(t, dir)) }, ""},
		{"an index of another version", func(t *testing.T) {
			made(t, dir)
			execute(t, path, "PRAGMA user_version = 7", "DROP TABLE gram")
		}, ""},
		{"an index with a table of somebody else", func(t *testing.T) {
			made(t, dir)
			execute(t, path, "CREATE TABLE other (text)")
		}, "it is no audit index"},
		{"another database", func(t *testing.T) { execute(t, path, "CREATE TABLE other (text)") }, "it is no audit index"},
		{"a text", func(t *testing.T) { mustWrite(t, path, bytes.Repeat([]byte("not a database\n"), 1000)) }, "not a database"},
		{"the first half of an index", func(t *testing.T) {
			made(t, dir)
			if err := os.Truncate(path, 10_000); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"the journal of a file that was removed", func(t *testing.T) {
			x := open(t, dir)
			update(t, x)
			wal, err := os.ReadFile(path + "-wal")
			if err != nil {
				t.Fatal(err)
			}
			mustDrop(t, path)
			mustWrite(t, path+"-wal", wal)
		}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			mustDrop(t, path)
			row.make(t)
			var log bytes.Buffer
			x, err := index.Open(index.Options{Path: path, Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			if p := update(t, x); p.Done != 2 || p.Segments != 2 {
				t.Errorf("%+v", p)
			}
			mustAgree(t, x, dir, questions()...)
			if got := log.String(); (got == "") != (row.warning == "") && row.warning != "" || !strings.Contains(got, row.warning) {
				t.Errorf("the log says %q, want %q", got, row.warning)
			}
		})
	}
}

// TestAnswersRightlyFromADamagedFile: bytes anywhere in it are wrong, as a disk leaves
// them.
func TestAnswersRightlyFromADamagedFile(t *testing.T) {
	dir := logDir(t)
	hours(t, dir, 3, 160)
	path := indexFile(dir)
	made(t, dir)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 15 {
		bad := bytes.Clone(good)
		for range 1 + random.IntN(400) {
			bad[random.IntN(len(bad))] ^= 1 << random.IntN(8)
		}
		mustDrop(t, path)
		mustWrite(t, path, bad)
		x, err := index.Open(index.Options{Path: path, Dir: dir, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		mustAgree(t, x, dir, questions()...)
		update(t, x)
		mustAgree(t, x, dir, questions()...)
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFileIsForItsOwnerAlone(t *testing.T) {
	dir := logDir(t)
	hours(t, dir, 2, 10)
	mustWrite(t, indexFile(dir), nil)
	if err := os.Chmod(indexFile(dir), 0o644); err != nil {
		t.Fatal(err)
	}
	update(t, open(t, dir))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(indexFile(dir) + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("%q has mode %v", suffix, info.Mode())
		}
	}
}

func TestLeavesAloneWhatIsNoFile(t *testing.T) {
	dir := logDir(t)
	hours(t, dir, 2, 10)
	target := filepath.Join(t.TempDir(), "target")
	mustWrite(t, target, []byte("precious"))
	if err := os.Symlink(target, indexFile(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := index.Open(index.Options{Path: indexFile(dir), Dir: dir}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a symbolic link: %v", err)
	}
	if text, err := os.ReadFile(target); string(text) != "precious" {
		t.Errorf("the target: %q, %v", text, err)
	}
	missing := filepath.Join(t.TempDir(), "missing", "index")
	if _, err := index.Open(index.Options{Path: missing, Dir: dir}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is missing: %v", err)
	}
}

func TestDrop(t *testing.T) {
	dir := logDir(t)
	hours(t, dir, 3, 200)
	x := open(t, dir)
	update(t, x)
	mustDrop(t, indexFile(dir)) // by another process
	mustAgree(t, x, dir, questions()...)
	if p := update(t, x); p.Indexed != 2 {
		t.Errorf("after it was dropped: %+v", p)
	}
	if p := update(t, open(t, dir)); p.Indexed != 0 || p.Done != 2 {
		t.Errorf("another process: %+v", p)
	}
	mustAgree(t, x, dir, questions()...)
	mustDrop(t, indexFile(dir))
	mustDrop(t, indexFile(dir)) // what is not there need not be dropped
}

func TestQueriesAfterClose(t *testing.T) {
	dir := logDir(t)
	hours(t, dir, 3, 200)
	x, err := index.Open(index.Options{Path: indexFile(dir), Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	update(t, x)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	mustAgree(t, x, dir, audit.Filter{Connection: "customer-3"})
}

// made makes the index, and closes it, so that all of it is in one file.
func made(t *testing.T, dir string) {
	t.Helper()
	x, err := index.Open(index.Options{Path: indexFile(dir), Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	update(t, x)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustWrite(t tester, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustDrop(t tester, path string) {
	t.Helper()
	if err := index.Drop(path); err != nil {
		t.Fatal(err)
	}
}

func execute(t tester, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
