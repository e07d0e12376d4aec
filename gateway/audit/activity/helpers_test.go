package activity_test

import (
	"iter"
	"math"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
)

// noon is what the clock shows in tests.
var noon = time.Date(2026, 11, 23, 12, 30, 20, 0, time.UTC)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

// everything is a Past without records that come by Observe.
func everything(since time.Time) activity.Past {
	return activity.Past{Since: since, Found: math.MaxUint64}
}

// allowed is a call that went well, at the time.
func allowed(seq uint64, t time.Time) audit.Record {
	return audit.Record{
		Seq: seq, Time: t, Client: "billing", Connection: "acme", Edition: "cloud", Method: "GET", Operation: "myself.get",
		Decision: audit.DecisionAllow, Status: 200, DurationMS: 80, EgressIP: "203.0.113.7",
	}
}

// refused is a call that was refused with a code.
func refused(seq uint64, t time.Time, code string) audit.Record {
	r := allowed(seq, t)
	r.Decision, r.Code, r.Status, r.EgressIP, r.DurationMS = audit.DecisionDeny, code, 403, "", 0.2
	return r
}

func sequence(records ...audit.Record) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for _, r := range records {
			if !yield(audit.Entry{Record: r}, nil) {
				return
			}
		}
	}
}

func series(t interface {
	Helper()
	Fatal(...any)
}, b *activity.Board, from, until time.Time, step time.Duration) *activity.Series {
	t.Helper()
	s, err := b.Series(from, until, step)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lastHour are the counts around noon.
func lastHour(t *testing.T, b *activity.Board) activity.Counts {
	t.Helper()
	return series(t, b, noon.Add(-time.Hour), noon, time.Minute).Total.Counts
}
