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
	"sync"
	"syscall"
	"testing"
	"time"

	"jiragate/policy"
	"jiragate/policy/history"
)

// ruled is a policy with a rule of that name.
func ruled(t *testing.T, name string) *policy.Policy {
	t.Helper()
	p, err := policy.New([]byte("version: 1\nrules:\n  - {name: " + name + ", deny: [issue.delete]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func put(t *testing.T, h *history.History, p *policy.Policy) {
	t.Helper()
	if err := h.Put(p); err != nil {
		t.Fatal(err)
	}
}

func file(dir string, p *policy.Policy) string { return filepath.Join(dir, p.SHA256()+".policy") }

func TestKeepsAPolicyUnderItsHash(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit", "policies")
	h, p := history.New(dir), ruled(t, "a")
	put(t, h, p)
	for path, want := range map[string]fs.FileMode{dir: fs.ModeDir | 0o700, file(dir, p): 0o600} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, want mode %v (%v)", path, info, want, err)
		}
	}
	if content, err := os.ReadFile(file(dir, p)); err != nil || !bytes.Equal(content, p.Archive()) {
		t.Errorf("the file holds %d bytes (%v)", len(content), err)
	}
	for _, hash := range []string{p.SHA256(), p.SHA256()[:8], strings.ToUpper(p.SHA256()), strings.ToUpper(p.SHA256()[:20])} {
		got, err := h.Get(hash)
		if err != nil || got.SHA256() != p.SHA256() {
			t.Errorf("Get(%s): %v", hash, err)
		}
	}
}

func TestKeepingAgainChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h, p := history.New(dir), ruled(t, "a")
	put(t, h, p)
	before, err := os.Stat(file(dir, p))
	if err != nil {
		t.Fatal(err)
	}
	put(t, h, p)
	after, err := os.Stat(file(dir, p))
	if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("the file is another one (%v)", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v (%v)", entries, err)
	}
}

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
	open := filepath.Join(t.TempDir(), "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o750)); err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(t.TempDir(), "private")
	link := filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Mkdir(private, 0o700), os.Symlink(private, link)); err != nil {
		t.Fatal(err)
	}
	p := ruled(t, "a")
	for dir, want := range map[string]string{open: "chmod 0700 " + open, link: "not a folder"} {
		h := history.New(dir)
		_, errGet := h.Get(p.SHA256())
		_, errList := h.List()
		for what, err := range map[string]error{"Put": h.Put(p), "Get": errGet, "List": errList} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want an error with %q", what, err, want)
			}
		}
	}
}

func TestHashesThatNameNoPolicy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "policies")
	h, p := history.New(dir), ruled(t, "a")
	if _, err := h.Get(p.SHA256()); !errors.Is(err, history.ErrNotKept) {
		t.Errorf("without a folder: %v", err)
	}
	if list, err := h.List(); err != nil || list != nil {
		t.Errorf("without a folder: %v, %v", list, err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("looking made the folder")
	}
	put(t, h, p)
	other := strings.Repeat("0", 64)
	for hash, want := range map[string]error{
		other: history.ErrNotKept, other[:8]: history.ErrNotKept, p.SHA256()[:63] + "g": history.ErrNotHash,
		"": history.ErrNotHash, p.SHA256()[:7]: history.ErrNotHash, p.SHA256() + "0": history.ErrNotHash,
		"../policies/" + p.SHA256(): history.ErrNotHash, "\x1b[31mred!!": history.ErrNotHash, strings.Repeat("x", 1<<20): history.ErrNotHash,
	} {
		_, err := h.Get(hash)
		if !errors.Is(err, want) || len(err.Error()) > 500 || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("Get(%.80q): %v, want %v", hash, err, want)
		}
	}
}

func TestAPrefixOfSeveralIsAmbiguous(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "policies")
	h, p := history.New(dir), ruled(t, "a")
	put(t, h, p)
	// No two policies at hand have hashes that begin alike; a damaged file of such a
	// name must not make the choice either.
	twin := p.SHA256()[:63] + string("0123456789abcdef"[(strings.IndexByte("0123456789abcdef", p.SHA256()[63])+1)%16])
	if err := os.WriteFile(filepath.Join(dir, twin+".policy"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := h.Get(p.SHA256()[:63])
	if !errors.Is(err, history.ErrAmbiguous) || !strings.Contains(err.Error(), p.SHA256()) || !strings.Contains(err.Error(), twin) {
		t.Errorf("%v", err)
	}
	if _, err := h.Get(p.SHA256()); err != nil {
		t.Errorf("the whole hash: %v", err)
	}
}

// A process that is killed leaves a part of a file under another name.
func TestWhatACrashLeavesIsIgnored(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "policies")
	h, p := history.New(dir), ruled(t, "a")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	left := file(dir, p) + ".new-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if err := os.WriteFile(left, p.Archive()[:1000], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Get(p.SHA256()[:8]); !errors.Is(err, history.ErrNotKept) {
		t.Errorf("before it was put again: %v", err)
	}
	put(t, h, p)
	if got, err := h.Get(p.SHA256()[:8]); err != nil || got.SHA256() != p.SHA256() {
		t.Errorf("after it was put again: %v", err)
	}
	if list, err := h.List(); err != nil || len(list) != 1 || list[0].Err != nil {
		t.Errorf("List: %+v, %v", list, err)
	}
}

func TestListsTheOldestFirst(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "policies")
	h := history.New(dir)
	day := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	var want []string
	for i, name := range []string{"c", "a", "b"} {
		p := ruled(t, name)
		put(t, h, p)
		if err := os.Chtimes(file(dir, p), day, day.AddDate(0, 0, i)); err != nil {
			t.Fatal(err)
		}
		want = append(want, p.SHA256())
	}
	if err := os.WriteFile(filepath.Join(dir, "README.policy"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := h.List()
	if err != nil || len(list) != len(want) {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, e := range list {
		if e.SHA256 != want[i] || !e.Made.Equal(day.AddDate(0, 0, i)) || !e.Verified || e.Version != policy.Default().Version() || e.Err != nil {
			t.Errorf("entry %d is %+v", i, e)
		}
	}
}

// Entry finds as Get does, and tells what List tells.
func TestOneEntry(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "policies")
	h, p := history.New(dir), ruled(t, "a")
	put(t, h, p)
	list, err := h.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{p.SHA256(), p.SHA256()[:8]} {
		if e, err := h.Entry(hash); err != nil || e != list[0] {
			t.Errorf("%s: %+v, %v", hash, e, err)
		}
	}
	for hash, want := range map[string]error{"1234": history.ErrNotHash, strings.Repeat("0", 8): history.ErrNotKept, strings.Repeat("0", 64): history.ErrNotKept} {
		if e, err := h.Entry(hash); !errors.Is(err, want) {
			t.Errorf("%s: %+v, %v", hash, e, err)
		}
	}
	if err := os.WriteFile(file(dir, p), []byte("altered"), 0o600); err != nil {
		t.Fatal(err)
	}
	if e, err := h.Entry(p.SHA256()); err != nil || e.Verified || !errors.Is(e.Err, history.ErrAltered) {
		t.Errorf("altered: %+v, %v", e, err)
	}
}

// A policy of another program can be intact and yet not be compiled.
func TestAPolicyThatThisProgramCannotCompileIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "policies")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	archive := []byte("\x00\x00\x00\x00\x00\x00\x00\x05hello\x00\x00\x00\x00\x00\x00\x00\x00")
	h := history.New(dir)
	digest := sha256.Sum256(archive)
	name := hex.EncodeToString(digest[:])
	if err := os.WriteFile(filepath.Join(dir, name+".policy"), archive, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Get(name); err == nil || errors.Is(err, history.ErrAltered) || !strings.Contains(err.Error(), name) {
		t.Errorf("Get: %v", err)
	}
	if got, err := h.Bytes(name[:8]); err != nil || !bytes.Equal(got, archive) {
		t.Errorf("Bytes: %q, %v", got, err)
	}
	if list, err := h.List(); err != nil || len(list) != 1 || !list[0].Verified || list[0].Err == nil {
		t.Errorf("List: %+v, %v", list, err)
	}
}

func TestManyPutAndGetAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit", "policies")
	var policies []*policy.Policy
	for i := range 3 {
		policies = append(policies, ruled(t, fmt.Sprintf("rule-%d", i)))
	}
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			h, p := history.New(dir), policies[i%len(policies)] // as another process would
			if err := h.Put(p); err != nil {
				t.Errorf("Put: %v", err)
			}
			if got, err := h.Get(p.SHA256()); err != nil || got.SHA256() != p.SHA256() {
				t.Errorf("Get: %v", err)
			}
		})
	}
	all.Wait()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(policies) {
		t.Errorf("the folder holds %v (%v)", entries, err)
	}
}
