package audit

import (
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// unlimited is the room of a disk that never fills.
const unlimited = 1 << 60

// faultyDisk is the real file system with failures on demand. Its fsync does
// not reach the hardware, which makes tests fast; but it knows what was flushed,
// and a failing fsync loses the rest and yet reports it only once, as Linux does.
type faultyDisk struct {
	syncs atomic.Int64 // successful fsyncs of files

	mu            sync.Mutex
	room          int64                  // bytes until the disk is full
	failSync      func(path string) bool // asked at each fsync, if set
	failTruncate  bool                   // no file can be made shorter
	beforeSync    func(path string)      // called, without the mutex, before each fsync
	beforePrepare func()                 // called, without the mutex, before a file is prepared
	flushed       map[string]int64       // by path: bytes that survive
	written       map[string]int64       // by path: bytes that were put into a prepared file
	unprepared    bool                   // files get no room beforehand
}

func newFaultyDisk() *faultyDisk {
	return &faultyDisk{room: unlimited, flushed: make(map[string]int64), written: make(map[string]int64)}
}

func (d *faultyDisk) setRoom(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = n
}

func (d *faultyDisk) setFailSync(f func(path string) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failSync = f
}

func (d *faultyDisk) setFailTruncate(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failTruncate = on
}

func (d *faultyDisk) open(path string, flag int) (file, error) {
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.flushed[path]; !ok { // new, or from before
		d.flushed[path] = info.Size()
	}
	return &faultyFile{File: f, disk: d, path: path}, nil
}

// prepare gives the file room, if there is that much. Of a file with room, what was
// written survives when it is flushed, as that of others does.
func (d *faultyDisk) prepare(path string, size int64) (file, error) {
	d.mu.Lock()
	hook := d.beforePrepare
	d.mu.Unlock()
	if hook != nil {
		hook()
	}
	f, err := d.open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flushed[path] = 0
	if d.unprepared || d.room < size {
		return f, nil
	}
	d.room -= size
	d.written[path] = 0
	return f, os.Truncate(path, size)
}

// end is behind what was written of the file at path.
func (d *faultyDisk) end(path string, info fs.FileInfo) int64 {
	if written, prepared := d.written[path]; prepared {
		return written
	}
	return info.Size()
}

func (d *faultyDisk) remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if info, err := os.Stat(path); err == nil {
		d.room += info.Size()
	}
	delete(d.flushed, path)
	delete(d.written, path)
	return os.Remove(path)
}

func (d *faultyDisk) syncDir(string) error { return nil }

type faultyFile struct {
	*os.File
	disk *faultyDisk
	path string
}

// WriteAt writes as much as there is room for, like write(2).
func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	info, err := f.File.Stat()
	if err != nil {
		return 0, err
	}
	there := int64(0) // needs no room
	if _, prepared := f.disk.written[f.path]; prepared {
		there = min(int64(len(p)), max(info.Size()-off, 0))
	}
	n := min(int64(len(p)), there+f.disk.room)
	f.disk.room -= n - there
	written, err := f.File.WriteAt(p[:n], off)
	if end, prepared := f.disk.written[f.path]; prepared {
		f.disk.written[f.path] = max(end, off+int64(written))
	}
	if err == nil && written < len(p) {
		err = &fs.PathError{Op: "write", Path: f.path, Err: syscall.ENOSPC}
	}
	return written, err
}

func (f *faultyFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.failTruncate {
		return &fs.PathError{Op: "truncate", Path: f.path, Err: errDisk}
	}
	if info, err := f.File.Stat(); err == nil {
		f.disk.room += info.Size() - size
	}
	delete(f.disk.written, f.path) // the room is gone
	return f.File.Truncate(size)
}

func (f *faultyFile) Sync() error {
	f.disk.mu.Lock()
	hook := f.disk.beforeSync
	f.disk.mu.Unlock()
	if hook != nil {
		hook(f.path)
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	info, err := f.File.Stat()
	if err != nil {
		return err
	}
	end := f.disk.end(f.path, info)
	if f.disk.failSync != nil && f.disk.failSync(f.path) {
		lost := strings.Repeat("\x00", int(end-f.disk.flushed[f.path]))
		f.File.WriteAt([]byte(lost), f.disk.flushed[f.path])
		f.disk.flushed[f.path] = end // the pages count as clean now
		return &fs.PathError{Op: "fsync", Path: f.path, Err: errDisk}
	}
	f.disk.flushed[f.path] = end
	f.disk.syncs.Add(1)
	return nil
}

func (d *faultyDisk) rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flushed[to] = d.flushed[from]
	delete(d.flushed, from)
	return os.Rename(from, to)
}
