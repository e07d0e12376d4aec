package privatefile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Mode is the mode of the files, DirMode that of folders made for them.
const (
	Mode    fs.FileMode = 0o600
	DirMode fs.FileMode = 0o700
)

// Open opens a file with the flags of [os.OpenFile]. It doesn't follow a
// symbolic link at the end of the path, and refuses what isn't a regular file or
// may be read or written by anybody else; the error gives the command that
// mends it. It waits for nobody at the other end of a pipe. A file made by
// O_CREATE has [Mode].
func Open(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, Mode)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link: name the file itself", path)
	}
	if err != nil {
		return nil, err
	}
	if err := check(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func check(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", f.Name())
	}
	if m := info.Mode().Perm(); m&0o077 != 0 {
		return fmt.Errorf("%s has mode %#o, so that others than its owner have access to it: run chmod %#o %[1]s", f.Name(), m, Mode)
	}
	return nil
}

// Create makes a file with that content, readable by its owner alone, on disk
// when it returns. Nobody ever sees a part of it. It makes the folder (0700)
// where there is none. A file that exists is left alone: the error is
// [fs.ErrExist].
func Create(path string, content []byte) error {
	temp, err := Temp(path)
	if err != nil {
		return err
	}
	f, err := Open(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return Adopt(temp, path)
}

// Temp returns a new name beside path for a file to be written and then given
// to [Adopt]. It makes the folder (0700) where there is none.
func Temp(path string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), DirMode); err != nil {
		return "", err
	}
	return path + ".new-" + rand.Text(), nil
}

// Adopt gives the finished, synced file temp the name path, and removes the
// name temp in any case. The new name is on disk when it returns. A file of that
// name that exists is left alone: the error is [fs.ErrExist].
//
// It links instead of renaming, because a rename would silently replace what
// another process has put there a moment before.
func Adopt(temp, path string) error {
	err := os.Link(temp, path)
	err = errors.Join(err, os.Remove(temp))
	if err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir puts the names in a folder on disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
