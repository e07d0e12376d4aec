package privatefile

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// ErrChanged: the file no longer holds what the caller has read, or another
// process is at work on it.
var ErrChanged = errors.New("changed by another process")

// Sum identifies the content of a file, for [Replace].
type Sum [sha256.Size]byte

// SumOf returns the sum of a content.
func SumOf(content []byte) Sum { return sha256.Sum256(content) }

// Replace puts content in the place of a file whose content has the sum old. A
// crash or a failure at any moment leaves one of the two, whole; the new one is
// on disk when Replace returns nil. After an error it may be in place already.
//
// Of callers who replace the same content at the same time, in whatever
// process, one wins; the others get [ErrChanged].
func Replace(path string, old Sum, content []byte) error {
	return replacer{}.replace(path, old, content)
}

// replacer is Replace with a seam for tests: before each step that changes
// something on disk, step is asked, and its error stands for that of the step.
type replacer struct{ step func(name string) error }

func (r replacer) replace(path string, old Sum, content []byte) error {
	f, err := Open(path, os.O_RDWR) // NFS locks only what is open for writing
	if err != nil {
		return err
	}
	defer f.Close() // and so gives up the lock
	if err := lock(f, path); err != nil {
		return err
	}
	present := sha256.New()
	if _, err := io.Copy(present, f); err != nil {
		return err
	}
	if Sum(present.Sum(nil)) != old {
		return fmt.Errorf("%s: %w", path, ErrChanged)
	}

	// One name is enough, since only who has the lock uses it; and so a crash
	// leaves one file at most, which the next Replace removes.
	temp := path + ".next"
	if err := r.write(temp, content); err != nil {
		return errors.Join(err, removeIfThere(temp))
	}
	if err := r.do("rename", func() error { return os.Rename(temp, path) }); err != nil {
		return errors.Join(err, removeIfThere(temp))
	}
	return r.do("sync the folder", func() error { return SyncDir(filepath.Dir(path)) })
}

// write makes a new file that is on disk when it returns.
func (r replacer) write(path string, content []byte) error {
	if err := removeIfThere(path); err != nil {
		return err
	}
	var f *os.File
	err := r.do("create", func() (err error) {
		f, err = Open(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		return err
	})
	if err != nil {
		return err
	}
	err = r.do("write", func() error { _, err := f.Write(content); return err })
	if err == nil {
		err = r.do("sync", f.Sync)
	}
	return errors.Join(err, f.Close())
}

func (r replacer) do(name string, step func() error) error {
	if r.step != nil {
		if err := r.step(name); err != nil {
			return err
		}
	}
	return step()
}

// lock takes the lock of the file f, which path must still name: whoever
// replaced it in the meantime had the lock of the one before. It doesn't wait.
func lock(f *os.File, path string) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%s: it is at this moment being %w", path, ErrChanged)
	}
	if err != nil {
		return fmt.Errorf("locking %s: %w", path, err)
	}
	locked, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(locked, named) {
		return fmt.Errorf("%s: %w", path, ErrChanged)
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
