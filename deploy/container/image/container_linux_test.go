package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// boxVariable tells the test binary that it is the first process of a container, and
// what that is.
const boxVariable = "JIRAGATE_TEST_BOX"

func TestMain(m *testing.M) {
	if spec := os.Getenv(boxVariable); spec != "" {
		fmt.Fprintln(os.Stderr, "starting the container:", become(spec))
		os.Exit(70)
	}
	os.Exit(m.Run())
}

// box is a container as an engine makes it from an image: with namespaces of its own,
// the image's user, no capabilities and no way to more, and nothing to write to but
// what is mounted. There is no seccomp profile and there are no cgroups.
type box struct {
	Root   string            // the unpacked image
	Mounts map[string]string // directories by where they are mounted, writable
	Args   []string
	Env    []string
	Dir    string
	User   int
}

// command is the process that becomes the container, given arguments for the entry
// point, or none for those of the image. The network is that of whoever starts it.
func (b box) command(t *testing.T, config v1.Config, args ...string) *exec.Cmd {
	t.Helper()
	if len(args) == 0 {
		args = config.Cmd
	}
	b.Args = append(append([]string{}, config.Entrypoint...), args...)
	b.Env = append(append([]string{}, config.Env...), b.Env...)
	b.Dir = config.WorkingDir
	group := 0
	if _, err := fmt.Sscanf(config.User, "%d:%d", &b.User, &group); err != nil || group != b.User {
		t.Fatalf("user %q: %v", config.User, err)
	}
	spec, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{boxVariable + "=" + string(spec)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS}
	return cmd
}

// become turns this process, the first one in new namespaces, into what the container
// runs. It returns only if that cannot be.
func become(spec string) error {
	runtime.LockOSThread() // capabilities are a thread's
	var b box
	if err := json.Unmarshal([]byte(spec), &b); err != nil {
		return err
	}
	if err := b.mount(); err != nil {
		return err
	}
	for c := uintptr(0); ; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); errors.Is(err, unix.EINVAL) {
			break // there are no more
		} else if err != nil {
			return fmt.Errorf("giving up capability %d: %w", c, err)
		}
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(b.User), syscall.Setuid(b.User), unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); err != nil {
		return fmt.Errorf("becoming user %d: %w", b.User, err)
	}
	if err := unix.Chdir(b.Dir); err != nil {
		return fmt.Errorf("entering %s: %w", b.Dir, err)
	}
	for _, place := range []string{"/", "/etc", "/usr/local/bin"} {
		if err := os.WriteFile(filepath.Join(place, "written"), nil, 0o600); err == nil {
			return fmt.Errorf("%s can be written to", place)
		}
	}
	return fmt.Errorf("%s: %w", b.Args[0], syscall.Exec(b.Args[0], b.Args, b.Env))
}

// mount makes the image the root, read-only, with what engines mount there.
func (b box) mount() error {
	type mount struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}
	const locked = unix.MS_NOSUID | unix.MS_NODEV
	mounts := []mount{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{b.Root, b.Root, "", unix.MS_BIND, ""},
		{"proc", b.Root + "/proc", "proc", locked | unix.MS_NOEXEC, ""},
		{"tmpfs", b.Root + "/tmp", "tmpfs", locked | unix.MS_NOEXEC, "mode=1777,size=16m"},
	}
	places := []string{"/proc", "/tmp"}
	for at, dir := range b.Mounts {
		places = append(places, at)
		mounts = append(mounts, mount{dir, b.Root + at, "", unix.MS_BIND, ""},
			mount{"", b.Root + at, "", unix.MS_BIND | unix.MS_REMOUNT | locked | unix.MS_NOEXEC, ""})
	}
	mounts = append(mounts, mount{"", b.Root, "", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY | locked, ""})
	for _, place := range places { // as engines do where the image has none
		if err := os.MkdirAll(b.Root+place, 0o755); err != nil {
			return err
		}
	}
	for _, m := range mounts {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mounting on %s: %w", m.target, err)
		}
	}
	// The way without a place for the old root (pivot_root(2), NOTES).
	if err := unix.Chdir(b.Root); err != nil {
		return err
	}
	if err := errors.Join(unix.PivotRoot(".", "."), unix.Unmount(".", unix.MNT_DETACH)); err != nil {
		return fmt.Errorf("changing the root: %w", err)
	}
	return unix.Chdir("/")
}

// unpack puts the file system of an image into a directory.
func unpack(t *testing.T, img v1.Image) string {
	t.Helper()
	root := reachable(t)
	for name, f := range read(t, img) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if f.header.FileInfo().IsDir() {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, f.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Chown(path, f.header.Uid, f.header.Gid), os.Chmod(path, f.header.FileInfo().Mode())); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// volume is a directory as an engine makes it for a volume: with mode and owner of the
// place in the image where it is mounted.
func volume(t *testing.T, root, at string) string {
	t.Helper()
	dir := reachable(t)
	info, err := os.Stat(filepath.Join(root, at))
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if err := errors.Join(os.Chown(dir, int(owner.Uid), int(owner.Gid)), os.Chmod(dir, info.Mode())); err != nil {
		t.Fatal(err)
	}
	return dir
}

// reachable is a temporary directory that other users than root can come to.
func reachable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for up := dir; strings.HasPrefix(up, filepath.Clean(os.TempDir())+"/"); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
