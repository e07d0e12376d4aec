package activity_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
)

func TestSeries(t *testing.T) {
	b := activity.New(activity.Options{Now: at(noon)})
	for i, minute := range []int{0, 14, 15, 29, 30} {
		b.Observe(allowed(uint64(i+1), time.Date(2026, 11, 23, 12, minute, 59, 999_999_000, time.UTC)))
	}
	calls := func(s *activity.Series) (list []uint64) {
		for _, p := range s.Points {
			list = append(list, p.Calls)
		}
		return list
	}
	day := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		from, until string
		step        time.Duration
		first       string
		want        []uint64
	}{
		{"12:00:00", "12:30:00", 15 * time.Minute, "12:00", []uint64{2, 2}},
		{"12:00:00", "12:30:01", 15 * time.Minute, "12:00", []uint64{2, 2, 1}},
		{"12:14:59", "12:15:00", 15 * time.Minute, "12:00", []uint64{2}},
		{"12:29:00", "12:31:00", time.Minute, "12:29", []uint64{1, 1}},
		{"11:59:59", "12:00:00", time.Minute, "11:59", []uint64{0}},
		{"12:30:59", "12:31:00", time.Minute, "12:30", []uint64{1}},
		{"11:30:00", "12:30:00", time.Hour, "11:00", []uint64{0, 5}},
		{"12:30:00", "12:30:01", 24 * time.Hour, "00:00", []uint64{5}},
	} {
		clock := func(s string) time.Time {
			c, err := time.Parse(time.TimeOnly, s)
			if err != nil {
				t.Fatal(err)
			}
			return day.Add(c.Sub(c.Truncate(24 * time.Hour)))
		}
		s := series(t, b, clock(row.from), clock(row.until).In(time.FixedZone("", 5400)), row.step)
		if got := calls(s); !slices.Equal(got, row.want) || s.From.Format("15:04") != row.first || s.StepSeconds != int64(row.step/time.Second) {
			t.Errorf("%s to %s by %s: %v from %s, want %v from %s", row.from, row.until, row.step, got, s.From, row.want, row.first)
		}
		for i, p := range s.Points {
			if want := s.From.Add(time.Duration(i) * row.step); p.Start != want {
				t.Errorf("%s to %s by %s: point %d begins at %s, want %s", row.from, row.until, row.step, i, p.Start, want)
			}
		}
		if end := s.From.Add(time.Duration(len(s.Points)) * row.step); s.Until != end {
			t.Errorf("%s to %s by %s: it ends at %s, want %s", row.from, row.until, row.step, s.Until, end)
		}
	}
}

func TestSeriesThatCannotBe(t *testing.T) {
	b := activity.New(activity.Options{Now: at(noon)})
	for _, row := range []struct {
		name        string
		from, until time.Time
		step        time.Duration
		want        string
	}{
		{"no step", noon.Add(-1), noon, 0, "whole minutes"},
		{"a step back", noon.Add(-1), noon, -time.Minute, "whole minutes"},
		{"a crooked step", noon.Add(-1), noon, 90 * time.Second, "whole minutes"},
		{"nothing", noon, noon, time.Minute, "before it begins"},
		{"backwards", noon, noon.Add(-1), time.Minute, "before it begins"},
		{"minutes of last week", noon.Add(-7 * 24 * time.Hour), noon, 15 * time.Minute, "whole hours"},
		{"minutes a little too old", noon.Add(-25*time.Hour - 1), noon, 90 * time.Minute, "whole hours"},
		{"too many points", noon.Add(-25 * time.Hour), noon.Add(1), time.Minute, "1500 points"},
		{"all of time", time.Time{}, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), time.Hour, "1500 points"},
	} {
		if _, err := b.Series(row.from, row.until, row.step); !errors.Is(err, activity.ErrWindow) || !strings.Contains(fmt.Sprint(err), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
	whole := noon.Truncate(time.Minute)
	if s := series(t, b, whole.Add(-25*time.Hour+20*time.Second), whole.Add(0), time.Minute); len(s.Points) != activity.MaxPoints {
		t.Errorf("%d points", len(s.Points))
	}
	if s := series(t, b, time.Time{}, noon, 24*365*100*time.Hour); len(s.Points) != 21 {
		t.Errorf("%d centuries", len(s.Points))
	}
}

// TestSumIsWhatWasObserved: whatever the times, the order, the steps, and who brought
// the records.
func TestSumIsWhatWasObserved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := noon.Add(time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "clock")))
		b := activity.New(activity.Options{Now: at(now)})
		ages := rapid.SliceOfN(rapid.OneOf(
			rapid.Int64Range(0, int64(time.Hour)),
			rapid.Int64Range(0, int64(activity.FineHorizon)),
			rapid.Int64Range(0, int64(activity.Horizon)),
		), 0, 60).Draw(t, "ages")
		found := rapid.IntRange(0, len(ages)).Draw(t, "found")
		var live, log []audit.Record
		for i, age := range ages {
			r := allowed(uint64(i+1), now.Add(-time.Duration(age)))
			if i%3 == 1 {
				r = refused(r.Seq, r.Time, "not_granted")
			}
			log = append(log, r)
			if i >= found {
				live = append(live, r)
			}
		}
		// The log is read once all is written: it overlaps with all that came live.
		shuffle(t, log)
		shuffle(t, live)
		half := rapid.IntRange(0, len(live)).Draw(t, "half")
		for _, r := range live[:half] {
			b.Observe(r)
		}
		if err := b.Load(t.Context(), activity.Past{Since: now.Add(-activity.Horizon), Found: uint64(found)}, sequence(log...)); err != nil {
			t.Fatal(err)
		}
		for _, r := range live[half:] {
			b.Observe(r)
		}

		fine := rapid.Bool().Draw(t, "fine")
		horizon, step := activity.Horizon, time.Duration(rapid.IntRange(1, 48).Draw(t, "hours"))*time.Hour
		if fine {
			horizon, step = activity.FineHorizon, time.Duration(rapid.IntRange(1, 120).Draw(t, "minutes"))*time.Minute
		}
		from := now.Add(-time.Duration(rapid.Int64Range(int64(time.Minute), int64(horizon)).Draw(t, "from")))
		until := from.Add(time.Duration(rapid.Int64Range(1, int64(now.Sub(from))).Draw(t, "length")))
		s, err := b.Series(from, until, step)
		if errors.Is(err, activity.ErrWindow) && strings.Contains(err.Error(), "points") {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if s.From.After(from) || s.Until.Before(until) || from.Sub(s.From) >= step || s.Until.Sub(until) >= step {
			t.Fatalf("%s to %s became %s to %s", from, until, s.From, s.Until)
		}
		var want, sum activity.Counts
		begin := s.Until // of the first point that is whole; a step may begin before what is kept
		for _, p := range slices.Backward(s.Points) {
			if !p.Start.Before(s.CompleteSince) {
				begin = p.Start
				sum.Calls += p.Calls
				sum.Refused += p.Refused
			}
		}
		for _, r := range log {
			switch {
			case r.Time.Before(begin) || !r.Time.Before(s.Until):
			case r.Decision == audit.DecisionAllow:
				want.Calls++
			default:
				want.Refused++
			}
		}
		if sum != want {
			t.Fatalf("by %s from %s: %+v, want %+v", step, s.From, sum, want)
		}
		if !fine && s.CompleteSince.After(now.Add(-activity.Horizon)) || fine && s.CompleteSince.After(now.Add(-activity.FineHorizon)) {
			t.Fatalf("complete since %s, at %s", s.CompleteSince, now)
		}
	})
}

func shuffle(t *rapid.T, records []audit.Record) {
	rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	rnd.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
}

// TestPercentilesAreEstimates: within 4.4 % of the exact ones.
func TestPercentilesAreEstimates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := activity.New(activity.Options{Now: at(noon)})
		durations := rapid.SliceOfN(rapid.Map(rapid.Float64Range(-2, 6), func(e float64) float64 { return math.Pow(10, e) }), 1, 300).Draw(t, "ms")
		for i, ms := range durations {
			r := allowed(uint64(i+1), noon)
			r.DurationMS = ms
			b.Observe(r)
		}
		slices.Sort(durations)
		total := series(t, b, noon.Add(-time.Minute), noon, time.Hour).Total
		for q, got := range map[float64]*float64{0.50: total.P50, 0.95: total.P95, 0.99: total.P99} {
			exact := min(max(durations[int(math.Ceil(q*float64(len(durations))))-1], 0.1), 300_000)
			if got == nil || math.Abs(*got/exact-1) > 0.0443 {
				t.Fatalf("%v: %v, exactly %v", q, *got, exact)
			}
		}
	})
}

func TestNoCallsHaveNoPercentiles(t *testing.T) {
	b := activity.New(activity.Options{Now: at(noon)})
	interrupted := allowed(2, noon)
	interrupted.Code, interrupted.DurationMS = audit.CodeInterrupted, 0
	b.Observe(refused(1, noon, "not_granted"))
	b.Observe(interrupted)
	s := series(t, b, noon.Add(-time.Minute), noon, time.Minute)
	text, err := json.Marshal(s)
	if err != nil || strings.Contains(string(text), "_ms") || s.Total.Refused != 1 || s.Total.Calls != 1 {
		t.Errorf("%s, %v", text, err)
	}
}

// TestBucketsRollOver: minutes for 25 hours, hours for 32 days.
func TestBucketsRollOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b := activity.New(activity.Options{})
		b.Observe(allowed(1, start))
		total := func(step time.Duration, back time.Duration) uint64 {
			return series(t, b, time.Now().Add(-back), time.Now().Add(time.Second), step).Total.Calls
		}
		time.Sleep(activity.FineHorizon)
		if n := total(90*time.Minute, activity.FineHorizon); n != 1 {
			t.Errorf("after 25 hours, minutes have %d calls", n)
		}
		for m := range 60 { // of a day later: they take the buckets of the first
			time.Sleep(time.Minute)
			b.Observe(allowed(uint64(2+m), time.Now()))
		}
		if n := total(30*time.Minute, activity.FineHorizon); n != 60 {
			t.Errorf("after 26 hours, minutes have %d calls", n)
		}
		if n := total(time.Hour, activity.Horizon); n != 61 {
			t.Errorf("after 26 hours, hours have %d calls", n)
		}
		time.Sleep(activity.Horizon - 26*time.Hour)
		if n := total(time.Hour, activity.Horizon); n != 61 {
			t.Errorf("after 32 days, hours have %d calls", n)
		}
		time.Sleep(30 * time.Hour)
		if n := total(time.Hour, activity.Horizon+48*time.Hour); n != 0 {
			t.Errorf("two days later, hours have %d calls", n)
		}
		if s := series(t, b, time.Now().Add(-time.Hour), time.Now(), time.Hour); time.Since(s.CompleteSince) < activity.Horizon || time.Since(s.CompleteSince) > activity.Horizon+2*time.Hour {
			t.Errorf("complete since %s, at %s", s.CompleteSince, time.Now())
		}
	})
}

// TestAClockThatJumps: what is not of the time that is kept is not counted, and does
// no harm to what is.
func TestAClockThatJumps(t *testing.T) {
	now := noon
	b := activity.New(activity.Options{Now: func() time.Time { return now }})
	hour := func() uint64 { return series(t, b, now.Add(-time.Hour), now.Add(time.Second), time.Minute).Total.Calls }
	b.Observe(allowed(1, noon))
	b.Observe(allowed(2, noon.Add(time.Hour)))
	b.Observe(allowed(3, time.Time{}))
	b.Observe(allowed(4, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)))
	b.Observe(allowed(5, time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)))
	if n := hour(); n != 1 {
		t.Errorf("%d calls in the last hour", n)
	}

	now = noon.Add(time.Hour)
	if n := series(t, b, now.Add(-30*time.Minute), now.Add(time.Second), time.Minute).Total.Calls; n != 0 {
		t.Errorf("%d calls an hour later: one was counted that was ahead of the clock", n)
	}

	now = noon.AddDate(70, 0, 0) // for a moment
	b.Observe(allowed(6, now))
	if n := hour(); n != 1 {
		t.Errorf("%d calls seventy years later", n)
	}
	now = noon.Add(time.Minute)
	b.Observe(allowed(7, now))
	for minute := range int64(25 * 60) { // whichever bucket was taken is of use again
		b.Observe(allowed(uint64(8+minute), now.Add(-time.Duration(minute)*time.Minute)))
	}
	s := series(t, b, now.Add(-25*time.Hour+time.Minute), now, time.Minute)
	if s.CompleteSince.After(now) {
		t.Errorf("complete since %s, at %s", s.CompleteSince, now)
	}
	for _, p := range s.Points {
		if p.Calls == 0 {
			t.Errorf("nothing is counted at %s", p.Start)
		}
	}

	now = noon.Add(-time.Hour) // set back
	b.Observe(allowed(9000, now))
	if n := hour(); n < 1 {
		t.Errorf("%d calls with the clock set back", n)
	}
}

// TestACountThatWasLostIsNotSaidToBeWhole: a clock that was ahead took the bucket.
func TestACountThatWasLostIsNotSaidToBeWhole(t *testing.T) {
	now := noon
	b := activity.New(activity.Options{Now: func() time.Time { return now }})
	if err := b.Load(t.Context(), everything(noon.Add(-activity.Horizon)), sequence()); err != nil {
		t.Fatal(err)
	}
	since := func() time.Time { return series(t, b, now.Add(-time.Hour), now, time.Minute).CompleteSince }
	if got := since(); got.After(noon.Add(-activity.FineHorizon)) {
		t.Fatalf("complete since %s", got)
	}
	b.Observe(allowed(1, noon.Add(-20*time.Minute)))
	now = noon.Add(24 * 3 * time.Hour)
	for minute := range 1600 { // each bucket is taken
		b.Observe(allowed(uint64(2+minute), now.Add(-time.Duration(minute)*time.Minute)))
	}
	now = noon
	if got, want := since(), noon.Add(-19*time.Minute).Truncate(time.Minute); got != want {
		t.Errorf("complete since %s, want %s", got, want)
	}
}
