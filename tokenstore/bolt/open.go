package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"jiragate/internal/privatefile"
	"jiragate/tokenstore"
)

// lockRetry is how often a locked file is tried again.
const lockRetry = 20 * time.Millisecond

// mapSize is the address space reserved for the file. Within it bbolt never has
// to map the file anew, for which it would wait until all readers have ended: a
// slow backup would hold up all writes. It costs no memory.
const mapSize = 256 << 20

// allocSize is by how much the file grows at a time, sparsely.
const allocSize = 1 << 20

// lockFile opens the file, locks it (how is LOCK_EX or LOCK_SH) and checks its
// pages. The file is bbolt's afterwards, or closed if there is an error.
func lockFile(ctx context.Context, path string, flag, how int, timeout time.Duration) (*os.File, error) {
	deadline := time.Now().Add(timeout)
	for {
		f, err := privatefile.Open(path, flag)
		if err != nil {
			return nil, err
		}
		err = flock(ctx, f, how, deadline)
		same := false
		if err == nil {
			same, err = isAt(f, path)
		}
		if err == nil && same {
			if err = checkFile(f); err == nil {
				return f, nil
			}
		}
		if err = errors.Join(err, release(f)); err != nil {
			return nil, err
		}
		// Another file was put in its place while we waited for the lock.
	}
}

func flock(ctx context.Context, f *os.File, how int, deadline time.Time) error {
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("locking the file: %w", err)
		}
		if time.Now().Add(lockRetry).After(deadline) {
			return fmt.Errorf("%w: another jiragate has it: stop that one, or use its admin socket", tokenstore.ErrLocked)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockRetry):
		}
	}
}

// release unlocks and closes the file. Closing alone would not do: where bbolt
// was stopped by a panic its mapping remains, and keeps the lock.
func release(f *os.File) error {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_UN); err != nil && !errors.Is(err, syscall.EBADF) {
		return errors.Join(fmt.Errorf("unlocking the file: %w", err), f.Close())
	}
	return f.Close()
}

func isAt(f *os.File, path string) (bool, error) {
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, there), err
}

func checkFile(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return corruptf("the file is empty")
	}
	return checkPages(f, info.Size())
}

// openBolt hands the locked and checked file to bbolt.
func openBolt(f *os.File, readOnly bool) (db *bbolt.DB, err error) {
	err = guarded(func() error {
		var err error
		db, err = bbolt.Open(f.Name(), privatefile.Mode, &bbolt.Options{
			Timeout:         time.Second, // the lock is held already, by this very file
			ReadOnly:        readOnly,
			PreLoadFreelist: true,
			FreelistType:    bbolt.FreelistMapType,
			InitialMmapSize: mapSize,
			NoStatistics:    true,
			OpenFile: func(string, int, os.FileMode) (*os.File, error) {
				return f, nil
			},
		})
		return err
	})
	if err != nil {
		if closeErr := release(f); !errors.Is(closeErr, os.ErrClosed) {
			err = errors.Join(err, closeErr)
		}
		return nil, err
	}
	db.AllocSize = allocSize
	return db, nil
}

// create makes an empty store and gives it its name when it is complete. If
// another process has made one meanwhile, that one stays.
func create(path string, prepare func(*bbolt.DB) error) error {
	temp, err := privatefile.Temp(path)
	if err != nil {
		return err
	}
	if err := createTemp(temp, prepare); err != nil {
		if rmErr := os.Remove(temp); !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
		return err
	}
	if err := privatefile.Adopt(temp, path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return privatefile.SyncDir(filepath.Dir(path))
}

func createTemp(temp string, prepare func(*bbolt.DB) error) error {
	f, err := privatefile.Open(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	db, err := openBolt(f, false)
	if err != nil {
		return err
	}
	return errors.Join(prepare(db), db.Close())
}

// guarded runs fn and turns a panic, and a fault in mapped memory, into an error
// that matches tokenstore.ErrCorrupt: this is how bbolt reports damaged pages.
func guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = &pageError{cause: r}
		}
	}()
	return fn()
}

// pageError is a panic of bbolt. It matches tokenstore.ErrCorrupt.
type pageError struct{ cause any }

func (e *pageError) Error() string {
	return fmt.Sprintf("%v: a page of it can't be used: %v", tokenstore.ErrCorrupt, e.cause)
}
func (e *pageError) Unwrap() error { return tokenstore.ErrCorrupt }
