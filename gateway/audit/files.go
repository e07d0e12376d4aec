package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// file is what the log needs of a file that it writes; fileSystem is where
// those come from. They are a seam: tests put a disk there that is full or
// that fails.
type file interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Stat() (fs.FileInfo, error)
	Close() error
}

type fileSystem interface {
	// open opens path with the flags of os.OpenFile. It never follows a
	// symbolic link in the last element, and makes files with mode 0600.
	open(path string, flag int) (file, error)
	// prepare makes the file at path anew, as open does, and gives it room: as many
	// zeros, on disk, as size says, or none.
	prepare(path string, size int64) (file, error)
	remove(path string) error
	// rename puts from in the place of to.
	rename(from, to string) error
	// syncDir makes the creation and removal of files in dir durable.
	syncDir(dir string) error
}

// disk is the real file system.
type disk struct{}

func (disk) open(path string, flag int) (file, error) {
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (disk) remove(path string) error { return os.Remove(path) }

func (disk) rename(from, to string) error { return os.Rename(from, to) }

func (disk) syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// openRegular opens a file of the log for reading, and nothing that somebody put
// in its place.
func openRegular(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// writeFile makes a file that must not exist yet, durably, with its directory
// entry.
func writeFile(fsys fileSystem, path string, content []byte) error {
	f, err := fsys.open(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fsys.remove(path))
	}
	return fsys.syncDir(filepath.Dir(path))
}

// openDir makes the directory of the log, or refuses one that others may look
// into.
func openDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the audit directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the audit directory: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("audit directory %s has mode %04o, so that others can reach the call records: run chmod 700 %[1]s", dir, mode)
	}
	return nil
}

// lockDir takes the lock of dir for this process. It is an advisory lock on the
// open file (flock(2)): the system gives it up when the process ends, however
// it ends.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the audit log: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: another process has %s: stop it, or give this gateway a directory of its own", ErrLocked, path)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// newSuffix ends the name of a file until it is whole.
const newSuffix = ".new"

// replaceFile puts content in the place of the file at path, or makes it, durably.
// A crash leaves the one or the other.
func replaceFile(fsys fileSystem, path string, content []byte) error {
	f, err := fsys.open(path+newSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fsys.remove(path+newSuffix))
	}
	if err := fsys.rename(path+newSuffix, path); err != nil {
		return err
	}
	return fsys.syncDir(filepath.Dir(path))
}

// maxSmall bounds the files beside the log that are read as a whole, in bytes.
const maxSmall = 64 << 10

// readSmall reads a checkpoint or a succession, or the beginning of what is too
// large to be one.
func readSmall(path string) ([]byte, error) {
	f, _, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSmall+1))
}
