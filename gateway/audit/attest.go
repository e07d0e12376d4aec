package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"jiragate/gateway/audit/checkpoint"
)

// checkpointInterval is how long a record may be without a checkpoint that covers
// it, while the log can be written.
const checkpointInterval = time.Second

// attester signs the head of the log from time to time, and keeps the tree beside
// the segments. Nothing waits for it but [Log.Close].
type attester struct {
	log    *Log
	kick   chan struct{}
	ending chan struct{}
	ended  chan struct{}

	size atomic.Uint64 // of the newest checkpoint; changed with mu held
	made atomic.Int64  // when, in nanoseconds of Unix time; 0 before the first of this process

	mu          sync.Mutex
	tree        *tree        // over all lines that were taken; nil if it can't be known
	newest      leafBatch    // the segment in which it ends; no leaves
	unwritten   []leafBatch  // leaves that are not in their files yet
	unsigned    []closedTree // ends of closed segments without their checkpoint
	failing     error        // why there is no newer checkpoint
	successions int          // that are beside the log
	verifier    string       // that the newest checkpoint is signed by
}

func newAttester(l *Log) *attester {
	return &attester{log: l, kick: make(chan struct{}, 1), ending: make(chan struct{}), ended: make(chan struct{})}
}

// wake tells the attester that there is something new. It never blocks.
func (a *attester) wake() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

// run attests until close.
func (a *attester) run() {
	defer close(a.ended)
	for {
		select {
		case <-a.ending:
			return
		case <-a.kick:
		}
		_ = a.attest() // it has said what fails, and is woken again
		select {
		case <-a.ending:
			return
		case <-time.After(checkpointInterval):
		}
	}
}

// close attests a last time. Nothing is written to the log any more.
func (a *attester) close() error {
	close(a.ending)
	<-a.ended
	return a.attest()
}

// attest brings everything up to the present head of the log. What fails is said
// once, and tried again.
func (a *attester) attest() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.catchUp()
	logger := a.log.options.Logger
	switch {
	case err != nil && a.failing == nil:
		logger.Error("audit log: no checkpoint; the records after the last one are unproven until there is one", "checkpoint", a.size.Load(), "error", err,
			"hint", "the error says what failed: the disk, or the audit key; it is tried again")
	case err == nil && a.failing != nil:
		logger.Info("audit log: checkpoints work again", "checkpoint", a.size.Load())
	}
	if a.failing = err; err != nil {
		a.wake()
	}
	return err
}

func (a *attester) catchUp() error {
	runs := a.log.chain.takeLeaves()
	if a.tree == nil {
		return nil
	}
	for _, run := range runs {
		a.grow(run)
	}
	unwritten := a.writeLeaves() // the tree beside a segment can be made again
	if a.tree.size == 0 || a.log.options.Signer == nil {
		a.unsigned = nil
		return unwritten
	}
	if err := a.writeSuccessions(); err != nil {
		return err
	}
	// Only what no loss of power can take away again is signed: a log must never
	// contradict its checkpoint.
	if err := a.log.chain.flush(); err != nil {
		return fmt.Errorf("bring the log to disk before its head is signed: %w", err)
	}
	for len(a.unsigned) > 0 {
		if err := a.sign(a.unsigned[0]); err != nil {
			return err
		}
		a.unsigned = a.unsigned[1:]
	}
	return errors.Join(unwritten, a.sign(a.head()))
}

func (a *attester) writeLeaves() error {
	for len(a.unwritten) > 0 {
		if err := a.unwritten[0].write(a.log.fs, a.log.options.Dir); err != nil {
			return err
		}
		a.unwritten = a.unwritten[1:]
	}
	return nil
}

// closedTree is the tree at the end of a segment, as far as that was written.
type closedTree struct {
	segment segment
	size    uint64
	root    hash
}

func (a *attester) head() closedTree {
	return closedTree{a.newest.segment, a.tree.size, a.tree.root()}
}

// grow adds leaves to the tree.
func (a *attester) grow(run leafRun) {
	if a.newest.segment != run.segment {
		if a.newest.before != nil {
			a.unsigned = append(a.unsigned, a.head())
		}
		a.newest = leafBatch{segment: run.segment, before: a.tree.clone()}
	}
	a.tree.append(run.leaves...)
	batch := a.newest
	batch.leaves = run.leaves
	a.unwritten = append(a.unwritten, batch)
	a.newest.from += uint64(len(run.leaves))
}

// begin takes the tree as it is when the log is opened: before the newest segment,
// and the leaves of that.
func (a *attester) begin(s segment, before *tree, leaves []hash) {
	a.tree = before.clone()
	if s.part > 0 {
		a.newest = leafBatch{segment: s, before: before}
		a.grow(leafRun{s, leaves})
	}
}

// sign writes the checkpoint of the log as it ended with the given tree beside the
// segment that it ended in, in place of an earlier one of that segment.
func (a *attester) sign(t closedTree) error {
	l := a.log
	verifier := newestOf(l.options.Signer.Verifiers())
	if t.size == a.size.Load() && verifier == a.verifier {
		return nil
	}
	c := checkpoint.Checkpoint{Origin: l.options.Signer.Name(), Size: t.size, Root: t.root}
	signed, err := l.options.Signer.Sign(c.Text())
	if err != nil {
		return fmt.Errorf("sign the checkpoint of %d records: %w", t.size, err)
	}
	path := filepath.Join(l.options.Dir, t.segment.checkpointName())
	if err := replaceFile(l.fs, path, signed); err != nil {
		return fmt.Errorf("write the checkpoint of %d records: %w", t.size, err)
	}
	a.size.Store(t.size)
	a.made.Store(time.Now().UnixNano())
	a.verifier = verifier
	if l.options.Checkpointed != nil {
		l.options.Checkpointed(signed, t.size)
	}
	return nil
}

func newestOf(verifiers []string) string {
	if len(verifiers) == 0 {
		return ""
	}
	return verifiers[len(verifiers)-1]
}

// successionSuffix ends the names of the notes by which one signing key endorses
// the next: key-0001.succession, and so on.
const successionSuffix = ".succession"

// writeSuccessions puts the successions of the signing key beside the log, so that
// it can be verified by who knows the first key alone.
func (a *attester) writeSuccessions() error {
	notes := a.log.options.Signer.Successions()
	for ; a.successions < len(notes); a.successions++ {
		path := filepath.Join(a.log.options.Dir, fmt.Sprintf("key-%04d%s", a.successions+1, successionSuffix))
		there, err := readSmall(path)
		if err == nil && bytes.Equal(there, notes[a.successions]) {
			continue
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("write the succession of the signing key: %w", err)
		}
		if err := replaceFile(a.log.fs, path, notes[a.successions]); err != nil {
			return fmt.Errorf("write the succession of the signing key: %w", err)
		}
	}
	return nil
}

// Checkpoint tells how many records there are, and how many of them the newest
// checkpoint covers. It does not wait for one that is being made.
func (l *Log) Checkpoint() (records, covered uint64) {
	covered = l.attester.size.Load() // first, so that it is never ahead
	l.chain.mu.Lock()
	defer l.chain.mu.Unlock()
	return l.chain.seq, covered
}
