package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"jiragate/tokenstore"
)

// RunLifecycle has many callers change one credential at the same time, through one or more
// views of one store, and checks that what they got is what they would have got one after
// another, in an order that contradicts no clock: that the credential's life is linearizable
// (M. Herlihy, J. Wing: Linearizability, TOPLAS 1990). Each call of open returns the views of a
// new, empty store: one, or those of several processes, with leases that don't lapse while the
// test runs.
//
// What is read is checked beside that: a view never goes back, and shows what was changed
// through it.
func RunLifecycle(t *testing.T, open func(t *testing.T) []tokenstore.Store) {
	const rounds = 5
	for round := range rounds {
		views := open(t)
		l := &lifecycle{t: t, views: views, began: time.Now(), random: rand.New(rand.NewPCG(uint64(round), rand.Uint64()))}
		l.run()
		for i, s := range slices.Backward(views) {
			if i == 0 {
				mustDo(t, s.Check(t.Context()))
			}
			mustDo(t, s.Close())
		}
	}
}

// lifecycle is the history of one credential.
type lifecycle struct {
	t     *testing.T
	views []tokenstore.Store
	began time.Time

	mu      sync.Mutex
	random  *rand.Rand
	history []porcupine.Operation
}

// attempt is a change that somebody wanted.
type attempt struct {
	kind       string
	view       int
	generation uint64
	fence      uint64 // of the claim
}

// result is what they got.
type result struct {
	err   error // one of tokenstore's, or nil
	stood bool
	fence uint64
}

func (l *lifecycle) run() {
	t := l.t
	mustDo(t, l.views[0].AddConnection(t.Context(), CloudConnection("acme"), OAuth2("0")))
	first := FirstGeneration(l.views[0], "acme")
	const callers, each = 3, 12
	var wg sync.WaitGroup
	for view := range l.views {
		for c := range callers {
			wg.Go(func() { l.caller(view, view*callers+c, each) })
		}
	}
	wg.Wait()
	start := life{generation: first, holder: nobody}
	if !porcupine.CheckOperations(lifecycleModel(len(l.views) > 1, start), l.history) {
		for _, o := range l.history {
			t.Logf("%8d to %8d µs: %+v → %+v", o.Call/1000, o.Return/1000, o.Input, o.Output)
		}
		t.Error("what the callers got can't have happened one after another")
	}
}

// caller makes changes at random, with what it knows.
func (l *lifecycle) caller(view, id, changes int) {
	s, ctx := l.views[view], l.t.Context()
	var (
		claim tokenstore.Claim
		seen  uint64
	)
	for range changes {
		c, err := s.Credential(ctx, "acme")
		if errors.Is(err, tokenstore.ErrNotFound) {
			time.Sleep(time.Millisecond) // this view doesn't have it yet
			continue
		}
		if err != nil {
			l.t.Error(err)
			return
		}
		if c.Generation < seen {
			l.t.Errorf("view %d went back from generation %d to %d", view, seen, c.Generation)
		}
		seen = c.Generation
		switch kinds := []string{"begin", "begin", "finish", "finish", "end", "yield", "replace"}; kinds[l.draw(len(kinds))] {
		case "begin":
			l.record(id, attempt{kind: "begin", view: view, generation: seen}, func() result {
				taken, err := s.BeginRotation(ctx, "acme", seen)
				if err == nil {
					claim = taken
				}
				return result{kindOf(err), taken.Stood, taken.Fence}
			})
		case "finish":
			l.claimed(id, view, "finish", claim, func() error { return s.FinishRotation(ctx, claim, OAuth2(fmt.Sprint(seen))) })
		case "end":
			l.claimed(id, view, "end", claim, func() error { return s.EndRotation(ctx, claim) })
		case "yield":
			l.claimed(id, view, "yield", claim, func() error { return s.YieldRotation(ctx, claim) })
		case "replace":
			if l.record(id, attempt{kind: "replace", view: view, generation: seen}, func() result {
				return result{err: kindOf(s.ReplaceCredential(ctx, "acme", seen, OAuth2(fmt.Sprint(seen))))}
			}).err == nil {
				seen++ // which the view shows from now on
			}
		}
	}
}

// claimed makes a change that takes a claim, if there ever was one.
func (l *lifecycle) claimed(id, view int, kind string, claim tokenstore.Claim, change func() error) {
	if claim.Connection == "" {
		return
	}
	l.record(id, attempt{kind, view, claim.Generation, claim.Fence}, func() result { return result{err: kindOf(change())} })
}

func (l *lifecycle) draw(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.random.IntN(n)
}

func (l *lifecycle) record(id int, a attempt, change func() result) result {
	called := time.Since(l.began)
	r := change()
	returned := time.Since(l.began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history = append(l.history, porcupine.Operation{ClientId: id, Input: a, Output: r, Call: int64(called), Return: int64(returned)})
	return r
}

// kindOf is the error of tokenstore that err is, so that histories can be compared.
func kindOf(err error) error {
	for _, kind := range []error{tokenstore.ErrConflict, tokenstore.ErrClaimed, tokenstore.ErrLapsed} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return err
}

// life is what the store should have of the credential.
type life struct {
	generation uint64
	noted      bool   // a rotation of that generation
	holder     int    // the view that has the claim, or nobody
	fence      uint64 // of the claim taken last
}

const nobody = -1

// follows reports whether a claim was taken since the one with that fence, as far as is known.
func (l life) follows(fence uint64) bool {
	return (l.holder != nobody || l.noted) && l.fence != fence
}

// lifecycleModel is what a store does, one change after another.
func lifecycleModel(shared bool, start life) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return start },
		Step: func(state, input, output any) (bool, any) {
			return state.(life).step(shared, input.(attempt), output.(result))
		},
	}
}

// step says whether a change can give that result, and what is then.
func (l life) step(shared bool, a attempt, r result) (bool, life) {
	current := a.generation == l.generation
	switch a.kind {
	case "replace":
		if !current {
			return r.err == tokenstore.ErrConflict, l
		}
		return r.err == nil, l.next()
	case "begin":
		switch {
		case !current:
			return r.err == tokenstore.ErrConflict, l
		case shared && l.holder != nobody && l.holder != a.view:
			return r.err == tokenstore.ErrClaimed, l
		}
		ok := r.err == nil && r.stood == l.noted && (!shared || r.fence > l.fence)
		l.noted = true
		if shared {
			l.holder, l.fence = a.view, r.fence
		}
		return ok, l
	case "finish":
		follows := shared && l.follows(a.fence)
		switch {
		case !current && !follows:
			l.holder = nobody
			return r.err == tokenstore.ErrConflict, l
		case !current:
			return r.err == tokenstore.ErrConflict, l
		case follows:
			return r.err == tokenstore.ErrLapsed, l
		}
		return r.err == nil, l.next()
	}
	// To end or to yield a claim is no error, whatever has become of it.
	if !shared || !l.follows(a.fence) {
		l.holder = nobody
		if a.kind == "end" && current {
			l.noted = false
		}
	}
	return r.err == nil, l
}

func (l life) next() life {
	return life{generation: l.generation + 1, holder: nobody, fence: l.fence}
}
