package admin

import (
	"errors"
	"net/http"
	"time"

	"jiragate/gateway/audit/activity"
)

const (
	minStep = time.Minute
	maxStep = 24 * time.Hour
	// defaultStep and defaultActivity are of a chart of the last day.
	defaultStep     = 5 * time.Minute
	defaultActivity = 24 * time.Hour
)

// ActivityRequest asks what happened from Since to Until, step by step: a Step is of
// whole minutes.
type ActivityRequest struct {
	Since, Until time.Time // UTC
	Step         time.Duration
	Connection   string // empty means all
}

// Activity is what happened, step by step.
type Activity struct {
	*activity.Series
	Refusals []activity.CodeCount `json:"refusals"` // by code, the most frequent first
}

// showActivity answers with what charts are made of. Without parameters they are of the
// last 24 hours, by 5 minutes.
func (a *API) showActivity(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r, "since", "until", "step", "connection")
	now := a.o.Now().UTC()
	q := ActivityRequest{Until: p.time("until", now, now), Connection: p.text("connection")}
	q.Since = p.time("since", now, q.Until.Add(-defaultActivity))
	q.Step = time.Duration(p.number("step", uint64(minStep/time.Second), uint64(maxStep/time.Second), uint64(defaultStep/time.Second))) * time.Second
	switch {
	case q.Step%time.Minute != 0:
		p.fail("step: use whole minutes, in seconds, as 300")
	case !q.Since.Before(q.Until):
		p.fail("until: it must be later than since")
	// The difference of times is cut at 292 years, which is far too much, too.
	case q.Until.Sub(q.Since) > activity.MaxPoints*q.Step:
		p.fail("step: from since to until are more than %d steps; use a longer step", activity.MaxPoints)
	}
	if p.err != nil {
		return p.err
	}
	ctx := r.Context()
	if q.Connection != "" { // else nothing is read: it was counted before, and waits for no question
		asked, done, err := a.ask(r)
		if err != nil {
			return err
		}
		defer done()
		ctx = asked
	}
	found, err := a.o.Log.Activity(ctx, q)
	switch {
	case errors.Is(err, activity.ErrWindow):
		return invalid("%v", err)
	case err != nil:
		return logProblem(err)
	}
	if found.Refusals == nil {
		found.Refusals = []activity.CodeCount{}
	}
	return writeJSON(w, http.StatusOK, found)
}
