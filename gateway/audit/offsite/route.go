package offsite

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// The first wait after a failure, which doubles with each further one up to
	// longestWait, times 0.7 to 1.
	firstWait   = time.Second
	longestWait = 5 * time.Minute

	// An attempt that lasts longer is reported as a failure, but not ended: the
	// operating system may never let go of a file. Endpoints end before.
	stallAfter = 30 * time.Second
)

// errStalled is what an attempt's problem is while it hangs.
var errStalled = errors.New("an attempt has been under way for more than " + stallAfter.String() + ", and is waited for")

// route brings checkpoints to one place. All but the attempts happens in the
// goroutine of its run.
type route struct {
	newest   func() *checkpoint // nil before the first
	way      way
	interval time.Duration
	wake     chan struct{} // something was offered
	log      *slog.Logger
	meters   placeMeters

	delivered *checkpoint
	due       time.Time // not before
	failures  int       // in a row
	conflict  bool      // one of them was that the place contradicts it

	mu     sync.Mutex
	status Status
}

// run delivers until ctx ends, and tries once more then. It returns soon after the
// context of the attempts has ended, whatever happens to them.
func (r *route) run(ctx, attempts context.Context) {
	for ctx.Err() == nil {
		c := r.undelivered()
		if c == nil {
			select {
			case <-ctx.Done():
			case <-r.wake:
			}
			continue
		}
		if wait := time.Until(r.due); wait > 0 {
			sleep(ctx, wait) // what is offered meanwhile waits, too
			continue
		}
		r.attempt(attempts, c)
	}
	if c := r.undelivered(); c != nil && attempts.Err() == nil {
		r.attempt(attempts, c)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// undelivered returns the newest checkpoint, or nil if the place has it.
func (r *route) undelivered() *checkpoint {
	c := r.newest()
	if c == nil || c.equals(r.delivered) {
		return nil
	}
	return c
}

// attempt tries to deliver c. If ctx ends and the attempt doesn't, it is left
// behind.
func (r *route) attempt(ctx context.Context, c *checkpoint) {
	if c.defect != nil {
		r.failed(ctx, c.defect)
		return
	}
	outcome := make(chan error, 1)
	go func() { outcome <- r.way.carry(ctx, c) }()
	stall := time.NewTimer(stallAfter)
	defer stall.Stop()
	for {
		select {
		case err := <-outcome:
			r.settle(ctx, c, err)
			return
		case <-stall.C:
			r.meters.count(ctx, stalled)
			r.trouble(ctx, errStalled)
		case <-ctx.Done():
			r.failed(ctx, errors.New("the last attempt was not over in time"))
			return
		}
	}
}

func (r *route) settle(ctx context.Context, c *checkpoint, err error) {
	if err != nil {
		r.failed(ctx, err)
		return
	}
	now := time.Now()
	r.delivered, r.failures, r.conflict, r.due = c, 0, false, now.Add(r.interval)
	r.meters.count(ctx, delivered)
	r.meters.has(ctx, c.size)

	r.mu.Lock()
	since := r.status.FailingSince
	r.status.Size, r.status.Delivered = c.size, now
	r.status.FailingSince, r.status.Problem = time.Time{}, ""
	r.mu.Unlock()
	if !since.IsZero() {
		r.log.InfoContext(ctx, "checkpoints of the audit log are delivered again", "failing_since", since, "size", c.size)
	}
}

// failed puts the next attempt off.
func (r *route) failed(ctx context.Context, err error) {
	r.failures++
	r.due = time.Now().Add(wait(r.failures))
	if errors.Is(err, ErrContradicted) {
		r.meters.count(ctx, contradicted)
	} else {
		r.meters.count(ctx, failed)
	}
	r.trouble(ctx, err)
}

// trouble notes what is wrong, and says so the first time.
func (r *route) trouble(ctx context.Context, err error) {
	r.mu.Lock()
	first := r.status.FailingSince.IsZero()
	if first {
		r.status.FailingSince = time.Now()
	}
	r.status.Problem = err.Error()
	has := r.status.Size
	r.mu.Unlock()
	switch {
	case errors.Is(err, ErrContradicted):
		if !r.conflict { // whatever else was wrong before
			r.log.ErrorContext(ctx, "the audit log contradicts a checkpoint of it that is kept elsewhere", "error", err, "delivered_size", has,
				"hint", "the log was put back to an older state or written anew, or another gateway has this one's name: keep the log as it is, and compare it by jiragate audit verify --checkpoints")
		}
		r.conflict = true
	case first:
		r.log.WarnContext(ctx, "a checkpoint of the audit log can't be delivered; it will be tried again", "error", err, "delivered_size", has,
			"hint", "see that the place of JIRAGATE_AUDIT_CHECKPOINT_TO can be reached and lets the gateway write")
	}
}

func (r *route) currentStatus() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// wait returns how long to wait after so many failures in a row.
func wait(failures int) time.Duration {
	d := longestWait
	if doublings := failures - 1; doublings < 16 {
		d = min(firstWait<<doublings, longestWait)
	}
	return time.Duration(float64(d) * (0.7 + 0.3*rand.Float64()))
}
