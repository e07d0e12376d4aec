package pace_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jiragate/gateway/pace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newPacer(t testing.TB, o pace.Options) *pace.Pacer {
	t.Helper()
	p, err := pace.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// enter returns the pass, or the reason and the time to wait.
func enter(p *pace.Pacer, c pace.Call) (*pace.Pass, pace.Reason, time.Duration) {
	pass, err := p.Enter(context.Background(), c)
	if r, ok := errors.AsType[*pace.Refusal](err); ok {
		return nil, r.Reason, r.RetryAfter
	}
	return pass, "", 0
}

// calls lets n calls through one after the other, and stops at the first that is
// refused.
func calls(p *pace.Pacer, c pace.Call, n int) (done int, reason pace.Reason, wait time.Duration) {
	for ; done < n; done++ {
		pass, reason, wait := enter(p, c)
		if pass == nil {
			return done, reason, wait
		}
		pass.Leave()
	}
	return done, "", 0
}

func wantRefusal(t *testing.T, p *pace.Pacer, c pace.Call, reason pace.Reason, wait time.Duration) {
	t.Helper()
	pass, got, after := enter(p, c)
	pass.Leave()
	if got != reason || after != wait {
		t.Errorf("%+v: refused %q for %s, want %q for %s", c, got, after, reason, wait)
	}
}

func wantIn(t *testing.T, p *pace.Pacer, c pace.Call) {
	t.Helper()
	pass, reason, wait := enter(p, c)
	pass.Leave()
	if reason != "" {
		t.Errorf("%+v: refused %q for %s, want it let through", c, reason, wait)
	}
}

func TestOptionsOutsideTheirLimits(t *testing.T) {
	for name, o := range map[string]pace.Options{
		"negative concurrency":     {Concurrency: -1},
		"negative wait":            {Wait: -1},
		"negative queue":           {Queue: -1},
		"negative rate":            {Rate: -1},
		"rate that is no number":   {Rate: nan()},
		"slower than one an hour":  {Rate: 1e-9},
		"faster than the clock":    {Rate: 1e12},
		"negative burst":           {Rate: 1, Burst: -1},
		"negative app points":      {AppPoints: -1},
		"not enough for one call":  {AppPoints: 2},
		"more than any tier gives": {AppPoints: 1 << 40},
	} {
		if _, err := pace.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func nan() float64 { zero := 0.0; return zero / zero }
