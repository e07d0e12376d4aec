package pace_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway/pace"
)

var acme = pace.Call{Connection: "acme", Operation: "myself.get", Resource: "/rest/api/3/myself", App: true}

func TestSlotsGoFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{Concurrency: 1, Wait: time.Minute, Queue: 5})
		first, _, _ := enter(p, acme)
		var order []int
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				pass, reason, _ := enter(p, acme)
				if pass == nil {
					t.Errorf("call %d: %s", i, reason)
					return
				}
				order = append(order, i) // one at a time, or the race detector finds it
				time.Sleep(time.Second)
				pass.Leave()
			})
			synctest.Wait()
		}
		wantRefusal(t, p, acme, pace.ReasonBusy, time.Second) // the queue is full
		wantIn(t, p, pace.Call{Connection: "other"})          // another connection has its own slots
		first.Leave()
		all.Wait()
		if !slices.Equal(order, []int{0, 1, 2, 3, 4}) {
			t.Errorf("order %v", order)
		}
	})
}

func TestAWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{Concurrency: 1, Wait: 3 * time.Second, Queue: 5})
		first, _, _ := enter(p, acme)
		start := time.Now()
		wantRefusal(t, p, acme, pace.ReasonBusy, time.Second)
		if waited := time.Since(start); waited != 3*time.Second {
			t.Errorf("waited %s", waited)
		}
		first.Leave()
		wantIn(t, p, acme)
	})
}

func TestNobodyWaitsWithoutQueueOrWait(t *testing.T) {
	for _, o := range []pace.Options{{Concurrency: 1, Wait: time.Hour}, {Concurrency: 1, Queue: 10}} {
		synctest.Test(t, func(t *testing.T) {
			p := newPacer(t, o)
			first, _, _ := enter(p, acme)
			defer first.Leave()
			start := time.Now()
			wantRefusal(t, p, acme, pace.ReasonBusy, time.Second)
			if time.Since(start) != 0 {
				t.Error("waited")
			}
		})
	}
}

func TestAClientThatGoesAwayLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{Concurrency: 1, Wait: time.Hour, Queue: 1})
		first, _, _ := enter(p, acme)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Enter(ctx, acme); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		// Its place is free again, and the slot was not handed to it.
		go func() { time.Sleep(time.Second); first.Leave() }()
		wantIn(t, p, acme)
		wantIn(t, p, acme)
	})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newPacer(t, pace.Options{}).Enter(gone, acme); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestLeaveFreesOneSlotOnce(t *testing.T) {
	p := newPacer(t, pace.Options{Concurrency: 2})
	first, _, _ := enter(p, acme)
	second, _, _ := enter(p, acme)
	first.Leave()
	first.Leave()
	third, _, _ := enter(p, acme)
	wantRefusal(t, p, acme, pace.ReasonBusy, time.Second)
	second.Leave()
	third.Leave()
	(*pace.Pass)(nil).Leave()
}

// A call that found no slot has used up neither its connection's budget nor the
// app's points.
func TestACallThatFoundNoSlotHasUsedNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{Concurrency: 1, Wait: time.Second, Queue: 1, Rate: 1. / 60, Burst: 2})
		first, _, _ := enter(p, acme)
		for range 5 {
			wantRefusal(t, p, acme, pace.ReasonBusy, time.Second) // after its wait
		}
		first.Leave()
		wantIn(t, p, acme) // the second of the burst
		wantRefusal(t, p, acme, pace.ReasonBudget, 55*time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		enough := func(attempts int) int {
			p := newPacer(t, pace.Options{Concurrency: 1, AppPoints: 1000})
			first, _, _ := enter(p, acme)
			for range attempts {
				wantRefusal(t, p, acme, pace.ReasonBusy, time.Second)
			}
			first.Leave()
			n, _, _ := calls(p, acme, 1000)
			return n
		}
		if none, many := enough(0), enough(500); none != many {
			t.Errorf("%d calls after no refusals, %d after many", none, many)
		}
	})
}

func TestACallWithoutShareHasUsedNothingOfTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{Rate: 1. / 60, Burst: 2, AppPoints: 1000})
		p.Heed(acme, pace.Signal{Told: true, AppReset: time.Hour}) // nothing is left
		for range 5 {
			wantRefusal(t, p, acme, pace.ReasonAppPaused, time.Hour)
		}
		if n, _, _ := calls(p, pace.Call{Connection: "acme"}, 5); n != 2 {
			t.Errorf("%d calls, want the whole burst", n)
		}
	})
}

// A pause that Jira asks for while calls wait holds for those too.
func TestAPauseReachesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{Concurrency: 1, Wait: time.Minute, Queue: 5})
		first, _, _ := enter(p, acme)
		var refused atomic.Int32
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				pass, reason, wait := enter(p, acme)
				pass.Leave()
				if reason == pace.ReasonAsked && wait == 9*time.Second {
					refused.Add(1)
				}
			})
		}
		synctest.Wait()
		p.Heed(acme, pace.Signal{Wait: 10 * time.Second, Reach: pace.ReachConnection})
		time.Sleep(time.Second)
		first.Leave()
		all.Wait()
		if refused.Load() != 3 {
			t.Errorf("%d of 3 calls refused", refused.Load())
		}
		time.Sleep(9 * time.Second)
		wantIn(t, p, acme)
	})
}

// A call that waited in vain while Jira asks for a pause is told of that.
func TestAWaitThatEndsInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{Concurrency: 1, Wait: 20 * time.Second, Queue: 1, Rate: 1, Burst: 2})
		first, _, _ := enter(p, acme)
		defer first.Leave()
		go func() {
			time.Sleep(time.Second)
			p.Heed(acme, pace.Signal{Wait: 40 * time.Minute, Reach: pace.ReachConnection})
		}()
		wantRefusal(t, p, acme, pace.ReasonAsked, 40*time.Minute-19*time.Second)
	})
}

// Calls that come, give up and go at random: never more at Jira than may be, and
// all slots are free in the end.
func TestNeverMoreAtJiraThanMayBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 3
		p := newPacer(t, pace.Options{Concurrency: limit, Wait: 20 * time.Millisecond, Queue: 10})
		random := rand.New(rand.NewPCG(1, 2))
		var all sync.WaitGroup
		var at, most, in atomic.Int32
		for range 2000 {
			pause, patience, work := time.Duration(random.IntN(5e6)), time.Duration(random.IntN(30e6)), time.Duration(random.IntN(15e6))
			time.Sleep(pause)
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				pass, err := p.Enter(ctx, acme)
				if err != nil {
					return
				}
				in.Add(1)
				most.Store(max(most.Load(), at.Add(1)))
				time.Sleep(work)
				at.Add(-1)
				pass.Leave()
			})
		}
		all.Wait()
		if most.Load() != limit {
			t.Errorf("%d at a time, want %d", most.Load(), limit)
		}
		if in.Load() < 500 {
			t.Errorf("only %d of 2000 calls were let through", in.Load())
		}
		var passes []*pace.Pass
		for range limit {
			pass, reason, _ := enter(p, acme)
			if pass == nil {
				t.Fatalf("a slot is lost: %s", reason)
			}
			passes = append(passes, pass)
		}
		for _, pass := range passes {
			pass.Leave()
		}
	})
}
