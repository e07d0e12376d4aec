package cli

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"testing"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestDoubling(t *testing.T) {
	for _, row := range []struct {
		window time.Duration
		want   []time.Duration // before noon
	}{
		{time.Minute, []time.Duration{time.Minute}},
		{time.Hour, []time.Duration{time.Hour}},
		{time.Hour + time.Minute, []time.Duration{time.Hour, time.Hour + time.Minute}},
		{6 * time.Hour, []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour}},
	} {
		var got []time.Duration
		for _, begin := range doubling(noon.Add(-row.window), noon) {
			got = append(got, noon.Sub(begin))
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: %v, want %v", row.window, got, row.want)
		}
	}
	if n := len(doubling(noon.Add(-activity.Horizon), noon)); n > 12 {
		t.Errorf("%d parts: the log's newest segment is read as often", n)
	}
}

// hourly is a log of a call at each half hour.
func hourly(asked *[]audit.Filter, fails func(f audit.Filter) error) query {
	return func(ctx context.Context, f audit.Filter) iter.Seq2[audit.Entry, error] {
		*asked = append(*asked, f)
		return func(yield func(audit.Entry, error) bool) {
			if err := fails(f); err != nil && !yield(audit.Entry{}, err) {
				return
			}
			for n := range 48 {
				r := audit.Record{Seq: uint64(n + 1), Time: noon.Add(time.Duration(n-48)*time.Hour + 30*time.Minute), Method: "GET", Connection: "acme", Decision: audit.DecisionAllow, Status: 200}
				if f.Matches(&r) && !yield(audit.Entry{Record: r}, nil) {
					return
				}
			}
		}
	}
}

// What is counted in parts is what is counted at once, and of what can't be finished the
// newest parts are whole.
func TestCountActivityInParts(t *testing.T) {
	window := admin.ActivityRequest{Since: noon.Add(-12 * time.Hour), Until: noon, Step: time.Hour, Connection: "acme"}
	damage := &audit.DefectError{Segment: "2026-11-23T10.jsonl", Line: 2, Err: errors.New("no record")}
	broken := errors.New("broken")
	none := func(audit.Filter) error { return nil }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, row := range []struct {
		name   string
		parts  func(from, until time.Time) []time.Time
		ctx    context.Context
		fails  func(audit.Filter) error
		counts uint64
		since  time.Time
		want   error
	}{
		{"at once", atOnce, t.Context(), none, 12, window.Since, nil},
		{"in parts", doubling, t.Context(), none, 12, window.Since, nil},
		{"damage in the newest part", doubling, t.Context(), func(audit.Filter) error { return damage }, 12, noon, damage},
		{"damage in the oldest part", doubling, t.Context(), func(f audit.Filter) error {
			if f.Since.Equal(window.Since) {
				return damage
			}
			return nil
		}, 12, noon.Add(-8 * time.Hour), damage},
		{"a log that can't be read", doubling, t.Context(), func(audit.Filter) error { return broken }, 0, time.Time{}, broken},
		{"no time for more", doubling, ctx, func(f audit.Filter) error {
			if f.Since.Equal(noon.Add(-8 * time.Hour)) {
				cancel()
				return ctx.Err()
			}
			return nil
		}, 4, noon.Add(-4 * time.Hour), context.Canceled},
	} {
		var asked []audit.Filter
		got, err := countActivity(row.ctx, []string{t.TempDir()}, window, row.parts, hourly(&asked, row.fails))
		if !errors.Is(err, row.want) || (err == nil) != (row.want == nil) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
		for _, f := range asked {
			if f.Connection != "acme" {
				t.Errorf("%s: asked for %+v", row.name, f)
			}
		}
		if row.since.IsZero() {
			continue
		}
		if got.Series == nil || got.Total.Calls != row.counts || !got.CompleteSince.Equal(row.since) {
			t.Errorf("%s: %+v, want %d calls, complete since %s", row.name, got.Series, row.counts, row.since)
		}
	}
}

// Where the log begins later, nothing before it is whole.
func TestCountBackOfALogWithoutItsBeginning(t *testing.T) {
	board := activity.New(activity.Options{Now: func() time.Time { return noon }})
	begun := noon.Add(-30 * time.Hour)
	var asked []audit.Filter
	err := countBack(t.Context(), board, activity.Past{Since: begun, Found: math.MaxUint64}, []time.Time{noon.Add(-25 * time.Hour), noon.Add(-activity.Horizon)}, audit.Filter{},
		hourly(&asked, func(audit.Filter) error { return nil }))
	if err != nil {
		t.Fatal(err)
	}
	s, err := board.Series(noon.Add(-48*time.Hour), noon, time.Hour)
	if err != nil || s.Total.Calls != 48 || !s.CompleteSince.Equal(begun) {
		t.Errorf("%+v, %v", s, err)
	}
	if len(asked) != 2 || !asked[0].Until.IsZero() || !asked[1].Until.Equal(asked[0].Since) {
		t.Errorf("asked for %+v", asked)
	}
}
