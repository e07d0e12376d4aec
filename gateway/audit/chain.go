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
	buf     []byte      // a line, behind a byte for its leaf's hash
	lines   []byte      // of one write
	waiting []*entry    // to be written next
	turns   turns

	leaves []leafRun // of the lines written since they were last taken
	taken  int       // leaves of the newest run then: about as many come again
}

// leafRun are the hashes of lines that follow each other in a segment.
type leafRun struct {
	segment segment
	leaves  []hash
}

// entry is a record on its way into the chain.
type entry struct {
	time time.Time
	body []byte // see [appendBody]

	// What becomes of it, once it is done.
	seq  uint64
	prev string
	leaf hash
	at   position
	err  error
	done bool
}

// append gives r its place and writes it, e being that of body, which is what
// [appendBody] makes of r. After an error the chain is as it was, and so is r.
func (c *chain) append(r *Record, e *entry, body []byte) (position, error) {
	*e = entry{time: r.Time, body: body}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, e)
	c.turns.give(&c.mu)
	if !e.done {
		c.writeWaiting()
	}
	return c.settled(r, e)
}

// appendOwed is append for a record that the log owes, closed or not.
func (c *chain) appendOwed(r *Record, body []byte) error {
	e := &entry{time: r.Time, body: body}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link([]*entry{e})
	_, err := c.settled(r, e)
	return err
}

func (c *chain) settled(r *Record, e *entry) (position, error) {
	if e.err == nil {
		r.Seq, r.Prev = e.seq, e.prev
	}
	return e.at, e.err
}

// writeWaiting writes the records that wait, or says to each why it can't be.
func (c *chain) writeWaiting() {
	c.turns.wrote(len(c.waiting))
	for rest := c.waiting; len(rest) > 0; {
		if c.closed.Load() {
			rest[0].err, rest[0].done = ErrClosed, true
			rest = rest[1:]
			continue
		}
		rest = rest[c.link(rest):]
	}
	clear(c.waiting)
	c.waiting = c.waiting[:0]
}

// link chains the first of the entries, as many as one write takes, and writes them. It
// returns how many: at least one. After an error the chain is as it was.
func (c *chain) link(entries []*entry) int {
	c.lines = c.lines[:0]
	if err := c.rotate(entries[0].time); err != nil {
		entries[0].err, entries[0].done = err, true
		return 1
	}
	n, last := c.compose(entries)
	at, err := c.file.write(c.lines)
	for _, e := range entries[:n] {
		e.at, e.err, e.done = at, err, true
		if err == nil {
			c.addLeaf(e.leaf)
		}
	}
	if err == nil {
		c.seq, c.prev = c.seq+uint64(n), last
	}
	return n
}

// compose makes the lines of the first n of the entries, which belong into one write, and
// the hash of the last.
func (c *chain) compose(entries []*entry) (n int, last string) {
	last = c.prev
	for ; n < len(entries) && (n == 0 || len(c.lines) < maxGathered && c.belongs(entries[n].time)); n++ {
		e := entries[n]
		e.seq, e.prev = c.seq+uint64(n)+1, last
		c.buf = appendSeq(append(c.buf[:0], 0), e.seq) // a byte in front for the leaf's hash
		c.buf = appendPrev(append(c.buf, e.body...), e.prev)
		e.leaf, last = leafHash(c.buf), hashLine(c.buf[1:])
		c.lines = append(append(c.lines, c.buf[1:]...), '\n')
	}
	return n, last
}

// belongs tells whether a record of time t goes into the newest segment, behind c.lines.
func (c *chain) belongs(t time.Time) bool {
	return c.file != nil && t.Before(c.segment.end()) &&
		(c.file.length()+int64(len(c.lines)) < c.limit || c.segment.part >= maxPart)
}

// rotate goes on to the next segment, if a record of time t belongs there or the
// newest is full. The one before is on disk then.
func (c *chain) rotate(t time.Time) error {
	if c.belongs(t) {
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
