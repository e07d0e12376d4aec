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
	"syscall"
	"testing"
	"time"
)

var (
	noon  = time.Date(2026, time.October, 1, 12, 0, 0, 0, time.UTC)
	first = netip.MustParseAddr("52.54.159.237")
	later = netip.MustParseAddr("52.73.143.252")

	errStep = errors.New("the disk is gone")
)

func openIn(t *testing.T, dir string) *Register {
	t.Helper()
	r, err := Open(filepath.Join(dir, "f"), "us")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Opening an empty register writes nothing; the first change makes a file that is
// its owner's alone, whatever the umask.
func TestFileIsMadeWithTheFirstChange(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := t.TempDir()
	r := openIn(t, dir)
	onlyFiles(t, dir)
	for i, address := range []netip.Addr{first, later} {
		if _, err := r.Announce(address, noon, noon); err != nil {
			t.Fatal(err)
		}
		onlyFiles(t, dir, "f")
		if info, err := os.Stat(r.path); err != nil || info.Mode() != mode {
			t.Errorf("change %d: mode %v, %v", i+1, info.Mode(), err)
		}
	}
}

// Whichever step fails, file and register are as before, nothing else is left, the
// caller is told, and the same can be done when the disk is back.
func TestEachStepFailing(t *testing.T) {
	for _, test := range []struct {
		name  string
		empty bool
		steps []string
	}{
		{"the first change", true, []string{"create", "write", "sync", "link", "sync the folder"}},
		{"a later one", false, []string{"create", "write", "sync", "keep", "rename", "sync the folder"}},
	} {
		for _, step := range test.steps {
			t.Run(test.name+"/"+step, func(t *testing.T) {
				dir := t.TempDir()
				r := openIn(t, dir)
				files := []string{}
				if !test.empty {
					if _, err := r.Announce(first, noon, noon); err != nil {
						t.Fatal(err)
					}
					files = append(files, "f")
				}
				before, _ := os.ReadFile(r.path)
				history, entries, token := r.History(), r.Entries(), r.SyncToken()
				var seen []string
				r.disk.step = func(name string, do func() error) error {
					if seen = append(seen, name); name == step {
						return errStep
					}
					return do()
				}
				fails := []func() error{
					func() error { _, err := r.Announce(later, noon, noon); return err },
					func() error { _, err := r.Observe([]netip.Addr{later}, noon); return err },
				}
				if !test.empty {
					fails = append(fails, func() error { _, err := r.Retire(first, noon.Add(time.Hour), noon); return err })
				}
				for _, fail := range fails {
					seen = nil
					if err := fail(); !errors.Is(err, errStep) {
						t.Errorf("error %v, want that of the step", err)
					}
					if want := test.steps[:slices.Index(test.steps, step)+1]; !slices.Equal(seen, want) {
						t.Errorf("steps %q, want %q", seen, want)
					}
					if after, _ := os.ReadFile(r.path); string(after) != string(before) {
						t.Errorf("the file holds %q", after)
					}
					onlyFiles(t, dir, files...)
					if !slices.Equal(r.History(), history) || !slices.Equal(r.Entries(), entries) || r.SyncToken() != token || r.InUse(later, noon) {
						t.Errorf("the register says %v", r.Entries())
					}
				}
				r.disk.step = nil
				if _, err := r.Announce(later, noon, noon); err != nil {
					t.Errorf("the disk is back, but: %v", err)
				}
				if !openIn(t, dir).InUse(later, noon) {
					t.Error("the change is not in the file")
				}
				onlyFiles(t, dir, "f")
			})
		}
	}
}

// Before the rename the file is the old one to the last byte: a crash at any step
// leaves it or the new one, and what else it leaves is swept away.
func TestCrashes(t *testing.T) {
	steps := []string{"create", "write", "sync", "keep", "rename", "sync the folder"}
	for i, step := range steps {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			r := openIn(t, dir)
			if _, err := r.Announce(first, noon, noon); err != nil {
				t.Fatal(err)
			}
			// Past panics nothing is tidied up, as past crashes.
			r.disk.step = func(name string, do func() error) error {
				if name == step {
					panic(errStep)
				}
				return do()
			}
			func() {
				defer func() {
					if recover() != errStep {
						t.Error("no crash")
					}
				}()
				_, _ = r.Announce(later, noon, noon)
			}()
			again := openIn(t, dir)
			if renamed := i > slices.Index(steps, "rename"); again.InUse(later, noon) != renamed || !again.InUse(first, noon) {
				t.Errorf("after the crash it says %v", again.Entries())
			}
			if _, err := again.Retire(first, noon.Add(time.Hour), noon); err != nil {
				t.Error(err)
			}
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
		{"a symbolic link", func(p string) error { return errors.Join(os.Rename(p, p+".real"), os.Symlink(p+".real", p)) }, "is a symbolic link: put the file itself there"},
		{"a symbolic link to nothing", func(p string) error { return errors.Join(os.Remove(p), os.Symlink(p+".real", p)) }, "is a symbolic link: put the file itself there"},
		{"a folder", func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, "is not a regular file: move it away"},
		{"a pipe that nobody writes to", func(p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o600)) }, "is not a regular file: move it away"},
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

// A register in a folder that isn't there can be read, but not written.
func TestMissingFolder(t *testing.T) {
	r := openIn(t, filepath.Join(t.TempDir(), "missing"))
	if _, err := r.Announce(first, noon, noon); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
}

// Where the change can't be taken back either, the error says so.
func TestUndone(t *testing.T) {
	err := undone("f", errStep, fs.ErrPermission)
	if !errors.Is(err, errStep) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "the change is in f nevertheless") {
		t.Errorf("error %v", err)
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
