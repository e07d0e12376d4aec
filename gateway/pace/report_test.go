package pace

import (
	"testing"
	"time"
)

func TestJiraTellsOfLess(t *testing.T) {
	f, all := known(60_000, 2)
	f.adopt(100_000, time.Hour, noon)
	if f.limit != 60_000*point {
		t.Error("a larger remainder was adopted")
	}
	f.adopt(1000, time.Hour, noon)
	got := greedy(f, noon.Add(slice), noon.Add(time.Hour), all...)
	wantBetween(t, "both", got[0]+got[1], 980, 1000)
	wantBetween(t, "one", got[0], 450, 550)
	wantBetween(t, "next hour", take(f, all[0], noon.Add(time.Hour)), 27_000, 27_000)
}

// How long a remainder is believed, by what is told and when.
func TestHowLongARemainderIsBelieved(t *testing.T) {
	for _, test := range []struct {
		name  string
		at    time.Duration // of the hour
		reset time.Duration
		want  time.Duration
	}{
		{"as long as it says", 20 * time.Minute, 5 * time.Minute, 5 * time.Minute},
		{"not into the next hour", 50 * time.Minute, time.Hour, 10 * time.Minute},
		{"a minute if it does not say", 20 * time.Minute, 0, time.Minute},
		{"nor that into the next hour", 59*time.Minute + 30*time.Second, 0, 30 * time.Second},
		{"of the hour before, perhaps", 20 * time.Millisecond, 0, 0},
		{"no longer", lateAnswer, 0, time.Minute},
		{"of the hour before, as it says itself", 20 * time.Millisecond, time.Second, time.Second},
	} {
		f, all := known(60_000, 3)
		now := noon.Add(test.at)
		f.adopt(0, test.reset, now)
		_, wait := f.pay(all[0], 1, now)
		if wait != test.want || f.withheld(all[0], point) != (test.want > 0) {
			t.Errorf("%s: wait %s, want %s", test.name, wait, test.want)
		}
		if _, wait = f.pay(all[0], 1, now.Add(test.want)); wait != 0 {
			t.Errorf("%s: wait %s more", test.name, wait)
		}
	}
}

// What Jira says last counts, up to what our own count leaves.
func TestALaterReportRaisesTheLimit(t *testing.T) {
	f, all := known(60_000, 1)
	take(f, all[0], noon) // 54,000
	now := noon.Add(20 * time.Minute)
	for _, step := range []struct{ told, left int64 }{
		{0, 0}, {2000, 2000}, {500, 500}, {5000, 5000}, {50_000, 6000}, {0, 0}, {6000, 6000},
	} {
		f.adopt(step.told, 10*time.Minute, now)
		if left := (f.limit - f.used) / point; left != step.left {
			t.Errorf("told of %d: %d left, want %d", step.told, left, step.left)
		}
	}
}

// A share that was cut because Jira told of nothing is whole when that is not
// believed any more, less what belongs to the time that has gone by; and one that
// was used up is used up.
func TestSharesAreWholeAfterTheBelief(t *testing.T) {
	f, all := known(60_000, 2)
	greedyOne, quiet := all[0], all[1]
	take(f, greedyOne, noon)
	f.adopt(0, 65*time.Second, noon)
	for now := noon; now.Before(noon.Add(65 * time.Second)); now = now.Add(time.Second) {
		if _, wait := f.pay(quiet, 1, now); now.Add(wait) != noon.Add(65*time.Second) {
			t.Fatalf("at %s: wait %s", now.Format(time.TimeOnly), wait)
		}
	}
	now := noon.Add(65 * time.Second)
	wantBetween(t, "quiet", take(f, quiet, now), 27_000*59*60/3600, 27_500)
	wantBetween(t, "greedy", take(f, greedyOne, now), 0, 3000)

	// So it is with the next slice where a report raises the limit before that.
	f, all = known(60_000, 2)
	take(f, all[0], noon)
	f.adopt(0, time.Hour, noon)
	f.turn(noon.Add(time.Minute))
	f.adopt(60_000, time.Hour, noon.Add(61*time.Second))
	if _, wait := f.pay(all[1], 1000, noon.Add(61*time.Second)); wait > slice {
		t.Errorf("wait %s", wait)
	}
	wantBetween(t, "quiet", take(f, all[1], noon.Add(70*time.Second)), 26_000, 27_500)
}

// Only what Jira told is withheld: not what nobody has, nor what a share lacks in
// any case.
func TestWhatIsWithheld(t *testing.T) {
	f, all := known(60_000, 2)
	at := noon.Add(time.Minute)
	f.adopt(10_000, time.Hour, noon)
	f.turn(at) // 4500 each
	for _, test := range []struct {
		cost int64
		want bool
	}{{4500, false}, {4501, true}, {10_001, true}, {26_000, true}, {60_001, false}} {
		if got := f.withheld(all[0], test.cost*point); got != test.want {
			t.Errorf("%d points: %t", test.cost, got)
		}
	}
	f.adopt(60_000, time.Hour, at)
	if f.withheld(all[0], 4501*point) {
		t.Error("after a report of all")
	}
}
