package admin

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"net/http"
	"sync"
	"time"

	"jiragate/gateway/admin/reporting"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/offsite"
)

// AuditLog is the audit log as far as it is read. What is nil can't be had, as of a
// gateway that doesn't run: the routes that need it then answer that it is unavailable.
type AuditLog struct {
	// Query answers as [audit.Query] does, and ends with an error soon after ctx.
	Query func(ctx context.Context, f audit.Filter) iter.Seq2[audit.Entry, error]
	// Prove makes the proof of a record, with the errors of [audit.Prove].
	Prove func(seq uint64) (checkpoint.Proof, error)
	// Newest reads the newest signed checkpoint, with the errors of
	// [audit.NewestCheckpoint].
	Newest func() (audit.Signed, error)
	// Length tells how many records there are, and how many of them a checkpoint covers.
	Length func() (records, covered uint64)
	// Copies tells how it stands with the copies of checkpoints elsewhere; nil means
	// that none are made.
	Copies func() []offsite.Status
	// Report is where reports come from. The API sets what it knows itself: Connection
	// and Keys.
	Report *reporting.Source
	// Watch gives the records that are written from now on, until ctx ends, each with
	// the number of those before it that were lost because they were read too slowly.
	// An error means that too many watch already.
	Watch func(ctx context.Context) (iter.Seq2[audit.Record, uint64], error)
	// Activity counts what happened; a window that can't be had is an
	// [activity.ErrWindow].
	Activity func(ctx context.Context, q ActivityRequest) (Activity, error)
	// Node is the name of this gateway; empty where it has none.
	Node string
	// Published is what the gateways have published of their logs; nil where they share no
	// store.
	Published PublishedLogs
}

const (
	// questionTimeout bounds one question to the log.
	questionTimeout = 20 * time.Second
	// maxQuestions are asked at a time; further ones wait, as long as they may take.
	maxQuestions = 4
)

// reading bounds what is read of the log at a time.
type reading struct {
	questions chan struct{}
	reports   chan struct{}
	ended     chan struct{} // closed when streams are to end
	end       sync.Once
}

func newReading() *reading {
	return &reading{questions: make(chan struct{}, maxQuestions), reports: make(chan struct{}, 1), ended: make(chan struct{})}
}

// EndStreams ends the answers that have no end of their own, and those to come: a
// server that shuts down waits for them otherwise.
func (a *API) EndStreams() { a.reading.end.Do(func() { close(a.reading.ended) }) }

// ask makes the context of a question to the log. done must be called after it.
func (a *API) ask(r *http.Request) (_ context.Context, done func(), _ error) {
	ctx, cancel := context.WithTimeout(r.Context(), questionTimeout)
	select {
	case a.reading.questions <- struct{}{}:
		return ctx, func() { <-a.reading.questions; cancel() }, nil
	case <-ctx.Done():
		cancel()
		p := refuse(http.StatusServiceUnavailable, CodeUnavailable, "the audit log is asked too much at the moment")
		p.Hint = "try again later"
		return nil, nil, p
	}
}

// logProblem says what an error of the log means to who asked.
func logProblem(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		p := refuse(http.StatusServiceUnavailable, CodeUnavailable, "reading the audit log took longer than %v, and was given up", questionTimeout)
		p.Hint = "narrow the time, with since and until, or name a connection; jiragate audit query takes as long as it needs"
		return p
	case errors.Is(err, context.Canceled):
		return refuse(http.StatusServiceUnavailable, CodeUnavailable, "the caller has gone")
	case errors.Is(err, fs.ErrNotExist):
		p := refuse(http.StatusServiceUnavailable, CodeUnavailable, "there is no audit log yet")
		p.Hint = "the gateway makes it when it first starts; is JIRAGATE_DATA_DIR the right directory?"
		return p
	}
	return err
}

// withLog is h where there is what it needs of the log.
func withLog(there bool, what string, h handlerFunc) handlerFunc {
	if there {
		return h
	}
	return func(http.ResponseWriter, *http.Request) error { return noLog(what) }
}

func noLog(what string) error {
	p := refuse(http.StatusServiceUnavailable, CodeUnavailable, "%s can't be had here", what)
	p.Hint = "ask the gateway while it runs"
	return p
}
