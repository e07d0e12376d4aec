package privatefile

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// ReadSecret returns what a file holds that somebody has brought and that is secret. It
// refuses one that others may read, that anybody but its owner may write to, or that belongs
// to somebody else than root and the user of this process; the error gives the command that
// mends it. It follows symbolic links, and waits for nobody at the other end of a pipe: only
// regular files are read.
func ReadSecret(path string) ([]byte, error) { return readBrought(path, checkSecret) }

// ReadTrusted is ReadSecret for what is no secret, and that others must not change. Anybody
// may read and own it; it refuses a file that its group or others may write to.
func ReadTrusted(path string) ([]byte, error) { return readBrought(path, checkTrusted) }

// CheckSecret refuses what [ReadSecret] does.
func CheckSecret(path string) error { return checkBrought(path, checkSecret) }

// CheckTrusted refuses what [ReadTrusted] does.
func CheckTrusted(path string) error { return checkBrought(path, checkTrusted) }

// OpenKept opens for reading a secret that the program keeps in a file of its own, as [Open]
// does; or that somebody has brought in its place ([Brought]), by the rule of [ReadSecret].
func OpenKept(path string) (*os.File, error) {
	if Brought(path) {
		return openBrought(path, checkSecret)
	}
	return Open(path, os.O_RDONLY)
}

// Brought reports whether what is at path, were it a symbolic link, is another user's: it was
// brought, as orchestrators do, and is not this process's to change.
func Brought(path string) bool {
	info, err := os.Lstat(path)
	if err != nil {
		return false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) != os.Geteuid()
}

type rule func(path string, info fs.FileInfo) error

func readBrought(path string, allowed rule) ([]byte, error) {
	f, err := openBrought(path, allowed)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read from
	return io.ReadAll(f)
}

func checkBrought(path string, allowed rule) error {
	f, err := openBrought(path, allowed)
	if err != nil {
		return err
	}
	return f.Close()
}

func openBrought(path string, allowed rule) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file", path)
	default:
		err = allowed(path, info)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// users may own a brought secret.
func users() []int { return []int{0, os.Geteuid()} }

func checkSecret(path string, info fs.FileInfo) error {
	mode := info.Mode().Perm()
	switch {
	case mode&0o007 != 0:
		return fmt.Errorf("%s has mode %#o, so that everybody has access to the secret in it: run chmod o= %[1]s", path, mode)
	case mode&0o030 != 0:
		return fmt.Errorf("%s has mode %#o, so that its group can change the secret in it: run chmod g=r %[1]s", path, mode)
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && !slices.Contains(users(), int(s.Uid)) {
		return fmt.Errorf("%s holds a secret and belongs to another user (uid %d): run chown %d %[1]s, or give it to root and the group of this user", path, s.Uid, os.Geteuid())
	}
	return nil
}

func checkTrusted(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("%s has mode %#o, so that others than its owner can change what the gateway trusts: run chmod go-w %[1]s", path, mode)
	}
	return nil
}
