package pace_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway/pace"
)

func wantReason(t *testing.T, err error, reason pace.Reason, wait time.Duration) {
	t.Helper()
	r, ok := errors.AsType[*pace.Refusal](err)
	if !ok || r.Reason != reason || r.RetryAfter != wait {
		t.Errorf("error %v, want %s for %s", err, reason, wait)
	}
}

// A pause of any reach holds back a call that has its slot and did not go out yet.
func TestTheLastLook(t *testing.T) {
	c := pace.Call{Connection: "acme", Operation: "project.get", Endpoint: "GET /x", Resource: "/x", App: true}
	for reach, reason := range map[pace.Reach]pace.Reason{
		pace.ReachConnection: pace.ReasonAsked, pace.ReachEndpoint: pace.ReasonAsked,
		pace.ReachResource: pace.ReasonAsked, pace.ReachApp: pace.ReasonAppPaused,
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPacer(t, pace.Options{Concurrency: 1, Rate: 1, Burst: 1, AppPoints: 1000})
			pass, _, _ := enter(p, c)
			defer pass.Leave()
			for range 100 { // costs nothing
				if err := pass.Ready(); err != nil {
					t.Fatal(err)
				}
			}
			p.Heed(c, pace.Signal{Wait: 7 * time.Second, Reach: reach})
			time.Sleep(2 * time.Second)
			wantReason(t, pass.Ready(), reason, 5*time.Second)
			wantReason(t, pass.Again(), reason, 5*time.Second)
			time.Sleep(5 * time.Second)
			if err := pass.Ready(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestARepetitionPaysOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{Concurrency: 1, Rate: 1. / 60, Burst: 3})
		pass, _, _ := enter(p, acme)
		for range 2 {
			if err := pass.Again(); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 { // a refusal pays nothing
			wantReason(t, pass.Again(), pace.ReasonBudget, time.Minute)
		}
		time.Sleep(time.Minute)
		if err := pass.Again(); err != nil {
			t.Error(err)
		}
		pass.Leave()
		time.Sleep(time.Minute)
		wantReason(t, pass.Again(), pace.ReasonBusy, time.Second) // it has no slot
		wantIn(t, p, acme)
	})
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{AppPoints: 1000, Rate: 100, Burst: 2000})
		pass, _, _ := enter(p, acme)
		n, err := 0, error(nil)
		for ; err == nil; n++ {
			err = pass.Again()
		}
		once, _, _ := calls(newPacer(t, pace.Options{AppPoints: 1000}), acme, 1000)
		if r, ok := errors.AsType[*pace.Refusal](err); !ok || r.Reason != pace.ReasonAppShare || n != once {
			t.Errorf("%d in all, then %v; want %d", n, err, once)
		}
		// What the points refused has used nothing of the budget.
		if left, _, _ := calls(p, pace.Call{Connection: "acme"}, 3000); left != 2000-n {
			t.Errorf("%d calls, want %d", left, 2000-n)
		}
	})
}

// What was not sent is given back, once; a repetition's fate does not change what
// the first has paid.
func TestCancelGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := pace.Options{Concurrency: 1, Rate: 1. / 60, Burst: 700, AppPoints: 1000}
		all, _, _ := calls(newPacer(t, o), acme, 1000)
		p := newPacer(t, o)
		for range 500 {
			pass, reason, _ := enter(p, acme)
			if pass == nil {
				t.Fatal(reason)
			}
			pass.Cancel()
			pass.Cancel()
			pass.Leave()
		}
		if n, _, _ := calls(p, acme, 1000); n != all {
			t.Errorf("%d calls after cancelled ones, want %d", n, all)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			use  func(*pace.Pass)
			left int // of the burst of 5
		}{
			"cancelled":                {func(s *pace.Pass) { s.Cancel() }, 5},
			"left, then cancelled":     {func(s *pace.Pass) { s.Leave(); s.Cancel() }, 4},
			"cancelled, then left":     {func(s *pace.Pass) { s.Cancel(); s.Leave() }, 5},
			"repeated":                 {func(s *pace.Pass) { _ = s.Again(); s.Leave() }, 3},
			"repetition was not sent":  {func(s *pace.Pass) { _ = s.Again(); s.Cancel() }, 4},
			"looked at, and cancelled": {func(s *pace.Pass) { _ = s.Ready(); s.Cancel() }, 5},
		} {
			p := newPacer(t, pace.Options{Concurrency: 1, Rate: 1. / 60, Burst: 5})
			pass, _, _ := enter(p, acme)
			test.use(pass)
			if n, reason, _ := calls(p, acme, 10); n != test.left || reason != pace.ReasonBudget {
				t.Errorf("%s: %d calls left, then %s; want %d", name, n, reason, test.left)
			}
		}
	})
}

func TestCancelHandsTheSlotOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{Concurrency: 1, Wait: time.Minute, Queue: 1})
		pass, _, _ := enter(p, acme)
		go func() { time.Sleep(time.Second); pass.Cancel(); pass.Leave() }()
		wantIn(t, p, acme)
		wantIn(t, p, acme)
	})
}

func TestNoPass(t *testing.T) {
	var none *pace.Pass
	none.Leave()
	none.Cancel()
	if err := errors.Join(none.Ready(), none.Again()); err != nil {
		t.Error(err)
	}
}

// Another incarnation of a connection inherits nothing, and what the earlier one's
// calls bring still is not about it.
func TestAnotherIncarnationInheritsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{Concurrency: 1, Rate: 1. / 60, Burst: 1, AppPoints: 60_000})
		first, second := acme, acme
		first.Incarnation, second.Incarnation = 1, 2
		pass, _, _ := enter(p, first) // its one slot, its whole budget
		wantIn(t, p, second)
		p.Heed(first, pace.Signal{Wait: 10 * time.Minute, Reach: pace.ReachConnection})
		time.Sleep(time.Minute)
		wantIn(t, p, second)
		wantReason(t, pass.Ready(), pace.ReasonAsked, 9*time.Minute)
		pass.Leave()
		wantRefusal(t, p, first, pace.ReasonAsked, 9*time.Minute)
		// Of what was, only what exists is kept.
		p.Keep(func(_ string, incarnation uint64) bool { return incarnation == 2 })
		wantIn(t, p, first)
		wantRefusal(t, p, second, pace.ReasonBudget, time.Minute)
	})
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{AppPoints: 60_000})
		first, second := acme, acme
		second.Incarnation = 1
		calls(p, first, 60_000)
		time.Sleep(10 * time.Second)
		if n, _, _ := calls(p, second, 1); n != 1 {
			t.Error("the share of an earlier incarnation counts")
		}
	})
}
