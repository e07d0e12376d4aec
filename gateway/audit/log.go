package audit

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// Log writes call records. One process at a time has the log of a directory
// open. All methods are safe for concurrent use.
type Log struct {
	options Options
	fs      fileSystem
	lock    *os.File
	journal *journal
	health  health
	chain   chain
	drafts  drafts
	found   uint64 // records before Open wrote any

	attester *attester
	keeper   *housekeeper

	kick    chan struct{} // there is work for the keeper
	stop    chan struct{}
	stopped chan struct{}
}

// Open opens the log in o.Dir, making it at first. It repairs what a crash left:
// an unfinished last line is put aside in a file torn-….bin, with a record of it
// ([OperationRepair]), and a call of which there is an intent but no record gets one
// now, with the time of its intent and [CodeInterrupted]. Both are said through
// o.Logger.
//
// A broken record further up does not keep Open from going on after the last
// good one; it is for [Verify] to find. But with a Signer it does not go on with a
// log that its newest checkpoint was not signed for.
//
// The errors are [ErrLocked], [ErrDamaged] if more is unreadable at the end than
// a crash can leave so, [ErrContradicted], one that names a directory open to
// others, and those of the file system.
func Open(o Options) (*Log, error) {
	return open(o, disk{})
}

func open(o Options, fsys fileSystem) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := openDir(o.Dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	l := &Log{
		options: o, fs: fsys, lock: lock,
		chain: chain{fs: fsys, dir: o.Dir, limit: o.SegmentSize},
		kick:  make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	l.attester, l.keeper = newAttester(l), newHousekeeper(l)
	if err := l.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the audit log: %w", err), l.chain.close(), lock.Close())
	}
	_ = l.attester.attest() // it has said what fails, and goes on trying
	go l.keep()
	go l.attester.run()
	go l.keeper.run()
	return l, nil
}

// Append writes one finished record, of a call that does not go out, and returns
// it as written, with Seq and Prev. An empty ID or Time is filled in. In mode
// [SyncEach] it is on disk then.
//
// The errors are [ErrUnavailable], after which the record may or may not be in
// the log, [ErrClosed], and one for a Decision that is neither of the two.
func (l *Log) Append(r Record) (Record, error) {
	l.prepare(&r)
	if err := r.check(); err != nil {
		return Record{}, err
	}
	if err := l.health.refusal(); err != nil {
		return Record{}, err
	}
	d := l.drafts.get()
	at, err := l.chain.append(&r, &d.entry, d.make(&r))
	l.drafts.put(d)
	if err != nil {
		return Record{}, l.failed(err)
	}
	l.written(&r)
	if err := l.settle(at); err != nil {
		return Record{}, err
	}
	return r, nil
}

// Begin writes the intent of a call that is about to go out: r as far as it is
// known, with Decision "allow". An empty ID or Time is filled in. When Begin
// returns without an error, the intent is on disk if [SyncMode] says so, and the
// call may go out; it must be completed. After an error the call must not go
// out, nor be completed; should the process end soon after it, the call may
// stand in the log as interrupted, which says too much rather than too little.
//
// The errors are [ErrUnavailable], [ErrClosed], and one for a Decision other
// than "allow" or the ID of a call under way.
func (l *Log) Begin(r Record) (*Pending, error) {
	l.prepare(&r)
	if r.Decision != DecisionAllow {
		return nil, fmt.Errorf("begin call record %s: decision is %q: only an allowed call has an intent, append a refusal", shown(r.ID), shown(r.Decision))
	}
	r.Seq, r.Prev = 0, ""
	if err := l.health.refusal(); err != nil {
		return nil, err
	}
	d := l.drafts.get()
	d.begin(&r)
	p := &Pending{log: l, draft: d, id: r.ID, time: r.Time}
	at, admitted, err := l.journal.begin(p)
	if err != nil {
		l.drafts.put(d)
		if admitted {
			err = l.failed(err)
		}
		return nil, err
	}
	if !l.options.Sync.intentWaits(r.Method) {
		l.wake()
		return p, nil
	}
	if err := at.wait(); err != nil {
		l.done(p)
		return nil, l.failed(err)
	}
	return p, nil
}

// Pending is a call under way: its intent is written, its record is not.
type Pending struct {
	log *Log
	id  string
	// time is that of the intent.
	time      time.Time
	*draft    // until the record is written
	completed atomic.Bool

	// Of the journal's mutex.
	generation *generation
	hash       uint64
	next       *Pending // see underWay
	at         position // of the intent
	err        error    // of writing it
	tried      bool     // to write it
}

// ID returns the id of the record.
func (p *Pending) ID() string { return p.id }

// Complete writes the one record of the call and returns it as written, with Seq
// and Prev. r is the whole record, not only what is new; but ID and Time are
// those of the intent whatever r says, and so is Decision if it is neither of
// the two. Complete may be called once.
//
// After [ErrUnavailable] the record is not lost: the log goes on trying to write
// it, and if the process ends first, the call is recorded as interrupted.
// [Log.Ready] tells. After [ErrClosed] it is recorded as interrupted by the next
// Open.
func (p *Pending) Complete(r Record) (Record, error) {
	if !p.completed.CompareAndSwap(false, true) {
		return Record{}, fmt.Errorf("complete call record %s: it is complete already", p.id)
	}
	r.ID, r.Time = p.id, p.time
	if !r.isDecided() {
		r.Decision = DecisionAllow // as every intent has it
	}
	written, err := p.log.complete(p, &r)
	if !written {
		return Record{}, err
	}
	return r, err
}

// complete tells, too, whether the record is in the log, on disk or not.
func (l *Log) complete(p *Pending, r *Record) (written bool, err error) {
	at, err := l.chain.append(r, &p.entry, p.finish(r))
	switch {
	case errors.Is(err, ErrClosed):
		return false, err
	case err != nil:
		l.health.postpone(late{p, *r})
		return false, l.failed(err)
	}
	l.done(p)
	l.written(r)
	return true, l.settle(at)
}

// done forgets a call whose record is in the log or which does not go out.
func (l *Log) done(p *Pending) {
	l.journal.done(p)
	l.drafts.put(p.draft)
	p.draft = nil
}

// owe writes a record that the log owes, closed or not.
func (l *Log) owe(r Record) error {
	if err := l.chain.appendOwed(&r, appendBody(nil, &r)); err != nil {
		return err
	}
	l.written(&r)
	return nil
}

// written tells of a record that is in the log.
func (l *Log) written(r *Record) {
	l.attester.wake()
	if l.options.Observe != nil {
		l.options.Observe(*r)
	}
}

// settle waits for the disk where the mode asks it, and leaves it to the keeper
// elsewhere.
func (l *Log) settle(at position) error {
	if l.options.Sync != SyncEach {
		l.wake()
		return nil
	}
	if err := at.wait(); err != nil {
		return l.failed(err)
	}
	return nil
}

// prepare fills in what a record must have. What writes it makes it canonical.
func (l *Log) prepare(r *Record) {
	if r.ID == "" {
		r.ID = NewID()
	}
	if r.Time.IsZero() {
		r.Time = l.options.Now()
	}
}

// Found returns how many records there were before Open wrote any: the seq of the
// last of them. Those up to it are the past, to be read with [Query]; each one after
// it is given to [Options.Observe], and no other.
func (l *Log) Found() uint64 { return l.found }

// Ready returns nil while records can be written, and otherwise what hinders
// it; calls are refused then.
func (l *Log) Ready() error {
	if l.chain.closed.Load() {
		return ErrClosed
	}
	return l.health.current()
}

// Close brings everything to disk and gives the directory free. Calls that are
// still under way are recorded as interrupted by the next Open. An error means
// that something may not be on disk. A second Close returns [ErrClosed].
func (l *Log) Close() error {
	if !l.chain.shut() {
		return ErrClosed
	}
	l.keeper.close()
	close(l.stop)
	<-l.stopped
	if l.health.current() != nil {
		l.heal()
	}
	err := l.chain.flush()
	if err == nil && l.journal.idle() {
		err = l.journal.clear()
	} else {
		err = errors.Join(err, l.journal.close())
	}
	return errors.Join(err, l.attester.close(), l.chain.close(), l.lock.Close())
}
