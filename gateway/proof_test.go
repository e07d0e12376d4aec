package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// One call tries a password that was not accepted lately; the others wait for
// what it finds.
func TestProofs(t *testing.T) {
	take := func(t *testing.T, p *proofs, generation uint64) (turn, bool) {
		t.Helper()
		got, waited, err := p.take(t.Context(), "dc", generation)
		if err != nil {
			t.Fatal(err)
		}
		return got, waited
	}
	t.Run("accepted: all go on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var p proofs
			var passed atomic.Int32
			first, _ := take(t, &p, 1)
			var calls sync.WaitGroup
			for range 10 {
				calls.Go(func() {
					got, waited := take(t, &p, 1)
					if !waited {
						t.Error("it did not wait")
					}
					passed.Add(1)
					got.done(true)
				})
			}
			synctest.Wait()
			if passed.Load() != 0 {
				t.Error("somebody did not wait for the first")
			}
			first.done(true)
			calls.Wait()
			if _, waited := take(t, &p, 1); waited {
				t.Error("an accepted password is waited for")
			}
			time.Sleep(proofLifetime)
			late, _ := take(t, &p, 1)
			if late.scout == nil {
				t.Error("an old proof still counts")
			}
			late.done(false)
		})
	})
	t.Run("not accepted: one at a time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var p proofs
			var running, most atomic.Int32
			var calls sync.WaitGroup
			for range 10 {
				calls.Go(func() {
					got, _ := take(t, &p, 1)
					most.Store(max(most.Load(), running.Add(1)))
					time.Sleep(time.Millisecond)
					running.Add(-1)
					got.done(false)
				})
			}
			calls.Wait()
			if most.Load() != 1 {
				t.Errorf("%d at a time", most.Load())
			}
		})
	})
	t.Run("patience ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var p proofs
			slow, _ := take(t, &p, 1)
			begun := time.Now()
			second, _ := take(t, &p, 1)
			if waited := time.Since(begun); waited != proofPatience || second.scout == nil {
				t.Errorf("waited for %v, scout %v", waited, second.scout != nil)
			}
			slow.done(false) // must not end the turn of the second
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, _, err := p.take(ctx, "dc", 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a third call went: %v", err)
			}
			second.done(true)
			second.done(true)
		})
	})
	t.Run("a new password starts anew", func(t *testing.T) {
		var p proofs
		old, _ := take(t, &p, 1)
		fresh, waited := take(t, &p, 2)
		if waited || fresh.scout == nil {
			t.Error("the new password waits for the old one")
		}
		old.done(true)
		if stale, waited := take(t, &p, 1); waited || stale.scout != nil {
			t.Error("a call with the old password disturbs the new one")
		}
		fresh.done(true)
		if again, _ := take(t, &p, 2); again.scout != nil {
			t.Error("the new password is not known as accepted")
		}
	})
}
