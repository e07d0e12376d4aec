package privatefile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"jiragate/internal/privatefile"
)

func TestOpenRefusesWhatOthersCanRead(t *testing.T) {
	for mode, ok := range map[fs.FileMode]bool{
		0o600: true, 0o400: true,
		0o640: false, 0o644: false, 0o604: false, 0o620: false, 0o601: false, 0o777: false,
	} {
		t.Run(fmt.Sprintf("%#o", mode), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			write(t, path, mode)
			f, err := privatefile.Open(path, os.O_RDONLY)
			if ok {
				if err != nil {
					t.Fatal(err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("it opens")
			}
			if want := "chmod 0600 " + path; !strings.Contains(err.Error(), want) {
				t.Errorf("error %q does not say %q", err, want)
			}
		})
	}
}

func TestOpenRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "target"), 0o600)
	if err := os.Symlink("target", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	// Nobody writes to it: whoever waits for that waits forever.
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"link": "symbolic link", "dir": "not a regular file", "pipe": "not a regular file"} {
		f, err := privatefile.Open(filepath.Join(dir, name), os.O_RDONLY)
		if err == nil {
			t.Errorf("%s opens as %s", name, f.Name())
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %q does not say %q", name, err, want)
		}
	}
	if _, err := privatefile.Open(filepath.Join(dir, "missing"), os.O_RDONLY); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: error %v, want ErrNotExist", err)
	}
}

// Whatever the umask, what is made is readable by its owner alone.
func TestCreate(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(dir, "f")
	if err := privatefile.Create(path, []byte("content")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "content" {
		t.Errorf("it holds %q, %v", got, err)
	}
	for name, want := range map[string]fs.FileMode{path: 0o600, dir: 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %#o, want %#o", name, info.Mode().Perm(), want)
		}
	}
	onlyFile(t, dir, "f")
}

func TestCreateLeavesAloneWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	write(t, path, 0o600)
	if err := privatefile.Create(path, []byte("other")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v, want ErrExist", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "there" {
		t.Errorf("it holds %q now", got)
	}
	onlyFile(t, dir, "f")
}

// Of many that create a file at once, one wins, and all find its whole content.
func TestCreateRace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		wins []string
	)
	for i := range 8 {
		wg.Go(func() {
			content := strings.Repeat(fmt.Sprint(i), 10_000)
			err := privatefile.Create(path, []byte(content))
			if err == nil {
				mu.Lock()
				wins = append(wins, content)
				mu.Unlock()
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
			if got, err := os.ReadFile(path); err != nil || len(got) != 10_000 {
				t.Errorf("a reader finds %d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	got, err := os.ReadFile(path)
	if err != nil || len(wins) != 1 || string(got) != wins[0] {
		t.Errorf("%d creators think they won, %v", len(wins), err)
	}
	onlyFile(t, dir, "f")
}

func write(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte("there"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// onlyFile checks that no temporary file was left behind.
func onlyFile(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("the folder holds %v, want %s alone", entries, name)
	}
}
