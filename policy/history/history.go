package history

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"jiragate/internal/privatefile"
	"jiragate/policy"
)

// suffix ends the names of the files.
const suffix = ".policy"

// MinPrefix is how many hexadecimal digits of a hash name a policy at least.
const MinPrefix = 8

// What is wrong with a hash, or with what is kept under it. Test with errors.Is.
var (
	// ErrNotHash: it can't be the beginning of a SHA-256.
	ErrNotHash = errors.New("not the SHA-256 of a policy")
	// ErrNotKept: no policy is kept whose hash begins so.
	ErrNotKept = errors.New("not kept")
	// ErrAmbiguous: several policies are kept whose hashes begin so.
	ErrAmbiguous = errors.New("ambiguous")
	// ErrAltered: a file doesn't have the hash that it is named for.
	ErrAltered = errors.New("altered")
)

// History is the folder of the policies. Its methods may be called from many
// goroutines.
type History struct{ dir string }

// New names the folder; it is looked at when it is needed, and made by the first
// [History.Put].
func New(dir string) *History { return &History{dir} }

// Put keeps a policy; it is on disk when Put returns nil. To keep one again
// changes nothing. A file of its name with another content stays as it is: the
// error is [ErrAltered].
func (h *History) Put(p *policy.Policy) error {
	path := h.path(p.SHA256())
	err := h.put(path, p.Archive())
	if err != nil {
		return fmt.Errorf("keeping the policy %s: %w", p.SHA256(), err)
	}
	return nil
}

func (h *History) put(path string, archive []byte) error {
	if err := h.check(); err != nil {
		return err
	}
	_, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = privatefile.Create(path, archive); errors.Is(err, fs.ErrExist) {
			_, err = read(path) // another process was faster
		}
	}
	if err != nil {
		return err
	}
	// Whoever made the file or the folder may not have come to this yet.
	return errors.Join(privatefile.SyncDir(h.dir), privatefile.SyncDir(filepath.Dir(h.dir)))
}

// Get returns the policy of that hash, or whose hash begins with at least
// [MinPrefix] digits of it, in either case of letters. It has been checked that
// the content has the hash. An error may be any of the above, or one of
// [policy.FromArchive] where this program can't compile what is kept; then
// [History.Bytes] still returns it.
func (h *History) Get(hash string) (*policy.Policy, error) {
	archive, err := h.Bytes(hash)
	if err != nil {
		return nil, err
	}
	p, err := policy.FromArchive(archive)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", sum(archive), err)
	}
	return p, nil
}

// Bytes returns what is kept under a hash, as [History.Get] finds it, without
// compiling it: a [policy.Policy.Archive].
func (h *History) Bytes(hash string) ([]byte, error) {
	full, err := h.resolve(hash)
	if err != nil {
		return nil, err
	}
	archive, err := read(h.path(full))
	if err != nil {
		return nil, fmt.Errorf("reading the policy %s: %w", full, err)
	}
	return archive, nil
}

// resolve completes the beginning of a hash.
func (h *History) resolve(hash string) (string, error) {
	hash = strings.ToLower(hash)
	if len(hash) < MinPrefix || !isHash(hash+strings.Repeat("0", max(0, 2*sha256.Size-len(hash)))) {
		return "", fmt.Errorf("%q is %w: give its 64 hexadecimal digits, or the first %d or more", cut(hash), ErrNotHash, MinPrefix)
	}
	names, err := h.names()
	if err != nil {
		return "", err
	}
	var found []string
	for _, name := range names {
		if strings.HasPrefix(name, hash) {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("policy %s is %w in %s: \"jiragate policy history\" lists those that are; an older one may be in a backup of that folder", hash, ErrNotKept, h.dir)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("policy %s is %w: give more digits of one of %s", hash, ErrAmbiguous, strings.Join(found, ", "))
}

// names lists the hashes that files are named for, in order.
func (h *History) names() (hashes []string, err error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(h.dir) // sorted by name
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing the kept policies: %w", err)
	}
	for _, e := range entries {
		if hash, ok := strings.CutSuffix(e.Name(), suffix); ok && isHash(hash) {
			hashes = append(hashes, hash)
		}
	}
	return hashes, nil
}

func (h *History) path(hash string) string { return filepath.Join(h.dir, hash+suffix) }

// check refuses a folder that somebody else could have put there or can write
// to. One that isn't there is made by [History.Put].
func (h *History) check() error {
	info, err := os.Lstat(h.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist): // nobody's yet
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder, and policies are kept in one: move it away", h.dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s has mode %#o, so that others than its owner have access to it: run chmod %#o %[1]s", h.dir, info.Mode().Perm(), privatefile.DirMode)
	}
	return nil
}

// read returns the content of a file which has the hash that it is named for.
func read(path string) (content []byte, err error) {
	f, err := privatefile.Open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	// What is longer than any policy is cut off, and so has another hash.
	content, err = io.ReadAll(io.LimitReader(f, policy.MaxArchive))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if sum(content) != strings.TrimSuffix(filepath.Base(path), suffix) {
		return nil, fmt.Errorf("%s was %w: its content does not have the SHA-256 that it is named for; keep it for inspection under another name, and bring the file back from a backup", path, ErrAltered)
	}
	return content, nil
}

func sum(content []byte) string {
	s := sha256.Sum256(content)
	return hex.EncodeToString(s[:])
}

// isHash reports whether s is a SHA-256 as it stands in names: 64 hexadecimal
// digits, the letters in lower case.
func isHash(s string) bool {
	return len(s) == 2*sha256.Size && strings.Trim(s, "0123456789abcdef") == ""
}

// cut keeps a text that should have been a hash from filling the screen.
func cut(s string) string {
	const most = 2 * sha256.Size
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
