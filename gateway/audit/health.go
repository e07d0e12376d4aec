package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// flushInterval is how long a record that nobody waits for may be on its
	// way to the disk.
	flushInterval = 100 * time.Millisecond
	// retryInterval is how often a log that cannot write tries again.
	retryInterval = 500 * time.Millisecond
)

// health is whether records can be written. Once something failed, new calls
// are turned away until [Log.heal] has found that writing works again.
type health struct {
	ill        atomic.Bool // err is set; changed with mu held
	mu         sync.Mutex
	err        error // nil while all is well
	late       []late
	turnedAway int // calls since err
}

// late is a finished record that could not be written yet. Their number is
// bounded by the calls that were under way when writing failed.
type late struct {
	pending *Pending
	record  Record
}

// current is what hinders writing, or nil.
func (h *health) current() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// refusal is current for a call that is turned away because of it.
func (h *health) refusal() error {
	if !h.ill.Load() {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		h.turnedAway++
	}
	return h.err
}

// failed notes err and tells if it is news.
func (h *health) failed(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	news := h.err == nil
	h.err = err
	h.ill.Store(true)
	return news
}

// postpone keeps a record until it can be written.
func (h *health) postpone(r late) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late = append(h.late, r)
}

// unwritten is how many records are postponed.
func (h *health) unwritten() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.late)
}

// nextLate is the record that has waited longest.
func (h *health) nextLate() (late, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.late) == 0 {
		return late{}, false
	}
	return h.late[0], true
}

// lateWritten takes the one of nextLate off.
func (h *health) lateWritten() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late = h.late[1:]
}

// recovered lets calls in again, and returns how many were turned away. It does
// nothing if a record has come late meanwhile.
func (h *health) recovered() (turnedAway int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.late) > 0 {
		return 0, false
	}
	turnedAway, h.err, h.late, h.turnedAway = h.turnedAway, nil, nil, 0
	h.ill.Store(false)
	return turnedAway, true
}

// failed makes err, of writing, the answer to the calls to come, and returns it
// as the caller's answer.
func (l *Log) failed(err error) error {
	if l.chain.closed.Load() {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	if l.health.failed(err) {
		l.options.Logger.Error("audit log: cannot write; calls are refused until it works again", "dir", l.options.Dir, "error", err,
			"hint", "free the disk or make it writable; the gateway goes on by itself")
	}
	l.wake()
	return err
}

// wake tells the keeper that there is work. It never blocks.
func (l *Log) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// keep does, until Close, what nobody waits for: flushing, keeping the journal
// small, and trying again what failed. It sleeps while nothing is written.
func (l *Log) keep() {
	defer close(l.stopped)
	for {
		select {
		case <-l.stop:
			return
		case <-l.kick:
		}
		pause := flushInterval
		if l.health.current() != nil {
			pause = retryInterval
		}
		select {
		case <-l.stop:
			return
		case <-time.After(pause):
		}
		l.tend()
	}
}

func (l *Log) tend() {
	if l.health.current() != nil && !l.heal() {
		l.wake()
		return
	}
	if err := l.flush(); err != nil {
		l.failed(err)
	}
}

func (l *Log) flush() error {
	if err := l.chain.flush(); err != nil {
		return err
	}
	for _, f := range l.journal.files() {
		if err := f.syncAll(); err != nil {
			return err
		}
	}
	return l.journal.tidy(l.chain.flush)
}

// heal finds out if writing works again, writes what is owed, and lets calls in
// again if so.
func (l *Log) heal() bool {
	err := l.repair()
	if err != nil {
		l.health.failed(fmt.Errorf("%w: %w", ErrUnavailable, err))
		return false
	}
	turnedAway, ok := l.health.recovered()
	if ok {
		l.options.Logger.Info("audit log: writing works again", "dir", l.options.Dir, "calls_turned_away", turnedAway)
	}
	return ok
}

func (l *Log) repair() error {
	files := l.journal.files()
	if f := l.chain.newest(); f != nil {
		files = append(files, f)
	}
	for _, f := range files {
		if err := f.repair(); err != nil {
			return err
		}
	}
	for {
		r, ok := l.health.nextLate()
		if !ok {
			break
		}
		if err := l.owe(r.record); err != nil {
			return err
		}
		l.done(r.pending)
		l.health.lateWritten()
	}
	return l.probe()
}

// probe writes as much as one record can need to a file of its own, and removes
// it. Without it, a log that nobody may write to would never know that it could.
func (l *Log) probe() error {
	path := filepath.Join(l.options.Dir, "probe")
	f, err := l.fs.open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("probe the disk: %w", err)
	}
	_, err = f.WriteAt(make([]byte, maxLine), 0)
	if err == nil {
		err = f.Sync()
	}
	f.Close()
	if gone := l.fs.remove(path); err == nil {
		err = gone
	}
	if err != nil {
		return fmt.Errorf("probe the disk: %w", err)
	}
	return nil
}
