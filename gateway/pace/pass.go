package pace

import (
	"context"
	"time"
)

// Pass is the leave to make one call. Who has it must end it, by [Pass.Leave] or
// [Pass.Cancel]. All methods may be called on a nil Pass, which never refuses.
type Pass struct {
	pacer      *Pacer
	connection *connection
	call       Call

	// Under the Pacer's lock:
	paid  payment       // by Enter, or by Again since
	in    bool          // holds a slot
	ready chan struct{} // closed once it got the slot it waited for; nil: it did not wait
}

// Waited reports whether Enter waited for a slot.
func (s *Pass) Waited() bool { return s != nil && s.ready != nil }

// Ready is the last look before the call goes out: much can happen between Enter
// and that. The error is a *[Refusal] if Jira has asked for a pause by now. The
// pass must be ended all the same.
func (s *Pass) Ready() error {
	return s.look(func(now time.Time) *Refusal {
		return s.pacer.paused(s.connection, s.call, now)
	})
}

// Again is for the call's repetition in the same slot, such as a read after its
// token was renewed: as Ready, and it pays the connection's budget and the app's
// points once more. A repetition that is refused has paid nothing, and so is one
// after the pass was ended.
func (s *Pass) Again() error {
	return s.look(func(now time.Time) *Refusal {
		if !s.in {
			return &Refusal{ReasonBusy, busyRetry}
		}
		if refused := s.pacer.paused(s.connection, s.call, now); refused != nil {
			return refused
		}
		return s.pacer.pay(s, now)
	})
}

// look asks whether the call may go out, and counts it if not.
func (s *Pass) look(at func(now time.Time) *Refusal) error {
	if s == nil {
		return nil
	}
	s.pacer.mu.Lock()
	refused := at(time.Now())
	s.pacer.mu.Unlock()
	if refused == nil {
		return nil
	}
	s.pacer.meters.refused(context.Background(), refused)
	return refused
}

// Leave ends the call and frees its slot for the one that waits longest. Once the
// pass is ended, it changes nothing.
func (s *Pass) Leave() { s.end(func() {}) }

// Cancel ends the call as Leave does, and gives back what it has paid, because
// it was not sent. After Again that is what the repetition has paid. Once the
// pass is ended, it changes nothing.
func (s *Pass) Cancel() { s.end(func() { s.pacer.giveBack(s) }) }

func (s *Pass) end(settle func()) {
	if s == nil {
		return
	}
	s.pacer.mu.Lock()
	defer s.pacer.mu.Unlock()
	if s.in {
		settle()
		s.pacer.release(s)
	}
}
