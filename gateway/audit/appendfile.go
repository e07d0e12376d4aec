package audit

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// maxUnsynced bounds the bytes of a file that are written but not yet known to
// be on disk. They are held in memory too, to be written again if an fsync
// fails. A writer that would go beyond waits for the disk. It also bounds what
// a crash can damage.
const maxUnsynced = 4 << 20

// appendFile is a file that only grows, by whole lines. A line that could not
// be written wholly is taken back. It is safe for concurrent use.
type appendFile struct {
	fs   fileSystem
	path string

	mu      sync.Mutex
	changed sync.Cond // of mu: an fsync has ended
	file    file
	size    int64  // end of the last whole line
	synced  int64  // up to here it is on disk
	tail    []byte // the bytes from synced to size
	syncing bool   // somebody is at work on file without holding mu
	suspect error  // what is on disk is not known: nothing goes on before repair
}

// openAppend opens or makes the file at path, of which the first size bytes are
// good and on disk.
func openAppend(fsys fileSystem, path string, flag int, size int64) (*appendFile, error) {
	f, err := fsys.open(path, os.O_RDWR|flag)
	if err != nil {
		return nil, err
	}
	return newAppend(fsys, path, f, size), nil
}

// prepareAppend makes the file at path anew, with nothing in it but room, in bytes, for
// what will be.
func prepareAppend(fsys fileSystem, path string, room int64) (*appendFile, error) {
	f, err := fsys.prepare(path, room)
	if err != nil {
		return nil, err
	}
	return newAppend(fsys, path, f, 0), nil
}

func newAppend(fsys fileSystem, path string, f file, size int64) *appendFile {
	a := &appendFile{fs: fsys, path: path, file: f, size: size, synced: size}
	a.changed.L = &a.mu
	return a
}

// write appends p, and returns its place so that the caller can wait for it.
// After an error the file is as it was, or suspect.
func (a *appendFile) write(p []byte) (position, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.tail)+len(p) > maxUnsynced {
		if err := a.syncTo(a.size); err != nil {
			return position{}, err
		}
	}
	if a.suspect != nil {
		return position{}, a.suspect
	}
	if _, err := a.file.WriteAt(p, a.size); err != nil {
		if cut := a.file.Truncate(a.size); cut != nil {
			a.suspect = errors.Join(err, fmt.Errorf("take back the unfinished line: %w", cut))
			return position{}, a.suspect
		}
		return position{}, err
	}
	a.size += int64(len(p))
	a.tail = append(a.tail, p...)
	return position{a, a.size}, nil
}

// sync returns when the file is on disk up to end, or can't be brought there.
// Those who wait at the same time share one fsync.
func (a *appendFile) sync(end int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.syncTo(end)
}

// syncAll is sync up to what has been written by now.
func (a *appendFile) syncAll() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.syncTo(a.size)
}

// unsynced is how many bytes are not known to be on disk.
func (a *appendFile) unsynced() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.size - a.synced
}

// finish is syncAll for a file that is not written any more: nothing may be behind its
// last whole line.
func (a *appendFile) finish() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.syncTo(a.size); err != nil {
		return err
	}
	return a.suspect
}

// syncTo is sync for a caller that holds mu, which it gives up meanwhile. The
// first to come does the fsync; who comes during it waits, because that fsync
// may have missed his bytes, and one of them does the next.
func (a *appendFile) syncTo(end int64) error {
	for a.synced < end {
		switch {
		case a.suspect != nil:
			return a.suspect
		case a.syncing:
			a.changed.Wait()
		default:
			a.flush()
		}
	}
	return nil
}

func (a *appendFile) flush() {
	a.syncing = true
	f, end := a.file, a.size
	a.mu.Unlock()
	err := f.Sync()
	a.mu.Lock()
	a.syncing = false
	if err != nil {
		a.suspect = err
	} else {
		a.onDisk(end)
	}
	a.changed.Broadcast()
}

func (a *appendFile) onDisk(end int64) {
	n := copy(a.tail, a.tail[end-a.synced:])
	a.tail = a.tail[:n]
	a.synced = end
}

// repair makes a suspect file good again: what is not known to be on disk is
// written once more, through a new descriptor, and flushed. (After a failed
// fsync the pages may count as clean, and flushing alone would do nothing.)
func (a *appendFile) repair() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.syncing {
		a.changed.Wait()
	}
	if a.suspect == nil {
		return nil
	}
	f, err := a.fs.open(a.path, os.O_RDWR)
	if err != nil {
		return fmt.Errorf("reopen a file to repair it: %w", err)
	}
	if err := a.rewriteTail(f); err != nil {
		return errors.Join(fmt.Errorf("write the end of %s again: %w", a.path, err), f.Close())
	}
	a.file.Close() // its errors have been reported
	a.file = f
	a.suspect = nil
	a.onDisk(a.size)
	return nil
}

func (a *appendFile) rewriteTail(f file) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	was, err := a.file.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(info, was) {
		return errors.New("the file was replaced by another")
	}
	if info.Size() < a.synced {
		return fmt.Errorf("the file has %d bytes, but %d were on disk", info.Size(), a.synced)
	}
	if _, err := f.WriteAt(a.tail, a.synced); err != nil {
		return err
	}
	if err := f.Truncate(a.size); err != nil {
		return err
	}
	return f.Sync()
}

// reuse takes the memory of the tail of old, which needs it no more: a tail that grows
// anew with each file costs more than what is put there.
func (a *appendFile) reuse(old *appendFile) {
	old.mu.Lock()
	tail := old.tail[:0]
	old.tail = nil
	old.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.tail) == 0 {
		a.tail = tail
	}
}

// length is the end of the last whole line.
func (a *appendFile) length() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.size
}

// close closes the file, without flushing it.
func (a *appendFile) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.syncing {
		a.changed.Wait()
	}
	return a.file.Close()
}

// position is where a line that was written ends.
type position struct {
	file *appendFile
	end  int64
}

// wait returns when the line is on disk.
func (p position) wait() error { return p.file.sync(p.end) }
