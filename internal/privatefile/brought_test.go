package privatefile_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"jiragate/internal/privatefile"
)

// What may be done to a file that somebody brings: by mode, the command that mends it.
func TestModesOfBroughtFiles(t *testing.T) {
	for _, tt := range []struct {
		mode            fs.FileMode
		secret, trusted string // what the error says to run; empty: it is read
	}{
		{0o600, "", ""},
		{0o400, "", ""},
		{0o440, "", ""}, // of a Secret in a pod with fsGroup, of a credential of systemd
		{0o640, "", ""},
		{0o644, "chmod o= ", ""},
		{0o444, "chmod o= ", ""},
		{0o604, "chmod o= ", ""},
		{0o601, "chmod o= ", ""},
		{0o660, "chmod g=r ", "chmod go-w "},
		{0o620, "chmod g=r ", "chmod go-w "},
		{0o610, "chmod g=r ", ""},
		{0o664, "chmod o= ", "chmod go-w "},
		{0o602, "chmod o= ", "chmod go-w "},
		{0o666, "chmod o= ", "chmod go-w "},
		{0o777, "chmod o= ", "chmod go-w "},
	} {
		t.Run(fmt.Sprintf("%#o", tt.mode), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			write(t, path, tt.mode)
			for _, read := range []struct {
				want  string
				read  func(string) ([]byte, error)
				check func(string) error
			}{{tt.secret, privatefile.ReadSecret, privatefile.CheckSecret}, {tt.trusted, privatefile.ReadTrusted, privatefile.CheckTrusted}} {
				content, err := read.read(path)
				if checked := read.check(path); fmt.Sprint(checked) != fmt.Sprint(err) {
					t.Errorf("read: %v; checked: %v", err, checked)
				}
				switch {
				case read.want == "" && (err != nil || string(content) != "there"):
					t.Errorf("%q, %v", content, err)
				case read.want != "" && (err == nil || !strings.Contains(err.Error(), read.want+path)):
					t.Errorf("error %v, want one that says %s", err, read.want)
				}
			}
		})
	}
}

// An orchestrator's mount: the name is a link to a link to the file. The file counts.
func TestBroughtFilesByLinks(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "..2026"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "..2026", "secret")
	write(t, file, 0o440)
	for name, target := range map[string]string{"..data": "..2026", "secret": "..data/secret"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "secret")
	if got, err := privatefile.ReadSecret(link); err != nil || string(got) != "there" {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.Chmod(file, 0o444); err != nil {
		t.Fatal(err)
	}
	if _, err := privatefile.ReadSecret(link); err == nil {
		t.Error("it is read although everybody may")
	}
}

// A secret of another user is refused, and what is merely trusted is not. Only root can
// make a file of another user; for anybody else root is the other user, whose secrets
// can't be opened at all.
func TestBroughtFilesOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		if err := privatefile.CheckSecret("/etc/shadow"); err == nil {
			t.Error("what only root may read is read")
		}
		return
	}
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, 0o600)
	if err := os.Chown(path, 4711, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := privatefile.ReadSecret(path); err == nil || !strings.Contains(err.Error(), "uid 4711") || !strings.Contains(err.Error(), "chown 0 "+path) {
		t.Errorf("error %v", err)
	}
	if _, err := privatefile.ReadTrusted(path); err != nil {
		t.Error(err)
	}
}

func TestBroughtFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, pipe, "/dev/null"} {
		for _, read := range []func(string) ([]byte, error){privatefile.ReadSecret, privatefile.ReadTrusted} {
			if _, err := read(path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
				t.Errorf("%s: error %v", path, err)
			}
		}
	}
}
