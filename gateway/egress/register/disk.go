package register

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// mode is the mode of the file.
const mode fs.FileMode = 0o600

// version identifies what a file holds. The zero version is that of a file that
// doesn't exist.
type version struct {
	exists bool
	sum    [sha256.Size]byte
}

func versionOf(content []byte) version { return version{true, sha256.Sum256(content)} }

// disk reads and replaces the file. Its field is a seam for tests: where it is set,
// it is called in the place of each step that changes something on disk, with the
// step itself.
type disk struct {
	step func(name string, do func() error) error
}

// read returns the content of the file, a little of it where it is too large, and
// whether there is a file.
func (disk) read(path string) (content []byte, present bool, err error) {
	f, err := openPrivate(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	content, err = io.ReadAll(io.LimitReader(f, maxSize+1))
	return content, true, err
}

// replace puts content in the place of a file of version old. A crash at any
// moment leaves one of the two, whole. The new one is on disk when replace returns
// nil; after an error the old one is in its place, unless the error says that this
// failed too. Of callers who replace the same version at the same time, in
// whatever process, one wins; the others get [ErrConflict].
func (d disk) replace(path string, old version, content []byte) error {
	if !old.exists {
		return d.create(path, content)
	}
	f, err := openPrivate(path, os.O_RDWR) // NFS locks only what is open for writing
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w: it is gone; start again with the file as it is now", path, ErrConflict)
	}
	if err != nil {
		return err
	}
	defer f.Close() // and so gives up the lock
	if err := lock(f, path); err != nil {
		return err
	}
	present, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return err
	}
	if versionOf(present) != old {
		return conflict(path)
	}

	// Only who has the lock uses these two names, so that a crash leaves two files
	// at most, which the next replace removes.
	next, before := path+".next", path+".before"
	if err := errors.Join(removeIfThere(next), removeIfThere(before)); err != nil {
		return err
	}
	if err := d.write(next, content); err != nil {
		return errors.Join(err, removeIfThere(next))
	}
	if err := d.do("keep", func() error { return os.Link(path, before) }); err != nil {
		return errors.Join(err, removeIfThere(next))
	}
	if err := d.do("rename", func() error { return os.Rename(next, path) }); err != nil {
		return errors.Join(err, removeIfThere(next), removeIfThere(before))
	}
	if err := d.syncDir(path); err != nil {
		return undone(path, err, os.Rename(before, path))
	}
	_ = removeIfThere(before) // done is done; the next replace tries again
	return nil
}

// create makes the file where there is none. It links instead of renaming, because
// a rename would silently replace what another process has put there a moment
// before.
func (d disk) create(path string, content []byte) error {
	temp := path + ".new-" + rand.Text()
	if err := d.write(temp, content); err != nil {
		return errors.Join(err, removeIfThere(temp))
	}
	err := d.do("link", func() error { return os.Link(temp, path) })
	if errors.Is(err, fs.ErrExist) {
		err = conflict(path)
	}
	if err != nil {
		return errors.Join(err, removeIfThere(temp))
	}
	_ = removeIfThere(temp)
	if err := d.syncDir(path); err != nil {
		return undone(path, err, os.Remove(path))
	}
	return nil
}

// write makes a new file that is on disk, but for its name, when it returns.
func (d disk) write(path string, content []byte) error {
	var f *os.File
	err := d.do("create", func() (err error) {
		f, err = openPrivate(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		return err
	})
	if err != nil {
		return err
	}
	err = d.do("write", func() error { _, err := f.Write(content); return err })
	if err == nil {
		err = d.do("sync", f.Sync)
	}
	return errors.Join(err, f.Close())
}

// syncDir puts the names in the folder of path on disk.
func (d disk) syncDir(path string) error {
	return d.do("sync the folder", func() error {
		dir, err := os.Open(filepath.Dir(path))
		if err != nil {
			return err
		}
		return errors.Join(dir.Sync(), dir.Close())
	})
}

func (d disk) do(name string, step func() error) error {
	if d.step != nil {
		return d.step(name, step)
	}
	return step()
}

// undone is the error of a replacement that could not be put on disk, and of the
// attempt to take it back.
func undone(path string, err, undo error) error {
	if undo == nil {
		return err
	}
	return fmt.Errorf("%w; the change is in %s nevertheless, for it could not be taken back (%w): look at the disk, then start again", err, path, undo)
}

func conflict(path string) error {
	return fmt.Errorf("%s: %w since it was read; start again with the file as it is now", path, ErrConflict)
}

// openPrivate opens a file with the flags of [os.OpenFile]. It doesn't follow a
// symbolic link at the end of the path, and refuses what isn't a regular file or
// is open to anybody but its owner.
func openPrivate(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, mode) // a pipe would block
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link: put the file itself there", path)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file: move it away", path)
	case info.Mode().Perm()&0o077 != 0:
		err = fmt.Errorf("%s has mode %#o, so that others than its owner have access to it: run chmod %#o %[1]s", path, info.Mode().Perm(), mode)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// lock takes the lock of the file f, which path must still name: whoever replaced
// it in the meantime had the lock of the one before. It doesn't wait.
func lock(f *os.File, path string) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return conflict(path)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
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
		return conflict(path)
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
