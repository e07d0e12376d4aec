package act

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"jiragate/gateway/audit"
)

// ErrUnavailable: the act can't be recorded, so it must not be done.
var ErrUnavailable = errors.New("the act can't be recorded")

// Recorder is what a Journal needs of an audit.Log.
type Recorder interface {
	Begin(audit.Record) (*audit.Pending, error)
	Append(audit.Record) (audit.Record, error)
}

// Journal writes acts. It is safe for concurrent use if its functions are.
type Journal struct {
	// Open returns the log. It is called for each act, so that it can be opened by
	// the first.
	Open func() (Recorder, error)
	// PolicySHA256 tells the policy in force.
	PolicySHA256 func() string
	// ClientAddr returns where an act came from as it may be written. Optional: nil
	// means as it is.
	ClientAddr func(addr string) string
	Now        func() time.Time
	Logger     *slog.Logger

	mu       sync.Mutex
	underWay int
	idle     chan struct{} // is closed when nothing is under way; nil if nobody waits
}

// Act is one that has begun. It is for one goroutine.
type Act struct {
	journal *Journal
	ctx     context.Context
	pending *audit.Pending
	record  audit.Record
	began   time.Time
	ended   bool
}

// Begin writes the intent of an act by whoever ctx says, of which r tells the rest.
// When it returns without an error the act may be done, and must be ended; it should
// be done whole, even if ctx ends now. Otherwise it must not be done: the error is
// [ErrUnavailable], or that of a ctx that has ended already.
func (j *Journal) Begin(ctx context.Context, r audit.Record) (_ *Act, err error) {
	j.enter()
	defer func() {
		if err != nil {
			j.leave()
		}
	}()
	// Looked at after entering: whoever ends ctx, and then waits, misses no act.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r = j.signed(ctx, r)
	r.Decision = audit.DecisionAllow
	log, err := j.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	intent := r
	// A log that syncs the intents of writes only takes them from the method, and
	// one act, the consent, comes by GET.
	intent.Method = ""
	p, err := log.Begin(intent)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return &Act{journal: j, ctx: ctx, pending: p, record: r, began: j.Now()}, nil
}

// ID returns the id of the act's record.
func (a *Act) ID() string { return a.pending.ID() }

// End writes what came of the act: the HTTP status that its caller gets, and the
// code of a refusal or failure, empty if all went well. A 4xx with a code is a
// refusal: nothing was changed. Ending an act again changes nothing.
func (a *Act) End(status int, code string) {
	if a.ended {
		return
	}
	a.ended = true
	defer a.journal.leave()
	r := outcome(a.record, status, code)
	r.DurationMS = float64(a.journal.Now().Sub(a.began)) / float64(time.Millisecond)
	// The intent is written: the log goes on trying, and says so itself.
	if _, err := a.pending.Complete(r); err != nil {
		a.journal.Logger.ErrorContext(a.ctx, "the outcome of an act is not recorded yet", "operation", r.Operation, "record", a.pending.ID(), "error", err,
			"hint", "free the disk of JIRAGATE_DATA_DIR or make it writable; the log goes on trying")
	}
}

// Refuse writes an act that was refused before it had begun. r may have an id
// already. That it can't be written is logged: a refusal stands all the same.
func (j *Journal) Refuse(ctx context.Context, r audit.Record, status int, code string) {
	j.enter()
	defer j.leave()
	r = outcome(j.signed(ctx, r), status, code)
	r.Decision = audit.DecisionDeny
	log, err := j.Open()
	if err == nil {
		_, err = log.Append(r)
	}
	if err != nil {
		j.Logger.ErrorContext(ctx, "a refused act is not recorded", "operation", r.Operation, "code", code, "error", err,
			"hint", "free the disk of JIRAGATE_DATA_DIR or make it writable; this line is all there is of the act")
	}
}

// Wait returns when no act is under way, or with the error of ctx when that ends
// first. It doesn't keep acts from beginning: that is for whoever serves them.
func (j *Journal) Wait(ctx context.Context) error {
	j.mu.Lock()
	if j.underWay == 0 {
		j.mu.Unlock()
		return nil
	}
	if j.idle == nil {
		j.idle = make(chan struct{})
	}
	idle := j.idle
	j.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for acts under way: %w", ctx.Err())
	}
}

func (j *Journal) enter() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.underWay++
}

func (j *Journal) leave() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.underWay--; j.underWay == 0 && j.idle != nil {
		close(j.idle)
		j.idle = nil
	}
}

// Address returns where an act came from as it may be written: here, and in the
// program's log.
func (j *Journal) Address(addr string) string {
	if j.ClientAddr == nil {
		return addr
	}
	return j.ClientAddr(addr)
}

func (j *Journal) signed(ctx context.Context, r audit.Record) audit.Record {
	who := From(ctx)
	r.Client, r.ClientAddr = who.Name, j.Address(who.Addr)
	r.PolicySHA256 = j.PolicySHA256()
	return r
}

func outcome(r audit.Record, status int, code string) audit.Record {
	r.Status, r.Code = status, code
	r.Decision = audit.DecisionAllow
	if code != "" && status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		r.Decision = audit.DecisionDeny
	}
	return r
}
