package oauth

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/tokenstore"
)

// A gateway that isn't on duty leaves alone what nobody uses; when it comes on duty it begins
// within moments. What is used there it renews in any case.
func TestOnDuty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		f, s := &fleet{}, newStore(t, time.Hour)
		s.life(t, "acme", time.Now().Add(idleLife), time.Now().Add(20*day)) // its grant ends
		s.add(t, "stranded", time.Hour)
		c := s.credentialOf(t, "stranded")
		if _, err := s.BeginRotation(t.Context(), "stranded", c.Generation); err != nil {
			t.Fatal(err)
		}
		var onDuty atomic.Bool
		m := managerOn(t, s, "https://auth.example", f, func(o *Options) { o.OnDuty = onDuty.Load })
		run(t, m)
		time.Sleep(5 * time.Hour)
		if c := s.connectionOf(t, "acme"); c.State != tokenstore.StateActive || f.requests() != 0 || len(s.standing(t)) != 1 {
			t.Errorf("off duty: acme is %s, %d refreshes, notes %v", c.State, f.requests(), s.standing(t))
		}
		onDuty.Store(true)
		time.Sleep(2 * time.Minute)
		if c := s.connectionOf(t, "acme"); c.State != tokenstore.StateExpiring || len(s.standing(t)) != 0 {
			t.Errorf("on duty: acme is %s, notes %v", c.State, s.standing(t))
		}

		onDuty.Store(false)
		for range 2 { // the first one refreshes, the second one uses what came of it
			if _, err := present(t.Context(), m, "acme"); err != nil {
				t.Fatal(err)
			}
		}
		before := f.requests()
		time.Sleep(time.Hour)
		if f.requests() != before+1 {
			t.Errorf("off duty what is used was refreshed %d times", f.requests()-before)
		}
	})
}
