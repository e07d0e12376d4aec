package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"jiragate/tokenstore"
)

// step is something that happens to a gateway.
type step struct {
	What string
	For  time.Duration
}

func drawStep(t *rapid.T) step {
	s := step{What: rapid.SampledFrom([]string{"call", "wait", "lost", "down", "garbage", "unreachable", "disk full", "crash", "refused"}).Draw(t, "what")}
	switch s.What {
	case "wait":
		s.For = time.Duration(rapid.IntRange(1, 7200).Draw(t, "seconds")) * time.Second
	case "crash":
		s.For = time.Duration(rapid.IntRange(0, 120).Draw(t, "seconds")) * time.Second
	}
	return s
}

// TestNeverStranded: whatever happens, as long as a lost answer is made good within
// the leeway, the connection goes on, and no token is given out that isn't on disk.
func TestNeverStranded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 1, 15).Draw(rt, "steps")
		var wrong error
		synctest.Test(t, func(t *testing.T) { wrong = live(t, steps) })
		if wrong != nil {
			rt.Fatal(wrong)
		}
	})
}

// mortal is a store that a process has, until it dies.
type mortal struct {
	*watchedStore
	dead *atomic.Bool
}

var errDied = errors.New("the process is dead")

func (m mortal) FinishRotation(ctx context.Context, claim tokenstore.Claim, c tokenstore.Credential) error {
	if m.dead.Load() {
		return errDied
	}
	return m.watchedStore.FinishRotation(ctx, claim, c)
}

func (m mortal) EndRotation(ctx context.Context, claim tokenstore.Claim) error {
	if m.dead.Load() {
		return errDied
	}
	return m.watchedStore.EndRotation(ctx, claim)
}

// live takes a gateway through the steps.
func live(t *testing.T, steps []step) error {
	a, s := newAtlassian(), newStore(t, time.Hour)
	var unreachable atomic.Bool
	way := roundTrip(func(r *http.Request) (*http.Response, error) {
		if unreachable.CompareAndSwap(true, false) {
			return nil, errors.New("no route")
		}
		time.Sleep(100 * time.Millisecond)
		return inMemory{a}.RoundTrip(r)
	})
	var m *Manager
	var end func()
	start := func() {
		process := mortal{s, new(atomic.Bool)}
		m = managerOn(t, process, "https://auth.example", way)
		ctx, cancel := context.WithCancel(context.Background())
		ran := make(chan error)
		go func() { ran <- m.Run(ctx) }()
		end = func() {
			process.dead.Store(true)
			cancel()
			if err := errors.Join(<-ran, m.Close(context.Background())); err != nil && !errors.Is(err, errDied) {
				t.Error(err)
			}
		}
	}
	start()
	defer func() { end() }()
	call := func() error {
		token, err := present(t.Context(), m, "acme")
		if err == nil && token.Reveal() != accessToken(0) && !s.isCommitted(token.Reveal()) {
			return fmt.Errorf("%s is not on disk", token.Reveal())
		}
		if err != nil && !errors.Is(err, ErrUnavailable) {
			return err
		}
		return nil
	}
	calm := func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.faults = nil
		unreachable.Store(false)
		s.failNextReplace()
	}
	for i, step := range steps {
		var err error
		switch step.What {
		case "call":
			err = call()
		case "wait":
			time.Sleep(step.For)
		case "lost":
			a.fail(a.lost)
		case "down":
			a.fail(answer(503, "text/html", ""))
		case "garbage":
			a.fail(answer(200, "text/html", "<p>"))
		case "unreachable":
			unreachable.Store(true)
		case "disk full":
			s.failNextReplace(syscall.ENOSPC, syscall.ENOSPC)
		case "crash":
			end()
			calm()
			time.Sleep(step.For)
			start()
		case "refused":
			if _, err = s.renewed(t, m, s.credential(t).AccessToken.Reveal()); errors.Is(err, ErrStillRefused) || errors.Is(err, ErrUnavailable) {
				err = nil
			}
		}
		if err != nil {
			return fmt.Errorf("step %d, %s: %w", i, step.What, err)
		}
	}
	calm()
	time.Sleep(2 * time.Hour)
	if _, err := present(t.Context(), m, "acme"); err != nil {
		return fmt.Errorf("in the end: %w", err)
	}
	c, notes := s.connection(t), s.standing(t)
	if c.State != tokenstore.StateActive || a.dead || len(notes) != 0 || s.credential(t).RefreshToken.Reveal() != a.current {
		return fmt.Errorf("in the end: state %s (%s), notes %v, stored %s, current %s", c.State, c.StateReason, notes, s.credential(t).RefreshToken.Reveal(), a.current)
	}
	return nil
}
