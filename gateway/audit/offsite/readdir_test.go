package offsite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func put(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// What can't be read comes with an error of its own, in its place.
func TestReadDir(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	good := signed(t, 7)
	put(t, outside, "secret", good)
	put(t, dir, "a.checkpoint", good)
	put(t, dir, "b.checkpoint", good[:len(good)-1])
	put(t, dir, "c.checkpoint", nil)
	put(t, dir, "d.checkpoint", []byte(strings.Repeat("x", MaxCheckpoint+1)))
	put(t, dir, "h\x1b[31m.checkpoint", []byte("x"))
	put(t, dir, "i\x1b[31m", good)
	put(t, dir, "j.checkpoint.tmp", good)
	put(t, dir, "z.checkpoint", signed(t, 8))
	for _, err := range []error{
		os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "e.checkpoint")),
		os.Mkdir(filepath.Join(dir, "f.checkpoint"), 0o755),
		syscall.Mkfifo(filepath.Join(dir, "g.checkpoint"), 0o644),
		os.Symlink(dir, filepath.Join(outside, "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	found, err := ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		name  string
		bytes int
		err   error
	}{
		{"a.checkpoint", len(good), nil},
		{"b.checkpoint", len(good) - 1, ErrMalformed},
		{"c.checkpoint", 0, ErrMalformed},
		{"d.checkpoint", 0, errNotCheckpoint},
		{"e.checkpoint", 0, errNotCheckpoint},
		{"f.checkpoint", 0, errNotCheckpoint},
		{"g.checkpoint", 0, errNotCheckpoint},
		{"h\x1b[31m.checkpoint", 1, ErrMalformed},
		{"z.checkpoint", len(good), nil},
	}
	if len(found) != len(want) {
		t.Fatalf("found %d files, want %d", len(found), len(want))
	}
	for i, w := range want {
		f := found[i]
		if f.Path != filepath.Join(dir, w.name) || len(f.Bytes) != w.bytes || !errors.Is(f.Err, w.err) {
			t.Errorf("found %q, %d bytes, %v; want %+v", f.Path, len(f.Bytes), f.Err, w)
		}
		if f.Err != nil && strings.ContainsFunc(f.Err.Error(), unprintable) {
			t.Errorf("the error has control characters: %q", f.Err)
		}
	}
	if linked, err := ReadDir(filepath.Join(outside, "link")); err != nil || len(linked) != len(found) {
		t.Errorf("by a link to the directory itself: %d, %v", len(linked), err)
	}
}

func TestReadDirGoesOnAfterWhatItMayNotRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "a.checkpoint", signed(t, 7))
	put(t, dir, "b.checkpoint", signed(t, 8))
	if err := os.Chmod(filepath.Join(dir, "a.checkpoint"), 0); err != nil {
		t.Fatal(err)
	}
	var found []Found
	err := unprivileged(func() (err error) { found, err = ReadDir(dir); return err })
	if err != nil || len(found) != 2 || !errors.Is(found[0].Err, fs.ErrPermission) || found[1].Err != nil {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestReadDirIsBounded(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		put(t, dir, name+".checkpoint", signed(t, 7))
	}
	put(t, dir, "other", nil)
	total := int64(3 * len(signed(t, 7)))
	for _, test := range []struct {
		most limits
		ok   bool
	}{
		{limits{3, total}, true}, {limits{2, total}, false}, {limits{3, total - 1}, false},
	} {
		if found, err := readDir(dir, test.most); (err == nil) != test.ok || !test.ok && (!errors.Is(err, ErrTooMany) || found != nil) {
			t.Errorf("%+v: %d files, %v", test.most, len(found), err)
		}
	}
}

func TestReadDirOfNothing(t *testing.T) {
	if found, err := ReadDir(t.TempDir()); err != nil || len(found) != 0 {
		t.Errorf("of an empty directory: %v, %v", found, err)
	}
	if _, err := ReadDir(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of none: %v", err)
	}
}
