package cli

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
)

// lastCall is what the console shows of the newest call of a connection or client.
func lastCall(recent func(name string) (activity.Recent, bool)) func(string) (admin.LastCall, bool) {
	return func(name string) (admin.LastCall, bool) {
		r, ok := recent(name)
		return admin.LastCall(r.Last), ok
	}
}

// watch is what a page follows.
func (s *Server) watch(ctx context.Context) (iter.Seq2[audit.Record, uint64], error) {
	events, err := s.engine.activity.Watch(ctx)
	if err != nil {
		return nil, err
	}
	return func(yield func(audit.Record, uint64) bool) {
		for e := range events {
			if !yield(e.Record, e.Missed) {
				return
			}
		}
	}, nil
}

// patience is how long what one connection did is counted for who asks. What is older
// than what was counted by then is left out, and the answer says so.
const patience = 5 * time.Second

// counted is what happened lately. That of one connection is counted when it is asked
// for.
func (s *Server) counted(ctx context.Context, q admin.ActivityRequest) (admin.Activity, error) {
	if q.Connection == "" {
		return seriesOf(s.engine.activity, q.Since, q.Until, q.Step)
	}
	counting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	counted, err := countActivity(counting, []string{s.config.auditDir()}, q, doubling, s.reader.query)
	switch {
	case ctx.Err() != nil: // whoever asked has gone
	case isDamage(err): // it is told of where records are listed
		err = nil
	case errors.Is(err, context.DeadlineExceeded): // Activity.CompleteSince tells it
		err = nil
	}
	return counted, err
}

// readBack counts what happened before this start: the last day first. Until it is
// done, charts say from when on they are whole.
func (s *Server) readBack(ctx context.Context) {
	now := time.Now()
	oldest := now.Add(-activity.Horizon)
	dir := s.config.auditDir()
	begun, err := logBegins(dir, oldest)
	if err == nil {
		past := activity.Past{Since: begun, Found: s.engine.audit.Found()}
		err = countBack(ctx, s.engine.activity, past, []time.Time{now.Add(-activity.FineHorizon), oldest}, audit.Filter{},
			func(_ context.Context, f audit.Filter) iter.Seq2[audit.Entry, error] {
				return unhurried(audit.Query(dir, f))
			})
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("not all of the audit log could be counted for charts", "error", err, "hint", "charts begin later than the log; jiragate audit verify tells what can't be read")
	}
}

// unhurried is records, read so that calls go first: where there is one processor only,
// they would wait for 10 ms otherwise, until the scheduler takes it from the reader.
func unhurried(records iter.Seq2[audit.Entry, error]) iter.Seq2[audit.Entry, error] {
	const atOnce = 16 // about 0.2 ms
	return func(yield func(audit.Entry, error) bool) {
		n := 0
		for e, err := range records {
			if !yield(e, err) {
				return
			}
			if n++; n%atOnce == 0 {
				runtime.Gosched()
			}
		}
	}
}
