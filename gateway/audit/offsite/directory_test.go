package offsite

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func directoryAt(path string, log *logBuffer) *directory {
	d := &directory{path: path, storage: disk{}, log: slog.New(slog.DiscardHandler)}
	if log != nil {
		d.log = log.logger()
	}
	return d
}

func mustCarry(t *testing.T, w way, c *checkpoint) {
	t.Helper()
	if err := w.carry(t.Context(), c); err != nil {
		t.Error(err)
	}
}

func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if got := files(t, dir); !maps.Equal(got, want) {
		t.Errorf("files %q\nwant  %q", got, want)
	}
}

func TestOneFileForEachCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		places, err := ParsePlaces(dir)
		if err != nil {
			t.Fatal(err)
		}
		c, err := New(Options{Places: places})
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, c)
		for size := range uint64(3) {
			c.Offer(signed(t, size), size)
			time.Sleep(time.Hour)
		}
		stop()
		want := map[string]string{}
		for size := range uint64(3) {
			want[at(t, size).fileName(1)] = string(signed(t, size))
		}
		wantFiles(t, dir, want)
		info, err := os.Stat(filepath.Join(dir, at(t, 0).fileName(1)))
		if err != nil || info.Mode()&0o777&^0o444 != 0 { // the rest is the umask's
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	})
}

func TestTheSameFileIsFine(t *testing.T) {
	dir, c := t.TempDir(), at(t, 7)
	var log logBuffer
	mustCarry(t, directoryAt(dir, &log), c)
	before, err := os.Stat(filepath.Join(dir, c.fileName(1)))
	if err != nil {
		t.Fatal(err)
	}
	mustCarry(t, directoryAt(dir, &log), c) // another process
	after, err := os.Stat(filepath.Join(dir, c.fileName(1)))
	if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("the file was touched: %v", err)
	}
	wantFiles(t, dir, map[string]string{c.fileName(1): string(c.signed)})
	if log.String() != "" {
		t.Errorf("log: %s", log.String())
	}
}

func TestOtherBytesStayAndAreLogged(t *testing.T) {
	for _, test := range []struct{ name, existing, level, says string }{
		{"empty after a crash", "", "level=WARN", "unfinished"},
		{"half after a crash", "jiragate/us\n7\nAA", "level=WARN", "unfinished"},
		{"another history", string(signedBy(t, 7, "BBBB", origin)), "level=ERROR", "another"},
		{"longer", string(signed(t, 7)) + "x", "level=ERROR", "another"},
		{"very long", strings.Repeat("x", MaxCheckpoint+1), "level=ERROR", "another"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, c := t.TempDir(), at(t, 7)
			var log logBuffer
			if err := os.WriteFile(filepath.Join(dir, c.fileName(1)), []byte(test.existing), 0o444); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{c.fileName(1): test.existing, c.fileName(2): string(c.signed)}
			for range 2 { // the second time all is there
				mustCarry(t, directoryAt(dir, &log), c)
				wantFiles(t, dir, want)
			}
			if log.count("\n") != 1 || log.count(test.level) != 1 || log.count(test.says) == 0 || log.count(c.fileName(2)) != 1 {
				t.Errorf("log: %s", log.String())
			}

			third := newCheckpoint(signedBy(t, 7, "CCCC", origin), 7)
			mustCarry(t, directoryAt(dir, &log), third)
			want[c.fileName(3)] = string(third.signed)
			wantFiles(t, dir, want)
		})
	}
}

func TestNothingInTheWayIsFollowed(t *testing.T) {
	c := at(t, 7)
	for name, put := range map[string]func(path string) error{
		"link to the same":   func(path string) error { return linkTo(path, c.signed) },
		"link to nothing":    func(path string) error { return os.Symlink("nowhere", path) },
		"directory":          func(path string) error { return os.Mkdir(path, 0o755) },
		"pipe, never opened": func(path string) error { return syscall.Mkfifo(path, 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := put(filepath.Join(dir, c.fileName(1))); err != nil {
				t.Fatal(err)
			}
			mustCarry(t, directoryAt(dir, nil), c)
			if b, err := os.ReadFile(filepath.Join(dir, c.fileName(2))); err != nil || string(b) != string(c.signed) {
				t.Errorf("beside it is %q, %v", b, err)
			}
			if _, err := os.Lstat(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the link was followed: %v", err)
			}
		})
	}
}

// linkTo makes a symbolic link at path to a file with that content.
func linkTo(path string, content []byte) error {
	if err := os.WriteFile(path+".target", content, 0o644); err != nil {
		return err
	}
	return os.Symlink(path+".target", path)
}

// A directory that was not mounted is not made.
func TestAMissingDirectoryIsNotMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "worm")
	if err := directoryAt(dir, nil).carry(t.Context(), at(t, 7)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory: %v", err)
	}
}

func TestAReadOnlyDirectoryIsTriedAgain(t *testing.T) {
	dir, c := t.TempDir(), at(t, 7)
	for path, mode := range map[string]fs.FileMode{filepath.Dir(dir): 0o755, dir: 0o555} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	d := directoryAt(dir, nil)
	if err := unprivileged(func() error { return d.carry(context.Background(), c) }); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
	wantFiles(t, dir, map[string]string{})
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := unprivileged(func() error { return d.carry(context.Background(), c) }); err != nil {
		t.Error(err)
	}
	wantFiles(t, dir, map[string]string{c.fileName(1): string(c.signed)})
}

// unprivileged runs f as nobody as far as files are concerned, if the test is root,
// whom modes don't keep from writing.
func unprivileged(f func() error) error {
	result := make(chan error)
	go func() {
		if os.Geteuid() == 0 {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			if _, err := unix.SetfsuidRetUid(65534); err != nil {
				result <- err
				return
			}
		}
		result <- f()
	}()
	return <-result
}
