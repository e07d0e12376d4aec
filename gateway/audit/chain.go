package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// chain is the end of the log: where the next record goes and what it is
// chained to.
type chain struct {
	fs    fileSystem
	dir   string
	limit int64 // of a segment, in bytes

	closed atomic.Bool // changed with mu held

	mu      sync.Mutex
	seq     uint64      // of the last record
	prev    string      // the hash of its line
	segment segment     // the newest
	file    *appendFile // nil while there is no segment
	buf     []byte

	leaves []leafRun // of the lines written since they were last taken
	taken  int       // leaves of the newest run then: about as many come again
}

// leafRun are the hashes of lines that follow each other in a segment.
type leafRun struct {
	segment segment
	leaves  []hash
}

// append gives r its place and writes it; body is what [appendBody] makes of r. After
// an error the chain is as it was, and so is r.
func (c *chain) append(r *Record, body []byte) (position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return position{}, ErrClosed
	}
	return c.link(r, body)
}

// appendOwed is append for a record that the log owes, closed or not.
func (c *chain) appendOwed(r *Record, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.link(r, body)
	return err
}

// link is append for a caller that holds mu.
func (c *chain) link(r *Record, body []byte) (at position, err error) {
	if err := c.rotate(r.Time); err != nil {
		return position{}, err
	}
	seq, prev := r.Seq, r.Prev
	r.Seq, r.Prev = c.seq+1, c.prev
	c.buf = appendSeq(append(c.buf[:0], 0), r.Seq) // a byte in front for the leaf's hash
	c.buf = appendPrev(append(c.buf, body...), r.Prev)
	leaf, next := leafHash(c.buf), hashLine(c.buf[1:])
	c.buf = append(c.buf, '\n')
	if at, err = c.file.write(c.buf[1:]); err != nil {
		r.Seq, r.Prev = seq, prev
		return position{}, err
	}
	c.seq, c.prev = r.Seq, next
	c.addLeaf(leaf)
	return at, nil
}

// rotate goes on to the next segment, if a record of time t belongs there or the
// newest is full. The one before is on disk then.
func (c *chain) rotate(t time.Time) error {
	if c.file != nil && t.Before(c.segment.end()) && (c.file.length() < c.limit || c.segment.part >= maxPart) {
		return nil
	}
	next := c.segment.next(t)
	if c.file != nil {
		if err := c.file.finish(); err != nil {
			return err
		}
	}
	f, err := openSegment(c.fs, filepath.Join(c.dir, next.name), 0)
	if err != nil {
		return fmt.Errorf("begin a segment of the audit log: %w", err)
	}
	if err := c.fs.syncDir(c.dir); err != nil {
		return errors.Join(fmt.Errorf("begin a segment of the audit log: %w", err), f.close())
	}
	if c.file != nil {
		c.file.close() // all of it is on disk
		f.reuse(c.file)
	}
	c.segment, c.file = next, f
	return nil
}

// addLeaf keeps the hash of a line for who makes the tree: building it here would
// hold up the next record.
func (c *chain) addLeaf(leaf hash) {
	if n := len(c.leaves); n == 0 || c.leaves[n-1].segment != c.segment {
		room := 0
		if n > 0 {
			room = len(c.leaves[n-1].leaves)
		}
		c.leaves = append(c.leaves, leafRun{c.segment, make([]hash, 0, max(room, c.taken))})
	}
	last := &c.leaves[len(c.leaves)-1]
	last.leaves = append(last.leaves, leaf)
}

// takeLeaves gives the leaves gathered since the last time.
func (c *chain) takeLeaves() []leafRun {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.leaves
	c.leaves, c.taken = nil, 0
	if n := len(taken); n > 0 {
		c.taken = len(taken[n-1].leaves)
	}
	return taken
}

// openSegment opens or makes the file, which must have the size that the log
// knows of.
func openSegment(fsys fileSystem, path string, size int64) (*appendFile, error) {
	f, err := openAppend(fsys, path, os.O_CREATE, size)
	if err != nil {
		return nil, err
	}
	info, err := f.file.Stat()
	if err == nil && info.Size() != size {
		err = fmt.Errorf("%s has %d bytes instead of %d: another program wrote it", path, info.Size(), size)
	}
	if err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// newest is the file that is being written, or nil.
func (c *chain) newest() *appendFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.file
}

// newestSegment is the one that is being written.
func (c *chain) newestSegment() segment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.segment
}

// flush returns when all records are on disk.
func (c *chain) flush() error {
	if f := c.newest(); f != nil {
		return f.syncAll()
	}
	return nil
}

// shut lets no further record in; it tells if it was the first to do so.
func (c *chain) shut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed.CompareAndSwap(false, true)
}

func (c *chain) close() error {
	if f := c.newest(); f != nil {
		return f.close()
	}
	return nil
}
