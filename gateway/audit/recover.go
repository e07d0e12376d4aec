package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// recover finds the end of the chain, repairs what a crash left, and begins a
// new journal. It may be cut short at any point and done again.
func (l *Log) recover() error {
	if err := l.findEnd(); err != nil {
		return err
	}
	l.found = l.chain.seq
	if err := l.findTree(); err != nil {
		return err
	}
	journals, intents, err := l.readJournals()
	if err != nil {
		return err
	}
	if err := l.recordInterrupted(intents); err != nil {
		return err
	}
	repairs, err := l.recordRepairs()
	if err != nil {
		return err
	}
	if err := l.chain.flush(); err != nil {
		return err
	}
	if err := l.markRecorded(repairs); err != nil {
		return err
	}
	for _, path := range journals {
		if err := l.fs.remove(path); err != nil {
			return err
		}
	}
	l.journal, err = openJournal(l.fs, l.options.Dir, l.options.generationSize)
	return err
}

// findEnd opens the newest segment that holds a record, behind that record.
func (l *Log) findEnd() error {
	list, err := segments(l.options.Dir)
	if err != nil {
		return err
	}
	l.chain.prev = genesis
	for i := len(list) - 1; i >= 0; i-- {
		path := filepath.Join(l.options.Dir, list[i].name)
		end, err := readEnd(path)
		if errors.Is(err, fs.ErrNotExist) {
			found, err := l.findCompressedEnd(list[i])
			if err != nil || found {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := l.cut(list[i], end); err != nil {
			return err
		}
		if end.size == 0 {
			continue
		}
		if !end.chained {
			l.options.Logger.Error("audit log: the last record does not continue the one before it: find the place with jiragate audit verify", "segment", list[i].name,
				"hint", "find the place with jiragate audit verify; keep the directory as evidence")
		}
		l.chain.seq, l.chain.prev, l.chain.segment = end.seq, end.hash, list[i]
		l.chain.file, err = openSegment(l.fs, path, end.size)
		return err
	}
	return nil
}

// findCompressedEnd finds the end of the log in a segment that was compressed when a
// later one was there, in which a crash left no record. The log goes on in the next.
func (l *Log) findCompressedEnd(s segment) (found bool, err error) {
	var last []byte
	for line, err := range s.lines(l.options.Dir) {
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		last = append(last[:0], line.text...)
		found = true
	}
	if !found { // a full disk has left it without a record
		return false, nil
	}
	r, err := decode(last)
	if err != nil {
		return false, fmt.Errorf("%w: the last line of %s: %w", ErrDamaged, s.compressedName(), err)
	}
	l.chain.seq, l.chain.prev, l.chain.segment = r.Seq, hashLine(last), s
	return true, nil
}

// segmentEnd is how a segment ends.
type segmentEnd struct {
	size    int64  // behind the last record; 0 if there is none
	seq     uint64 // of the last record
	hash    string // of its line
	chained bool   // it continues the record before it, as far as that was looked at
	torn    []byte // what follows it
}

// readEnd looks for the last record from the end. It does not go further back
// than a crash can have done damage.
func readEnd(path string) (segmentEnd, error) {
	f, info, err := openRegular(path)
	if err != nil {
		return segmentEnd{}, err
	}
	defer f.Close()
	buf := make([]byte, min(info.Size(), maxUnsynced+maxLine))
	skipped := info.Size() - int64(len(buf))
	if _, err := f.ReadAt(buf, skipped); err != nil && !errors.Is(err, io.EOF) {
		return segmentEnd{}, err
	}
	rest := buf
	for {
		rest = rest[:bytes.LastIndexByte(rest, '\n')+1] // what follows is no whole line
		if len(rest) == 0 {
			break
		}
		before, text := lastLine(rest) // cut short at the left, it is no record
		r, err := decode(text)
		if err != nil {
			rest = before
			continue
		}
		return segmentEnd{
			size: skipped + int64(len(rest)), seq: r.Seq, hash: hashLine(text),
			chained: continues(r, before), torn: buf[len(rest):],
		}, nil
	}
	if skipped > 0 {
		return segmentEnd{}, fmt.Errorf("%w: the last %d bytes of %s hold no record, which no crash can leave so: move the file away, and keep it", ErrDamaged, len(buf), path)
	}
	return segmentEnd{torn: buf}, nil
}

// lastLine splits text, which ends in a newline, before its last line.
func lastLine(text []byte) (before, last []byte) {
	start := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
	return text[:start], text[start : len(text)-1]
}

// continues tells whether r is chained to the last line of before, if there is
// one.
func continues(r Record, before []byte) bool {
	if len(before) == 0 {
		return true
	}
	_, last := lastLine(before)
	return r.Prev == hashLine(last)
}

// cut takes what follows the last record off, after keeping it aside. A segment
// in which there is no record is removed.
func (l *Log) cut(s segment, end segmentEnd) error {
	path := filepath.Join(l.options.Dir, s.name)
	if err := l.keepTorn(s.name, end.torn); err != nil {
		return err
	}
	switch {
	case end.size == 0:
		if err := l.fs.remove(path); err != nil {
			return err
		}
		return l.fs.syncDir(l.options.Dir)
	case len(end.torn) > 0:
		f, err := l.fs.open(path, os.O_RDWR)
		if err != nil {
			return err
		}
		return errors.Join(f.Truncate(end.size), f.Sync(), f.Close())
	}
	return nil
}

// readJournals returns the journal files, and the intents in them, each once, as
// they came.
func (l *Log) readJournals() (paths []string, intents []Record, err error) {
	entries, err := os.ReadDir(l.options.Dir) // sorted by name
	if err != nil {
		return nil, nil, err
	}
	seen := make(map[string]bool)
	for _, e := range entries {
		if !isJournal(e.Name()) {
			continue
		}
		path := filepath.Join(l.options.Dir, e.Name())
		paths = append(paths, path)
		list, torn, err := readJournal(path)
		if err != nil {
			return nil, nil, err
		}
		if err := l.keepTorn(e.Name(), torn); err != nil {
			return nil, nil, err
		}
		for _, r := range list {
			if !seen[r.ID] {
				seen[r.ID] = true
				intents = append(intents, r)
			}
		}
	}
	return paths, intents, nil
}

// readJournal returns the intents in a journal file, and what is none.
func readJournal(path string) (intents []Record, torn []byte, err error) {
	f, _, err := openRegular(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		return nil, nil, err
	}
	content = bytes.TrimRight(content, "\x00") // room that nothing was written to
	for text := range bytes.Lines(content) {
		text = bytes.TrimLeft(text, "\x00") // room whose lines a loss of power has taken
		if r, err := decode(bytes.TrimSuffix(text, []byte("\n"))); err != nil {
			torn = append(torn, text...)
		} else {
			intents = append(intents, r)
		}
	}
	return intents, torn, nil
}

// recordInterrupted gives each intent without a record one.
func (l *Log) recordInterrupted(intents []Record) error {
	recorded, err := l.recorded(intents)
	if err != nil {
		return err
	}
	interrupted := 0
	for _, r := range intents {
		if recorded[r.ID] {
			continue
		}
		r.Code = CodeInterrupted
		r.Status, r.BytesIn, r.BytesOut, r.DurationMS = 0, 0, 0, 0
		if err := l.owe(r); err != nil {
			return err
		}
		interrupted++
	}
	if interrupted > 0 {
		l.options.Logger.Warn("audit log: recorded calls that were under way when the process ended", "calls", interrupted, "code", CodeInterrupted,
			"hint", "look in Jira whether they were carried out: jiragate audit query names them; find out why the process ended")
	}
	return nil
}

// recorded tells which of the intents have a record. Those have the time of the
// intent, so a segment that ends before the first cannot hold one.
func (l *Log) recorded(intents []Record) (map[string]bool, error) {
	found := make(map[string]bool)
	if len(intents) == 0 {
		return found, nil
	}
	wanted := make(map[string]bool, len(intents))
	var first time.Time
	for i, r := range intents {
		wanted[r.ID] = true
		if i == 0 || r.Time.Before(first) {
			first = r.Time
		}
	}
	list, err := segments(l.options.Dir)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if !first.Before(s.end()) {
			continue
		}
		for line, err := range s.lines(l.options.Dir) {
			if err != nil {
				return nil, err
			}
			if r, err := line.record(); err == nil && wanted[r.ID] {
				found[r.ID] = true
			}
		}
	}
	return found, nil
}
