package history_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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
	longAgo := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(dir, longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	put(t, h, p)
	if info, err := os.Stat(dir); err != nil || !info.ModTime().Equal(longAgo) {
		t.Errorf("something was written to the folder: %v (%v)", info, err)
	}
	after, err := os.Stat(file(dir, p))
	if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("the file is another one (%v)", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v (%v)", entries, err)
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
	for _, tt := range []struct {
		hash  string
		want  error
		shown string // how the error begins
	}{
		{other, history.ErrNotKept, "policy " + other + " is not kept in " + dir},
		{other[:8], history.ErrNotKept, "policy 00000000 is not kept in " + dir},
		{"", history.ErrNotHash, `"" is not`},
		{p.SHA256()[:7], history.ErrNotHash, `"` + p.SHA256()[:7] + `" is not`},
		{p.SHA256()[:63] + "g", history.ErrNotHash, `"` + p.SHA256()[:63] + `g" is not`},
		{p.SHA256() + "0", history.ErrNotHash, `"` + p.SHA256() + `..." is not`},
		{"../policies/" + p.SHA256(), history.ErrNotHash, `"../policies/` + p.SHA256()[:52] + `..." is not`},
		{"\x1b[31mred!!", history.ErrNotHash, `"\x1b[31mred!!" is not`},
		{strings.Repeat("x", 1<<20), history.ErrNotHash, `"` + strings.Repeat("x", 64) + `..." is not`},
	} {
		_, err := h.Get(tt.hash)
		if !errors.Is(err, tt.want) || !strings.HasPrefix(err.Error(), tt.shown) || len(err.Error()) > 500 {
			t.Errorf("Get(%.80q): %v, want %v: %s", tt.hash, err, tt.want, tt.shown)
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

// Other files stand beside the policies: what a process leaves that is killed while it
// writes one, what somebody set aside, and what else there may be. None is taken for a
// policy, nor in the way of one.
func TestFilesOfOtherNamesAreIgnored(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "policies")
	h, p := history.New(dir), ruled(t, "a")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	hash := p.SHA256()
	for _, name := range []string{
		hash + ".policy.new-ABCDEFGHIJKLMNOPQRSTUVWXYZ", hash + ".policy.bak", hash, hash[:63] + ".policy", hash + "0.policy",
		strings.ToUpper(hash) + ".policy", ".policy", "README.policy", "README",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), p.Archive()[:1000], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{hash, hash[:8]} {
		if _, err := h.Get(name); !errors.Is(err, history.ErrNotKept) {
			t.Errorf("Get(%s) before it was put: %v", name, err)
		}
	}
	if list, err := h.List(); err != nil || len(list) != 0 {
		t.Errorf("List before it was put: %+v, %v", list, err)
	}
	put(t, h, p)
	for _, name := range []string{hash, hash[:8]} {
		if got, err := h.Get(name); err != nil || got.SHA256() != hash {
			t.Errorf("Get(%s) after it was put: %v", name, err)
		}
	}
	if list, err := h.List(); err != nil || len(list) != 1 || list[0].Err != nil {
		t.Errorf("List after it was put: %+v, %v", list, err)
	}
}

// Why a policy can't be kept is told, here that a name beside its own would be too long.
func TestWhyAPolicyCannotBeKept(t *testing.T) {
	dir := t.TempDir()
	for len(dir) < 4000-200 {
		dir = filepath.Join(dir, strings.Repeat("d", 100))
	}
	dir = filepath.Join(dir, strings.Repeat("d", 4000-len(dir)-1))
	p := ruled(t, "a")
	if err := history.New(dir).Put(p); !errors.Is(err, syscall.ENAMETOOLONG) || !strings.HasPrefix(err.Error(), "keeping the policy "+p.SHA256()) {
		t.Errorf("%v", err)
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

// Of many that keep one policy at the same moment, one makes the file, and the others
// find it; so often that some come between another's look and its file.
func TestManyPutAndGetAtOnce(t *testing.T) {
	p := ruled(t, "a")
	for range 20 {
		dir := filepath.Join(t.TempDir(), "audit", "policies")
		var all sync.WaitGroup
		start := make(chan struct{})
		for range 8 {
			all.Go(func() {
				<-start
				h := history.New(dir) // as another process would
				if err := h.Put(p); err != nil {
					t.Errorf("Put: %v", err)
				}
				if got, err := h.Bytes(p.SHA256()); err != nil || !bytes.Equal(got, p.Archive()) {
					t.Errorf("Bytes: %d bytes, %v", len(got), err)
				}
			})
		}
		close(start)
		all.Wait()
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("the folder holds %v (%v)", entries, err)
		}
	}
}
