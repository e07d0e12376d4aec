package register

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"jiragate/internal/privatefile"
)

var (
	noon  = time.Date(2026, time.October, 1, 12, 0, 0, 0, time.UTC)
	first = netip.MustParseAddr("52.54.159.237")
	later = netip.MustParseAddr("52.73.143.252")

	errDisk = errors.New("the disk is gone")
)

func openIn(t *testing.T, dir string) *Register {
	t.Helper()
	r, err := Open(filepath.Join(dir, "f"), "us")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Opening an empty register writes nothing; the first change makes a file, and its
// folder where there is none, that are their owner's alone, whatever the umask.
func TestFileIsMadeWithTheFirstChange(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	parent := t.TempDir()
	dir := filepath.Join(parent, "data")
	r := openIn(t, dir)
	onlyFiles(t, parent)
	for i, address := range []netip.Addr{first, later} {
		if _, err := r.Announce(address, noon, noon); err != nil {
			t.Fatal(err)
		}
		onlyFiles(t, dir, "f")
		for path, want := range map[string]fs.FileMode{r.path: 0o600, dir: 0o700 | fs.ModeDir} {
			if info, err := os.Stat(path); err != nil || info.Mode() != want {
				t.Errorf("change %d: %s has mode %v, %v", i+1, path, info.Mode(), err)
			}
		}
	}
}

// However writing fails, the register says what it says when it is opened again,
// the caller is told if that has the change, and one can go on when the disk is
// back.
func TestFailures(t *testing.T) {
	before := func(string, privatefile.Sum, []byte) error { return errDisk }
	after := func(path string, old privatefile.Sum, content []byte) error {
		return errors.Join(put(path, old, content), errDisk)
	}
	gone := func(path string, _ privatefile.Sum, _ []byte) error { return errors.Join(os.RemoveAll(path), errDisk) }
	for _, test := range []struct {
		name   string
		empty  bool
		put    func(string, privatefile.Sum, []byte) error
		stored bool
		next   error // what the next change meets
	}{
		{"the first change, before it is in the file", true, before, false, nil},
		{"the first change, when it is in the file", true, after, true, nil},
		{"a later one, before it is in the file", false, before, false, nil},
		{"a later one, when it is in the file", false, after, true, nil},
		{"a later one, and the file is gone", false, gone, false, ErrConflict},
	} {
		for name, do := range map[string]func(r *Register) error{
			"announce": func(r *Register) error { _, err := r.Announce(later, noon, noon); return err },
			"observe":  func(r *Register) error { _, err := r.Observe([]netip.Addr{first, later}, noon); return err },
		} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				dir := t.TempDir()
				r := openIn(t, dir)
				if !test.empty {
					if _, err := r.Announce(first, noon, noon); err != nil {
						t.Fatal(err)
					}
				}
				r.put = test.put
				err := do(r)
				if !errors.Is(err, errDisk) {
					t.Fatalf("error %v, want that of the disk", err)
				}
				if says := strings.Contains(err.Error(), "the change is in "+r.path+" nevertheless"); says != test.stored {
					t.Errorf("error %q says that the change is in the file: %t, want %t", err, says, test.stored)
				}
				if r.InUse(later, noon) != test.stored {
					t.Errorf("the register says %v", r.Entries())
				}
				if test.next == nil {
					same(t, r, openIn(t, dir))
				}
				r.put = put
				if _, err := r.Announce(later.Next(), noon, noon); !errors.Is(err, test.next) {
					t.Errorf("the disk is back, but: %v, want %v", err, test.next)
				}
				if test.next == nil {
					same(t, r, openIn(t, dir))
				}
			})
		}
	}
}

// Where the file can't be read after a failure, the register stays as it was and
// the error says that nobody knows. The next change doesn't undo what may be in
// the file.
func TestFailureOfWhichNobodyKnows(t *testing.T) {
	dir := t.TempDir()
	r := openIn(t, dir)
	if _, err := r.Announce(first, noon, noon); err != nil {
		t.Fatal(err)
	}
	r.put = func(path string, old privatefile.Sum, content []byte) error {
		return errors.Join(put(path, old, content), os.Chmod(path, 0o640), errDisk)
	}
	_, err := r.Announce(later, noon, noon)
	if !errors.Is(err, errDisk) || !strings.Contains(err.Error(), "can't be seen") || !strings.Contains(err.Error(), "run chmod 0600") {
		t.Errorf("error %v", err)
	}
	if r.InUse(later, noon) {
		t.Errorf("the register says %v", r.Entries())
	}
	if err := os.Chmod(r.path, 0o600); err != nil {
		t.Fatal(err)
	}
	r.put = put
	if _, err := r.Announce(later.Next(), noon, noon); !errors.Is(err, ErrConflict) {
		t.Errorf("a change on top of one that it doesn't know: error %v, want ErrConflict", err)
	}
	if again := openIn(t, dir); !again.InUse(later, noon) || again.InUse(later.Next(), noon) {
		t.Errorf("the file has %v", again.Entries())
	}
}

// A folder in the place of the new file, which isn't removed as one left by a
// crash is, is a failure, and no conflict.
func TestFolderInTheWay(t *testing.T) {
	dir := t.TempDir()
	r := openIn(t, dir)
	if _, err := r.Announce(first, noon, noon); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(r.path+".next", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Announce(later, noon, noon); err == nil || errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), r.path+".next") {
		t.Errorf("error %v", err)
	}
	same(t, r, openIn(t, dir))
	if err := os.RemoveAll(r.path + ".next"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Announce(later, noon, noon); err != nil {
		t.Errorf("it is out of the way, but: %v", err)
	}
	same(t, r, openIn(t, dir))
	onlyFiles(t, dir, "f")
}

// Who opens the file at any moment, as after a crash, finds a whole register with
// all that was reported as done.
func TestWholeAtEachMoment(t *testing.T) {
	dir := t.TempDir()
	r := openIn(t, dir)
	var done atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		defer done.Store(maxChanges)
		for i := range 50 {
			if _, err := r.Announce(first, noon.Add(time.Duration(i)*time.Hour), noon.Add(-time.Hour)); err != nil {
				t.Error(err)
				return
			}
			done.Add(1)
		}
	})
	var seen []Change
	for n := done.Load(); n != maxChanges; n = done.Load() {
		again, err := Open(r.path, "us")
		if err != nil {
			t.Error(err)
			break
		}
		now := again.History()
		if len(now) < int(n) || len(now) < len(seen) || !slices.Equal(now[:len(seen)], seen) {
			t.Errorf("%d changes are reported, but it has %v, and had %v", n, now, seen)
			break
		}
		seen = now
	}
	wg.Wait()
	same(t, r, openIn(t, dir))
}

// What a crash leaves beside the file is not taken for it, and not in the way of
// the next change, which removes it.
func TestWhatACrashLeaves(t *testing.T) {
	other := openIn(t, t.TempDir())
	if _, err := other.Announce(later, noon, noon); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(other.path)
	if err != nil {
		t.Fatal(err)
	}
	for name, left := range map[string][]byte{"nothing of it": {}, "half": whole[:len(whole)/2], "all": whole} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := openIn(t, dir).Announce(first, noon, noon); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "f.next"), left, 0o600); err != nil {
				t.Fatal(err)
			}
			r := openIn(t, dir)
			if !r.InUse(first, noon) || r.InUse(later, noon) {
				t.Errorf("after the crash it says %v", r.Entries())
			}
			if _, err := r.Retire(first, noon.Add(time.Hour), noon); err != nil {
				t.Error(err)
			}
			same(t, r, openIn(t, dir))
			onlyFiles(t, dir, "f")
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(path string) error
		says  string
	}{
		{"a file of the group", func(p string) error { return os.Chmod(p, 0o640) }, "run chmod 0600"},
		{"a file of everybody", func(p string) error { return os.Chmod(p, 0o604) }, "run chmod 0600"},
		{"a symbolic link", func(p string) error { return errors.Join(os.Rename(p, p+".real"), os.Symlink(p+".real", p)) }, "is a symbolic link"},
		{"a symbolic link to nothing", func(p string) error { return errors.Join(os.Remove(p), os.Symlink(p+".real", p)) }, "is a symbolic link"},
		{"a folder", func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, "is not a regular file"},
		{"a pipe that nobody writes to", func(p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o600)) }, "is not a regular file"},
		{"an empty file", func(p string) error { return os.Truncate(p, 0) }, "f: it is not the JSON it should be"},
		{"an endless file", func(p string) error { return os.Truncate(p, 1<<40) }, "larger than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			r := openIn(t, dir)
			if _, err := r.Announce(first, noon, noon); err != nil {
				t.Fatal(err)
			}
			if err := test.spoil(r.path); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(r.path, "us"); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("opening: error %v, want one that says %q", err, test.says)
			}
			// Nor is it replaced by who has opened it before.
			before, _ := os.Lstat(r.path)
			if _, err := r.Retire(first, noon.Add(time.Hour), noon); err == nil {
				t.Error("it is replaced")
			}
			after, _ := os.Lstat(r.path)
			if !os.SameFile(before, after) {
				t.Error("it is another file")
			}
		})
	}
}

// same checks that two registers say the same.
func same(t *testing.T, r, again *Register) {
	t.Helper()
	if !slices.Equal(r.History(), again.History()) || !slices.Equal(r.Entries(), again.Entries()) || r.SyncToken() != again.SyncToken() {
		t.Errorf("the register has %v, and opened again %v", r.History(), again.History())
	}
}

// onlyFiles checks that the folder holds these files alone.
func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("the folder holds %v, want %v", fmt.Sprint(got), want)
	}
}
