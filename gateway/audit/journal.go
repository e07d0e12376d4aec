package audit

import (
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"sync"
)

const (
	// generationSize is what a journal file has room for from the beginning. It is
	// followed by the next when three quarters are full, so that calls seldom meet its
	// end: what is left takes 1,500 more of them, and the keeper looks each
	// [flushInterval].
	generationSize = 4 << 20
	// maxPending bounds the calls under way. The gateway has lower limits; this
	// one holds if somebody forgets to complete.
	maxPending = 1 << 16
)

// journal holds the intents of calls under way, each a line like a record's,
// with seq 0 and no prev. Completed intents are not marked: their record in
// the log says it. There are at most two files. When the newer has grown, and
// the older holds no call under way, it is removed and a third becomes the
// newer; a call that takes so long that it holds the older is carried over.
type journal struct {
	fs    fileSystem
	dir   string
	limit int64 // of a file, in bytes: see generationSize

	tidying sync.Mutex // taken before mu

	mu      sync.Mutex
	first   bool   // the newer file is the first one, which has no room prepared
	number  uint64 // of the newer file
	current *generation
	old     *generation // or nil
	gone    *appendFile // the one before, removed, or nil
	pending underWay
	waiting []*Pending // of which the intents are to be written next
	turns   turns
	lines   []byte // of one write
}

// generation is one file of the journal.
type generation struct {
	file *appendFile
	open int // calls under way whose intent is here
}

func journalName(number uint64) string { return fmt.Sprintf("pending-%08d.journal", number) }

// isJournal tells whether name is one that [journalName] gives.
func isJournal(name string) bool {
	var number uint64
	_, err := fmt.Sscanf(name, "pending-%d.journal", &number)
	return err == nil && name == journalName(number)
}

// openJournal begins a journal with a file without intents, which grows: a command that
// records one act, and is gone, needs no more.
func openJournal(fsys fileSystem, dir string, limit int64) (*journal, error) {
	j := &journal{fs: fsys, dir: dir, limit: limit, pending: underWay{seed: maphash.MakeSeed()}}
	j.tidying.Lock()
	defer j.tidying.Unlock()
	err := j.rotate(func(path string) (*appendFile, error) {
		return openAppend(j.fs, path, os.O_CREATE|os.O_TRUNC, 0)
	})
	j.first = true
	return j, err
}

// prepare makes a file at path with room for what will be in it.
func (j *journal) prepare(path string) (*appendFile, error) {
	return prepareAppend(j.fs, path, j.limit)
}

// rotate makes the next file the current one, and the current one the old. The caller
// holds tidying, and not mu: no call waits for the new file to be on disk.
func (j *journal) rotate(makeFile func(path string) (*appendFile, error)) error {
	path := filepath.Join(j.dir, journalName(j.number+1))
	f, err := makeFile(path)
	if err == nil {
		if err = j.fs.syncDir(j.dir); err != nil {
			err = errors.Join(err, f.close())
		}
	}
	if err != nil {
		return fmt.Errorf("begin a journal file: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.gone != nil {
		f.reuse(j.gone)
		j.gone = nil
	}
	j.number++
	j.first = false
	j.old, j.current = j.current, &generation{file: f}
	return nil
}

// begin takes p among the calls under way and writes its intent; the caller may wait
// for that to be on disk. It does not admit p if there are too many calls or one of its
// id is there. After an error p is not among them.
func (j *journal) begin(p *Pending) (at position, admitted bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.pending.add(p) {
		return position{}, false, fmt.Errorf("begin call record %s: a call of this id is under way", p.id)
	}
	if j.pending.size > maxPending {
		j.pending.remove(p)
		return position{}, false, fmt.Errorf("%w: %d calls are under way", ErrUnavailable, j.pending.size)
	}
	j.waiting = append(j.waiting, p)
	j.turns.give(&j.mu)
	if !p.tried {
		j.writeWaiting()
	}
	return p.at, true, p.err
}

// writeWaiting writes the intents that wait, for a caller that holds mu. The calls of
// which that fails are not under way.
func (j *journal) writeWaiting() {
	j.turns.wrote(len(j.waiting))
	for rest := j.waiting; len(rest) > 0; {
		n, at, err := j.put(rest)
		for _, p := range rest[:n] {
			p.at, p.err, p.tried = at, err, true
			if err != nil {
				j.pending.remove(p)
			}
		}
		rest = rest[n:]
	}
	clear(j.waiting)
	j.waiting = j.waiting[:0]
}

// put writes the first of the intents, as many as one write takes but at least one, for a
// caller that holds mu.
func (j *journal) put(intents []*Pending) (n int, at position, err error) {
	j.lines = j.lines[:0]
	for n == 0 || n < len(intents) && len(j.lines) < maxGathered {
		j.lines = append(j.lines, intents[n].line...)
		n++
	}
	if at, err = j.current.file.write(j.lines); err != nil {
		return n, position{}, err
	}
	for _, p := range intents[:n] {
		p.generation = j.current
	}
	j.current.open += n
	return n, at, nil
}

// done forgets p, whose record is in the log or whose call does not go out. The intent
// is not needed any more.
func (j *journal) done(p *Pending) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pending.remove(p)
	p.generation.open--
}

// tidy keeps the journal small; flush must bring the completed records to disk.
func (j *journal) tidy(flush func() error) error {
	j.tidying.Lock()
	defer j.tidying.Unlock()
	current, old, err := j.advance()
	if err != nil || old == nil {
		return err
	}
	// Everything that was in old is, by now, in the log or in current.
	if err := flush(); err != nil {
		return err
	}
	if err := current.file.syncAll(); err != nil {
		return err
	}
	if err := j.remove(old); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.old, j.gone = nil, old.file
	return nil
}

// advance begins a new file, or carries the intents of the old one over, when
// the current one has grown. It returns the old one if nothing holds it.
func (j *journal) advance() (current, old *generation, err error) {
	grown, both := j.grown()
	switch {
	case grown && both:
		err = j.carryOver()
	case grown:
		err = j.rotate(j.prepare)
	}
	if err != nil {
		return nil, nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.old == nil || j.old.open > 0 {
		return nil, nil, nil
	}
	return j.current, j.old, nil
}

// grown tells whether the current file should be followed by the next, and whether
// there is an old one, too. The first one should when calls have begun to come.
func (j *journal) grown() (grown, both bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	size := j.current.file.length()
	return size >= j.limit/4*3 || j.first && size > 0, j.old != nil
}

func (j *journal) carryOver() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for p := range j.pending.all() {
		if from := p.generation; from == j.old {
			if _, _, err := j.put([]*Pending{p}); err != nil {
				return err
			}
			from.open--
		}
	}
	return nil
}

func (j *journal) remove(g *generation) error {
	if err := j.fs.remove(g.file.path); err != nil {
		return fmt.Errorf("remove a journal file: %w", err)
	}
	g.file.close() // nothing in it matters any more
	return nil
}

// files are those that there are now.
func (j *journal) files() []*appendFile {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.old == nil {
		return []*appendFile{j.current.file}
	}
	return []*appendFile{j.current.file, j.old.file}
}

// idle tells whether no call is under way.
func (j *journal) idle() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.pending.size == 0
}

// clear ends an idle journal, the records of which are on disk: nothing is left.
func (j *journal) clear() error {
	return j.end(j.remove)
}

// close ends the journal and leaves it to the next [Open].
func (j *journal) close() error {
	return j.end(func(g *generation) error {
		return errors.Join(g.file.syncAll(), g.file.close())
	})
}

func (j *journal) end(each func(*generation) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := each(j.current)
	if j.old != nil {
		err = errors.Join(err, each(j.old))
	}
	return err
}
