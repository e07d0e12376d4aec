package activity_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
)

// TestALogThatIsReadWhileItIsWritten: each record counts once, those too that the log
// writes while it is opened.
func TestALogThatIsReadWhileItIsWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	write := func(l *audit.Log, n int) {
		for range n {
			if _, err := l.Append(refused(0, noon, "not_granted")); err != nil {
				t.Error(err)
			}
		}
	}
	before, err := audit.Open(audit.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	write(before, 50)
	if _, err := before.Begin(allowed(0, noon)); err != nil { // the next one records it as interrupted
		t.Fatal(err)
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}

	board := activity.New(activity.Options{Now: at(noon)})
	log, err := audit.Open(audit.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), Observe: board.Observe})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { write(log, 100) })
	}
	all.Go(func() {
		if err := board.Load(t.Context(), activity.Past{Since: noon.Add(-time.Hour), Found: log.Found()}, audit.Query(dir, audit.Filter{})); err != nil {
			t.Error(err)
		}
	})
	all.Go(func() {
		for range 50 {
			lastHour(t, board)
			board.Refusals(noon.Add(-time.Hour), noon)
			board.Connection("acme")
		}
	})
	all.Wait()
	if got, want := lastHour(t, board), (activity.Counts{Calls: 1, Failed: 1, Refused: 450}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if r, _ := board.Connection("acme"); r.Refused != 450 || r.Last.Seq != 451 {
		t.Errorf("%+v", r)
	}
}

func TestLoad(t *testing.T) {
	past := noon.Add(-3 * time.Hour)
	broken := errors.New("broken")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	defect := func(line int) error {
		return &audit.DefectError{Segment: "2026-11-23T10.jsonl", Line: line, Err: errors.New("no record")}
	}
	for _, row := range []struct {
		name   string
		ctx    context.Context
		errs   []error // between three records
		counts uint64
		want   error
		whole  bool
	}{
		{"all is well", t.Context(), []error{nil, nil}, 3, nil, true},
		{"lines that are none", t.Context(), []error{defect(2), defect(4)}, 3, defect(2), false},
		{"a log that can't be read", t.Context(), []error{nil, broken}, 2, broken, false},
		{"the program ends", cancelled, []error{nil, nil}, 0, context.Canceled, false},
	} {
		b := activity.New(activity.Options{Now: at(noon)})
		records := iter.Seq2[audit.Entry, error](func(yield func(audit.Entry, error) bool) {
			for i := range uint64(3) {
				if i > 0 && row.errs[i-1] != nil && !yield(audit.Entry{}, row.errs[i-1]) {
					return
				}
				if !yield(audit.Entry{Record: allowed(i+1, past)}, nil) {
					return
				}
			}
		})
		err := b.Load(row.ctx, everything(past), records)
		switch d, isDefect := errors.AsType[*audit.DefectError](err); {
		case isDefect:
			if d.Line != 2 || !strings.Contains(err.Error(), "2 lines are no records") {
				t.Errorf("%s: %v", row.name, err)
			}
		case !errors.Is(err, row.want) || (err == nil) != (row.want == nil):
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
		s := series(t, b, past.Add(-time.Hour), noon.Add(time.Minute), time.Minute)
		since := noon
		if row.whole {
			since = past
		}
		if s.Total.Calls != row.counts || s.CompleteSince != since {
			t.Errorf("%s: %d calls, complete since %s, want %d and %s", row.name, s.Total.Calls, s.CompleteSince, row.counts, since)
		}
	}
	b := activity.New(activity.Options{Now: at(noon)})
	if err := b.Load(cancelled, everything(past), sequence()); !errors.Is(err, context.Canceled) {
		t.Errorf("nothing, and the program ends: %v", err)
	}
}

// TestLoadInParts: the newest first; each makes more of it whole.
func TestLoadInParts(t *testing.T) {
	b := activity.New(activity.Options{Now: at(noon)})
	for _, hours := range []time.Duration{1, 5, 3, 24} {
		begin := noon.Add(-hours * time.Hour)
		if err := b.Load(t.Context(), everything(begin), sequence(allowed(uint64(hours), begin))); err != nil {
			t.Fatal(err)
		}
		want := noon.Add(-max(hours, 5) * time.Hour)
		if hours == 1 {
			want = begin
		}
		if got := series(t, b, noon.Add(-time.Hour), noon, time.Hour).CompleteSince; got != want {
			t.Errorf("after %d hours: complete since %s, want %s", hours, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	b := activity.New(activity.Options{Now: at(noon)})
	for i := range uint64(100) { // of codes that only a broken log has
		b.Observe(refused(i+1, noon.Add(-2*time.Hour), "code"+string(rune('a'+i%26))+string(rune('a'+i/26))))
	}
	b.Observe(refused(101, noon.Add(-30*time.Hour), "codeaa"))
	b.Observe(refused(102, noon.Add(-30*time.Hour), "newcode"))
	b.Observe(allowed(103, noon))
	if got := b.Refusals(noon.Add(-time.Hour), noon); len(got) != 0 {
		t.Errorf("the last hour: %v", got)
	}
	got := b.Refusals(noon.Add(-3*time.Hour), noon)
	if len(got) != 65 || got[0] != (activity.CodeCount{Code: "other", Calls: 36}) || got[1] != (activity.CodeCount{Code: "codeaa", Calls: 1}) {
		t.Errorf("three hours, %d codes: %v", len(got), got)
	}
	got = b.Refusals(noon.Add(-31*time.Hour), noon)
	if len(got) != 65 || got[0].Calls != 37 || got[1] != (activity.CodeCount{Code: "codeaa", Calls: 2}) {
		t.Errorf("more than a day, %d codes: %v", len(got), got)
	}
	got = b.Refusals(noon.Add(-31*time.Hour), noon.Add(-29*time.Hour))
	if !slices.Equal(got, []activity.CodeCount{{Code: "codeaa", Calls: 1}, {Code: "other", Calls: 1}}) {
		t.Errorf("until 29 hours ago: %v", got)
	}
}
