package history_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"jiragate/policy"
	"jiragate/policy/history"
)

// Whatever was done to a file, it is named, and left as it is: it is evidence.
func TestRefusesWhatWasAltered(t *testing.T) {
	p := ruled(t, "a")
	other := ruled(t, "b").Archive()
	for name, content := range map[string][]byte{
		"a bit":          append([]byte{p.Archive()[0] ^ 1}, p.Archive()[1:]...),
		"another policy": other,
		"cut off":        p.Archive()[:100],
		"longer":         append(p.Archive(), '\n'),
		"empty":          {},
		"far too long":   append(p.Archive(), make([]byte, policy.MaxArchive)...),
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "policies")
			h := history.New(dir)
			put(t, h, p)
			if err := os.WriteFile(file(dir, p), content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, errGet := h.Get(p.SHA256()[:10])
			_, errBytes := h.Bytes(p.SHA256())
			for what, err := range map[string]error{"Put": h.Put(p), "Get": errGet, "Bytes": errBytes} {
				if !errors.Is(err, history.ErrAltered) || !strings.Contains(err.Error(), file(dir, p)) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if now, err := os.ReadFile(file(dir, p)); err != nil || !bytes.Equal(now, content) {
				t.Error("the file was changed")
			}
			list, err := h.List()
			if err != nil || len(list) != 1 || list[0].Verified || !errors.Is(list[0].Err, history.ErrAltered) || list[0].Version != "" {
				t.Errorf("List: %+v, %v", list, err)
			}
		})
	}
}

// A file of any length could have the hash that it is named for. Only so much is read as
// a policy can have.
func TestReadsNoMoreThanAPolicyCanHave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "policies")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h := history.New(dir)
	for length, want := range map[int]error{policy.MaxArchive: nil, policy.MaxArchive + 1: history.ErrAltered} {
		content := make([]byte, length)
		digest := sha256.Sum256(content)
		name := hex.EncodeToString(digest[:])
		if err := os.WriteFile(filepath.Join(dir, name+".policy"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := h.Bytes(name); !errors.Is(err, want) || err == nil && !bytes.Equal(got, content) {
			t.Errorf("of %d bytes %d were read, %v; want %v", length, len(got), err, want)
		}
	}
}

// What is not a file of its owner alone is not read, whatever it holds.
func TestRefusesWhatIsNoPrivateFile(t *testing.T) {
	p := ruled(t, "a")
	for name, tt := range map[string]struct {
		place func(path string) error
		want  string
	}{
		"symbolic link": {func(path string) error {
			elsewhere := filepath.Join(filepath.Dir(path), "elsewhere")
			return errors.Join(os.WriteFile(elsewhere, p.Archive(), 0o600), os.Symlink(elsewhere, path))
		}, "symbolic link"},
		"dangling link": {func(path string) error { return os.Symlink("nowhere", path) }, "symbolic link"},
		"folder":        {func(path string) error { return os.Mkdir(path, 0o700) }, "not a regular file"},
		"pipe":          {func(path string) error { return syscall.Mkfifo(path, 0o600) }, "not a regular file"},
		"open to all": {func(path string) error {
			return errors.Join(os.WriteFile(path, p.Archive(), 0o600), os.Chmod(path, 0o644))
		}, "chmod 0600"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "policies")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := tt.place(file(dir, p)); err != nil {
				t.Fatal(err)
			}
			h := history.New(dir)
			_, errGet := h.Get(p.SHA256())
			for what, err := range map[string]error{"Put": h.Put(p), "Get": errGet} {
				if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, history.ErrNotKept) {
					t.Errorf("%s: %v, want an error with %q", what, err, tt.want)
				}
			}
			if list, err := h.List(); err != nil || len(list) != 1 || list[0].Verified || list[0].Err == nil {
				t.Errorf("List: %+v, %v", list, err)
			}
		})
	}
}

func TestRefusesAFolderThatOthersCanEnter(t *testing.T) {
	below := t.TempDir()
	path := func(name string) string { return filepath.Join(below, name) }
	if err := errors.Join(os.Mkdir(path("private"), 0o700), os.Symlink(path("private"), path("link")), os.WriteFile(path("file"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	wants := map[string]string{"link": "not a folder", "file": "not a folder", "file/policies": "not a directory"}
	for _, mode := range []fs.FileMode{0o701, 0o702, 0o704, 0o710, 0o720, 0o740, 0o777} {
		name := fmt.Sprintf("%#o", mode)
		if err := errors.Join(os.Mkdir(path(name), 0o700), os.Chmod(path(name), mode)); err != nil {
			t.Fatal(err)
		}
		wants[name] = "has mode " + name + ", so that others than its owner have access to it: run chmod 0700 " + path(name)
	}
	p := ruled(t, "a")
	for name, want := range wants {
		h := history.New(path(name))
		_, errGet := h.Get(p.SHA256())
		_, errList := h.List()
		for what, err := range map[string]error{"Put": h.Put(p), "Get": errGet, "List": errList} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want an error with %q", what, err, want)
			}
		}
	}
}
