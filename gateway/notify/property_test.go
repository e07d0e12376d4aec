package notify

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"jiragate/tokenstore"
)

// step of a story: exactly one field counts.
type step struct {
	Set     tokenstore.State // of Connection
	Remove  bool             // Connection
	Restart bool
	Answer  *int // how the product answers from now on; 0: not at all
	Sleep   time.Duration

	Connection string
}

var steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
	s := step{Connection: fmt.Sprintf("c%d", rapid.IntRange(0, 4).Draw(t, "connection"))}
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0, 1, 2:
		s.Set = rapid.SampledFrom([]tokenstore.State{tokenstore.StateActive, tokenstore.StateExpiring,
			tokenstore.StateNeedsReauthorisation, tokenstore.StateDisabled}).Draw(t, "state")
	case 3:
		s.Remove = true
	case 4:
		s.Restart = true
	case 5:
		answer := rapid.SampledFrom([]int{0, 204, 200, 302, 400, 410, 429, 500, 503}).Draw(t, "answer")
		s.Answer = &answer
	case 6:
		s.Sleep = rapid.SampledFrom([]time.Duration{time.Second, 20 * time.Second, 10 * time.Minute}).Draw(t, "sleep")
	}
	return s
}), 1, 30)

// TestProperties lets connections come, change and go, the receiver fail in every
// way and the gateway start again, and checks what must hold all the time: states
// of a connection come in order, and none comes again once it was acknowledged;
// and in the end: the product knows the state of every connection.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		story := steps.Draw(rt, "steps")
		var wrong []string
		synctest.Test(t, func(t *testing.T) { wrong = live(t, story) })
		if len(wrong) > 0 {
			rt.Fatal(wrong)
		}
	})
}

// live returns what went wrong.
func live(t *testing.T, story []step) (wrong []string) {
	var mu sync.Mutex // for what the receiver writes and reads
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	known := map[string]Message{}     // by connection
	acknowledged := map[string]bool{} // by id
	code := 204
	gone := false

	s, p := newMemory(), newReceiver(t)
	p.set(func(w http.ResponseWriter, r *http.Request, a attempt) {
		mu.Lock()
		defer mu.Unlock()
		if a.msg.Timestamp.Before(known[a.msg.Data.Connection].Timestamp) {
			complain("%s came after a newer state", a.state())
		}
		if acknowledged[a.id] {
			complain("%s came again", a.state())
		}
		known[a.msg.Data.Connection] = a.msg
		if code == 0 {
			mu.Unlock()
			<-r.Context().Done()
			mu.Lock()
			return
		}
		acknowledged[a.id] = code < 300
		w.WriteHeader(code)
	})
	answer := func(c int) {
		mu.Lock()
		defer mu.Unlock()
		code = c
	}

	stop := start(t, newNotifier(t, s, p))
	for _, step := range story {
		switch {
		case step.Set != "":
			s.set(step.Connection, step.Set)
		case step.Remove:
			s.remove(step.Connection)
		case step.Restart:
			stop()
			stop = start(t, newNotifier(t, s, p))
		case step.Answer != nil:
			answer(*step.Answer)
			gone = gone || *step.Answer == http.StatusGone
		}
		time.Sleep(step.Sleep + time.Millisecond)
	}
	answer(204)
	if gone { // waiting a day takes long even here
		stop()
		stop = start(t, newNotifier(t, s, p))
	}
	time.Sleep(lastWait + 2*lastPause)
	stop()

	for _, c := range s.Directory().Connections() {
		if m := known[c.ID]; m.Data.State != c.State || !m.Timestamp.Equal(c.StateSince) {
			complain("%s is %s, and the product knows %s", c.ID, c.State, m.Data.State)
		}
		if a := s.announced[c.ID]; !covers(a, c) {
			complain("%s is %s, and noted is %s", c.ID, c.State, a.State)
		}
	}
	return wrong
}
