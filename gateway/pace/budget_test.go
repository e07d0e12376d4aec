package pace_test

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"jiragate/gateway/pace"
)

func TestTheBudgetSaysExactlyHowLongToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{Rate: 2, Burst: 3})
		if n, reason, wait := calls(p, acme, 10); n != 3 || reason != pace.ReasonBudget || wait != 500*time.Millisecond {
			t.Errorf("%d calls, then %s for %s", n, reason, wait)
		}
		wantIn(t, p, pace.Call{Connection: "other"})
		time.Sleep(500*time.Millisecond - time.Nanosecond)
		wantRefusal(t, p, acme, pace.ReasonBudget, time.Nanosecond)
		time.Sleep(time.Nanosecond)
		wantIn(t, p, acme)
		wantRefusal(t, p, acme, pace.ReasonBudget, 500*time.Millisecond)
		time.Sleep(time.Hour) // no more than the burst is saved up
		if n, _, _ := calls(p, acme, 10); n != 3 {
			t.Errorf("%d calls after an hour", n)
		}
	})
}

// Whenever calls come: in no span of time are more let through than burst and
// rate allow, and who waits as told is let through.
func TestTheBudgetHoldsForEverySpanOfTime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		perSecond := rapid.Float64Range(0.1, 50).Draw(rt, "rate")
		burst := rapid.IntRange(1, 20).Draw(rt, "burst")
		gaps := rapid.SliceOfN(rapid.IntRange(0, 300), 1, 100).Draw(rt, "milliseconds")
		synctest.Test(t, func(*testing.T) {
			p := newPacer(t, pace.Options{Rate: perSecond, Burst: burst})
			var in []time.Time
			for i, gap := range gaps {
				time.Sleep(time.Duration(gap) * time.Millisecond)
				pass, _, wait := enter(p, acme)
				if pass == nil && i%3 == 0 {
					time.Sleep(wait)
					var reason pace.Reason
					if pass, reason, _ = enter(p, acme); pass == nil {
						rt.Fatalf("waited %s as told, and refused: %s", wait, reason)
					}
				}
				if pass != nil {
					in = append(in, time.Now())
				}
			}
			for i := range in {
				for j := i; j < len(in); j++ {
					if n, most := j-i+1, float64(burst)+perSecond*in[j].Sub(in[i]).Seconds()+1e-6; float64(n) > most {
						rt.Fatalf("%d calls in %s, at most %.2f", n, in[j].Sub(in[i]), most)
					}
				}
			}
		})
	})
}
