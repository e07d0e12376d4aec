package privatefile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"jiragate/internal/privatefile"
)

func TestReplace(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	write(t, path, 0o600)
	// Left by a crash, and not to be taken for anything.
	if err := os.WriteFile(path+".next", []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := privatefile.Replace(path, privatefile.SumOf([]byte("there")), []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "new" {
		t.Errorf("it holds %q, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("it has mode %v, %v", info.Mode(), err)
	}
	onlyFile(t, dir, "f")
}

func TestReplaceRefuses(t *testing.T) {
	there := privatefile.SumOf([]byte("there"))
	for _, test := range []struct {
		name  string
		spoil func(path string) error
		is    error
	}{
		{"another content", func(p string) error { return os.WriteFile(p, []byte("other"), 0o600) }, privatefile.ErrChanged},
		{"a missing file", os.Remove, fs.ErrNotExist},
		{"a file of the group", func(p string) error { return os.Chmod(p, 0o640) }, nil},
		{"a symbolic link", func(p string) error {
			return errors.Join(os.Rename(p, p+".real"), os.Symlink(p+".real", p))
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			write(t, path, 0o600)
			if err := test.spoil(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(path)
			err := privatefile.Replace(path, there, []byte("new"))
			if err == nil || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %v, want %v", err, test.is)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Errorf("it holds %q now", after)
			}
		})
	}
}

// Of many that replace the same content, one wins.
func TestReplaceRace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	write(t, path, 0o600)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		wins []string
	)
	for i := range 8 {
		wg.Go(func() {
			content := fmt.Sprint("content ", i)
			err := privatefile.Replace(path, privatefile.SumOf([]byte("there")), []byte(content))
			if err == nil {
				mu.Lock()
				wins = append(wins, content)
				mu.Unlock()
			} else if !errors.Is(err, privatefile.ErrChanged) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := os.ReadFile(path); err != nil || len(wins) != 1 || string(got) != wins[0] {
		t.Errorf("it holds %q, %v; %q think they won", got, err, wins)
	}
	onlyFile(t, dir, "f")
}
