package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"jiragate/gateway/audit/checkpoint"
)

// housekeepingInterval is how often closed segments are looked at: a new one is
// compressed, an old one removed.
const housekeepingInterval = time.Minute

// housekeeper compresses closed segments, and removes those whose retention has
// ended. Calls do not wait for it.
type housekeeper struct {
	log    *Log
	ending chan struct{}
	ended  chan struct{}

	mu     sync.Mutex // held while one tidies
	failed string     // what was said last, so that it is said once
}

func newHousekeeper(l *Log) *housekeeper {
	return &housekeeper{log: l, ending: make(chan struct{}), ended: make(chan struct{})}
}

func (h *housekeeper) close() {
	close(h.ending)
	<-h.ended
}

func (h *housekeeper) run() {
	defer close(h.ended)
	for {
		select { // at first, too: a command that writes a record leaves it to the gateway
		case <-h.ending:
			return
		case <-time.After(housekeepingInterval):
		}
		h.tidy()
	}
}

// stopping tells whether the log is being closed.
func (h *housekeeper) stopping() bool {
	select {
	case <-h.ending:
		return true
	default:
		return false
	}
}

func (h *housekeeper) tidy() {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := errors.Join(h.removeOld(), h.compress())
	switch {
	case err == nil:
		h.failed = ""
	case err.Error() != h.failed:
		h.failed = err.Error()
		h.log.options.Logger.Error("audit log: closed segments are not compressed or removed as they should be", "error", err,
			"hint", "the error names the file: see its mode and the disk; it is tried again each minute")
	}
}

// closed lists the segments that are not written any more.
func (h *housekeeper) closed() ([]segment, error) {
	return h.closedBefore(h.log.chain.newestSegment())
}

func (h *housekeeper) closedBefore(newest segment) ([]segment, error) {
	list, err := segments(h.log.options.Dir)
	if err != nil {
		return nil, err
	}
	for i, s := range list {
		if s.compare(newest) >= 0 {
			return list[:i], nil
		}
	}
	return list, nil
}

func (h *housekeeper) compress() error {
	list, err := h.closed()
	if err != nil {
		return err
	}
	waiting, failed := h.waiting(list) // one that was tampered with keeps no other from being compressed
	for i, s := range waiting {
		if h.stopping() {
			break
		}
		rest := newPace(h.ending).rest
		if len(waiting)-i > maxWaiting {
			rest = func() {}
		}
		failed = append(failed, compressSegmentResting(h.log.fs, h.log.options.Dir, s, rest))
	}
	return errors.Join(failed...)
}

// waiting are those of the closed segments that are not compressed.
func (h *housekeeper) waiting(closed []segment) (waiting []segment, failed []error) {
	for _, s := range closed {
		_, err := os.Lstat(filepath.Join(h.log.options.Dir, s.name))
		switch {
		case err == nil:
			waiting = append(waiting, s)
		case !errors.Is(err, fs.ErrNotExist):
			failed = append(failed, err)
		}
	}
	return waiting, failed
}

// removeOld removes the segments whose retention has ended, the oldest first, and
// never the newest. Before each there is a record of it.
func (h *housekeeper) removeOld() error {
	o := h.log.options
	if o.Retention == 0 {
		return nil
	}
	// Before closed, so that a segment that is begun meanwhile is not what follows.
	newest := h.log.chain.newestSegment()
	list, err := h.closedBefore(newest)
	if err != nil {
		return err
	}
	if err := h.removeCompanions(list); err != nil {
		return err
	}
	following := func(i int) segment {
		if i+1 < len(list) {
			return list[i+1]
		}
		return newest
	}
	for i, s := range list {
		if h.stopping() || o.aged().Before(s.end().Add(o.Retention)) {
			return nil
		}
		if err := h.remove(s, following(i)); err != nil {
			return fmt.Errorf("remove %s, whose retention has ended: %w", s.name, err)
		}
	}
	return nil
}

// agedBy is the time by which records grow old: now, but no later than the time that has
// really passed since the beginning allows. A clock that jumps ahead while the gateway runs
// must not have the log removed.
func agedBy(now, began time.Time, passed time.Duration) time.Time {
	if latest := began.Add(passed); latest.Before(now) {
		return latest
	}
	return now
}

// removeCompanions removes what a crash has left of a segment that was removed: files
// of before the first one that is there.
func (h *housekeeper) removeCompanions(closed []segment) error {
	first := h.log.chain.newestSegment()
	if len(closed) > 0 {
		first = closed[0]
	}
	entries, err := os.ReadDir(h.log.options.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		for _, suffix := range []string{
			checkpointSuffix, checkpointSuffix + newSuffix, treeSuffix, segmentSuffix + compressedSuffix + newSuffix,
		} {
			stem, ok := strings.CutSuffix(e.Name(), suffix)
			s, named := parseSegment(stem + segmentSuffix)
			if !ok || !named || s.compare(first) >= 0 {
				continue
			}
			if err := h.log.fs.remove(filepath.Join(h.log.options.Dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove removes s, the first that is there, which following comes after.
func (h *housekeeper) remove(s, following segment) error {
	dir := h.log.options.Dir
	before, err := treeBefore(dir, []segment{s})
	if err != nil {
		return fmt.Errorf("%s: %w", s.treeName(), err)
	}
	leaves, err := s.leaves(dir)
	if err != nil {
		return err
	}
	after := before.clone()
	after.append(leaves...)
	if after, err = h.settleTree(s, following, after); err != nil {
		return err
	}
	first := before.size + 1
	if len(leaves) > 0 { // a full disk can leave a segment without a record
		removal := Record{
			Client: ClientLog, Operation: OperationDelete, Decision: DecisionAllow,
			Path: removedPath(s.name, first, after.size),
		}
		if _, err := h.log.Append(removal); err != nil {
			return err
		}
		// The record must be proven before what it is about is gone.
		if err := h.log.chain.flush(); err != nil {
			return err
		}
		if err := h.log.attester.attest(); err != nil {
			return err
		}
	}
	if err := h.syncTree(following); err != nil {
		return err
	}
	for _, name := range []string{s.name, s.compressedName(), s.checkpointName(), s.treeName()} {
		if err := h.log.fs.remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := h.log.fs.syncDir(dir); err != nil {
		return err
	}
	h.log.options.Logger.Info("audit log: removed a segment whose retention has ended", "segment", s.name, "first", first, "last", after.size)
	return nil
}

// settleTree makes sure that the tree beside following is good before s, the segment
// before it, goes: what remains is verified from it, and nobody can make it again
// later. made is what the lines give. Where the two differ, the checkpoint of s tells
// which is right: that of lines that were changed would spoil all that remains.
func (h *housekeeper) settleTree(s, following segment, made *tree) (*tree, error) {
	stored, err := following.readTree(h.log.options.Dir, 0)
	if err != nil && !errors.Is(err, errNoTree) {
		return nil, err
	}
	if stored != nil && stored.before.equals(made) {
		return made, nil
	}
	c, err := h.checkpointOf(s)
	if err != nil {
		return nil, err
	}
	switch {
	case stored != nil && c != nil && c.Size == stored.before.size && c.Root == stored.before.root():
		return stored.before, nil
	case stored != nil && c == nil, c != nil && (c.Size != made.size || c.Root != made.root()):
		return nil, errors.New("its lines, its checkpoint and the tree beside the next segment do not agree: find the damage with jiragate audit verify")
	case following == h.log.chain.newestSegment():
		return nil, errors.New("the tree beside the segment that follows is not written yet: it is tried again")
	}
	leaves, err := following.leaves(h.log.options.Dir)
	if err != nil {
		return nil, err
	}
	batch := leafBatch{segment: following, before: made, leaves: leaves}
	return made, batch.write(h.log.fs, h.log.options.Dir)
}

// syncTree brings the tree beside s to disk.
func (h *housekeeper) syncTree(s segment) error {
	f, err := h.log.fs.open(filepath.Join(h.log.options.Dir, s.treeName()), os.O_RDWR)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), h.log.fs.syncDir(h.log.options.Dir))
}

// checkpointOf is the checkpoint beside s; nil if there is none to be had.
func (h *housekeeper) checkpointOf(s segment) (*checkpoint.Checkpoint, error) {
	if h.log.options.Signer == nil {
		return nil, nil
	}
	signed, err := readSmall(filepath.Join(h.log.options.Dir, s.checkpointName()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	trust, err := checkpoint.NewTrust(h.log.options.Signer.Verifiers()...)
	if err != nil {
		return nil, err
	}
	c, err := trust.Open(signed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.checkpointName(), err)
	}
	return &c, nil
}

// removedPath is the Path of the record of a removal.
func removedPath(name string, first, last uint64) string {
	return fmt.Sprintf("%s#%d-%d", name, first, last)
}

// removedUpTo is the last record that a removal took, according to its record; 0 if
// r is no such record.
func removedUpTo(r *Record) uint64 {
	if r.Operation != OperationDelete || r.Client != ClientLog || r.Decision != DecisionAllow {
		return 0
	}
	_, place, _ := strings.Cut(r.Path, "#")
	_, text, _ := strings.Cut(place, "-")
	last, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return last
}
