package notify

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/tokenstore"
)

// post is who of two is on duty, which share a store and a receiver; 0: nobody.
type post struct{ atomic.Int32 }

func (p *post) stand(t *testing.T, s *memory, r *receiver, number int32) *Notifier {
	t.Helper()
	n := newNotifier(t, s, r, func(o *Options) { o.OnDuty = func() bool { return p.Load() == number } })
	start(t, n)
	return n
}

// Of two gateways one tells, and what that didn't tell the next one does; neither tells what
// the other has told.
func TestOneIsOnDuty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r, duty := newMemory("acme"), newReceiver(t), &post{}
		a, b := duty.stand(t, s, r, 1), duty.stand(t, s, r, 2)
		time.Sleep(time.Minute)
		r.wantStates(t) // nobody is on duty
		duty.Store(1)
		time.Sleep(moment)
		r.wantStates(t, "acme active")
		s.set("acme", tokenstore.StateExpiring)
		time.Sleep(moment)
		r.wantStates(t, "acme expiring")

		duty.Store(0)
		time.Sleep(moment)
		s.set("globex", tokenstore.StateActive)
		time.Sleep(time.Minute)
		r.wantStates(t)
		duty.Store(2)
		time.Sleep(moment)
		r.wantStates(t, "globex active")
		s.set("acme", tokenstore.StateDisabled)
		time.Sleep(moment)
		r.wantStates(t, "acme disabled")

		duty.Store(1) // which has told of other states of both
		time.Sleep(time.Hour)
		r.wantStates(t)
		for _, n := range []*Notifier{a, b} {
			if got := n.Backlog(); got != (Backlog{}) {
				t.Errorf("backlog %+v", got)
			}
		}
	})
}

// What one gateway can't deliver is the backlog of whoever is on duty, and waits no longer
// there for having failed elsewhere.
func TestTheBacklogGoesWithTheDuty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r, duty := newMemory("acme"), newReceiver(t), &post{}
		a, b := duty.stand(t, s, r, 1), duty.stand(t, s, r, 2)
		r.set(status(500))
		duty.Store(1)
		time.Sleep(time.Hour)
		if r.take(); a.Backlog().Pending != 1 || b.Backlog().Pending != 0 {
			t.Errorf("backlogs %+v, %+v", a.Backlog(), b.Backlog())
		}
		r.set(nil)
		duty.Store(2)
		time.Sleep(moment)
		r.wantStates(t, "acme active")
		if a.Backlog().Pending != 0 || b.Backlog().Pending != 0 {
			t.Errorf("backlogs %+v, %+v", a.Backlog(), b.Backlog())
		}
	})
}

// A gateway that loses the duty before it could note what it has delivered writes nothing over
// what the next one has told.
func TestWhatCouldNotBeNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r, duty := newMemory("acme"), newReceiver(t), &post{}
		duty.stand(t, s, r, 1)
		duty.stand(t, s, r, 2)
		r.set(func(w http.ResponseWriter, _ *http.Request, _ attempt) {
			s.failWith(errors.New("etcd is away"))
			w.WriteHeader(http.StatusNoContent)
		})
		duty.Store(1)
		time.Sleep(moment)
		r.wantStates(t, "acme active")
		r.set(nil)
		s.failWith(nil)
		duty.Store(2)
		time.Sleep(moment)
		r.wantStates(t, "acme active") // once more
		s.set("acme", tokenstore.StateDisabled)
		time.Sleep(moment)
		r.wantStates(t, "acme disabled")
		time.Sleep(time.Hour)
		r.wantStates(t)
		s.mu.Lock()
		defer s.mu.Unlock()
		if a := s.announced["acme"]; a.State != tokenstore.StateDisabled || s.writes != 2 {
			t.Errorf("noted %+v, by %d writes", a, s.writes)
		}
	})
}
