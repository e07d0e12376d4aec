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
	take := func(t *testing.T, p *proofs, generation uint64) turn {
		t.Helper()
		got, err := p.take(t.Context(), "dc", generation)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	t.Run("accepted: all go on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var p proofs
			var passed atomic.Int32
			first := take(t, &p, 1)
			var calls sync.WaitGroup
			for range 10 {
				calls.Go(func() {
					got := take(t, &p, 1)
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
			if late := take(t, &p, 1); late.scout != nil {
				t.Error("an accepted password is tried by one")
			}
			time.Sleep(proofLifetime)
			late := take(t, &p, 1)
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
					got := take(t, &p, 1)
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
	t.Run("patience ends, and nobody goes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var p proofs
			slow := take(t, &p, 1)
			begun := time.Now()
			var calls sync.WaitGroup
			for range 10 {
				calls.Go(func() {
					if _, err := p.take(t.Context(), "dc", 1); !errors.Is(err, errScoutAway) || time.Since(begun) != proofPatience {
						t.Errorf("%v after %v", err, time.Since(begun))
					}
				})
			}
			calls.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := p.take(ctx, "dc", 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a caller that leaves: %v", err)
			}
			slow.done(false)
			slow.done(false)
			next := take(t, &p, 1)
			if next.scout == nil {
				t.Error("the next does not go first")
			}
			next.done(true)
		})
	})
	t.Run("refused: what was proven counts no more", func(t *testing.T) {
		var p proofs
		first := take(t, &p, 1)
		first.done(true)
		second, third := take(t, &p, 1), take(t, &p, 1)
		second.refused()
		if late := take(t, &p, 1); late.scout == nil {
			t.Error("a refused password goes without a scout")
		}
		third.done(false)
	})
	t.Run("refused, and not stored: not sent for a while", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var p proofs
			first := take(t, &p, 1)
			first.block()
			first.refused()
			if _, err := p.take(t.Context(), "dc", 1); !errors.Is(err, errBlocked) {
				t.Errorf("%v", err)
			}
			fresh := take(t, &p, 2)
			fresh.done(true)
			time.Sleep(proofLifetime)
			again := take(t, &p, 2)
			again.done(true)
		})
	})
	t.Run("blocked: an answer to a call from before changes nothing", func(t *testing.T) {
		var p proofs
		first := take(t, &p, 1)
		first.done(true)
		second, third := take(t, &p, 1), take(t, &p, 1)
		second.block()
		third.done(true)
		if _, err := p.take(t.Context(), "dc", 1); !errors.Is(err, errBlocked) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a new password starts anew", func(t *testing.T) {
		var p proofs
		old := take(t, &p, 1)
		fresh := take(t, &p, 2)
		if fresh.scout == nil {
			t.Error("the new password waits for the old one")
		}
		old.done(true)
		if stale := take(t, &p, 1); stale.scout != nil {
			t.Error("a call with the old password disturbs the new one")
		}
		fresh.done(true)
		if again := take(t, &p, 2); again.scout != nil {
			t.Error("the new password is not known as accepted")
		}
	})
}
