package oauth

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/tokenstore/secret"
	"jiragate/tokenstore/storetest"
)

// TestRenewedEarly: from a first refresh on, a token is renewed when the margin
// of its lifetime begins, and never later.
func TestRenewedEarly(t *testing.T) {
	for _, test := range []struct {
		lifetime            any // expires_in
		notBefore, atLatest time.Duration
	}{
		{3600, 54 * time.Minute, 55 * time.Minute},
		{"3600", 54 * time.Minute, 55 * time.Minute},
		{3600.0, 54 * time.Minute, 55 * time.Minute},
		{3599.9, 53 * time.Minute, 55 * time.Minute},
		{300, 4 * time.Minute, 4 * time.Minute},
		{10, 8 * time.Second, 8 * time.Second},
		// Nothing sensible: a few minutes are assumed.
		{nil, 4 * time.Minute, 4 * time.Minute},
		{0, 4 * time.Minute, 4 * time.Minute},
		{-1, 4 * time.Minute, 4 * time.Minute},
		{"soon", 4 * time.Minute, 4 * time.Minute},
		{map[string]any{}, 4 * time.Minute, 4 * time.Minute},
		// A day is believed, but no more.
		{1e300, 24*time.Hour - 6*time.Minute, 24*time.Hour - 5*time.Minute},
	} {
		t.Run(fmt.Sprint(test.lifetime), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, s := newAtlassian(), newStore(t, -time.Second)
				a.lifetime = test.lifetime
				m := managerOn(t, s, "https://auth.example", inMemory{a})
				wantToken(t, m, accessToken(1))
				time.Sleep(test.notBefore - time.Second)
				wantToken(t, m, accessToken(1))
				time.Sleep(test.atLatest - test.notBefore + time.Second)
				wantToken(t, m, accessToken(1)) // which is valid still, and renewed meanwhile
				synctest.Wait()
				wantToken(t, m, accessToken(2))
			})
		})
	}
}

// TestExpiryCountsFromBeforeTheRequest: a slow answer doesn't lengthen a token's
// life.
func TestExpiryCountsFromBeforeTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		a.fail(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(20 * time.Second)
			answerJSON(200, map[string]any{"access_token": accessToken(1), "expires_in": 3600})(w, r)
		})
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		asked := time.Now()
		wantToken(t, m, accessToken(1))
		if got := s.credential(t).Expiry.Sub(asked); got != time.Hour {
			t.Errorf("the expiry is %v after the request", got)
		}
	})
}

// TestSpread: connections that were set up together don't renew together.
func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, time.Hour)
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		spreads := map[time.Duration]bool{}
		for i := range 20 {
			id := fmt.Sprintf("c%d", i)
			s.add(t, id, time.Hour)
			if _, err := present(t.Context(), m, id); err != nil {
				t.Fatal(err)
			}
			c, _ := s.Directory().Connection(id)
			spreads[m.renewals[holder{id, c.Incarnation}].spread] = true
		}
		if len(spreads) < 10 {
			t.Errorf("20 connections have %d times of renewal", len(spreads))
		}
	})
}

// TestBackoff: callers come all the time; Atlassian, which is down for an hour,
// sees ever fewer requests.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		var at []time.Time
		down := func(w http.ResponseWriter, r *http.Request) {
			at = append(at, time.Now())
			answer(503, "text/html", "")(w, r)
		}
		for range 1000 {
			a.fail(down)
		}
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		for range 4 * 3600 {
			wantError(t, m, ErrUnavailable)
			time.Sleep(250 * time.Millisecond)
		}
		if len(at) < 40 || len(at) > 100 {
			t.Errorf("%d requests in an hour", len(at))
		}
		for i := range at[1:] {
			want := min(firstBackoff<<min(i, 10), lastBackoff)
			got := at[i+1].Sub(at[i])
			if end := at[i+1].Sub(at[0]) - insistence; end >= 0 && end < time.Second {
				continue // the last moment of the leeway is used, early or not
			}
			if got < want*7/10 || got > want*13/10+250*time.Millisecond {
				t.Errorf("wait #%d was %v, want about %v", i+1, got, want)
			}
		}
		a.faults = nil
		time.Sleep(2 * time.Minute)
		wantToken(t, m, accessToken(1))
	})
}

// TestRetryAfter is obeyed in both its forms, up to a limit.
func TestRetryAfter(t *testing.T) {
	for _, test := range []struct {
		name   string
		header func() string
		wait   time.Duration
	}{
		{"seconds", func() string { return "300" }, 5 * time.Minute},
		{"date", func() string { return time.Now().Add(5 * time.Minute).UTC().Format(http.TimeFormat) }, 5 * time.Minute},
		// It says nothing of what became of the token, whose leeway doesn't wait.
		{"a year", func() string { return "31536000" }, insistence},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, s := newAtlassian(), newStore(t, -time.Second)
				a.fail(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Retry-After", test.header())
					w.WriteHeader(429)
				})
				m := managerOn(t, s, "https://auth.example", inMemory{a})
				wantError(t, m, ErrUnavailable)
				time.Sleep(test.wait - time.Second)
				wantError(t, m, ErrUnavailable)
				if n := a.times(); n != 1 {
					t.Errorf("asked %d times before it was time", n)
				}
				time.Sleep(2 * time.Second)
				wantToken(t, m, accessToken(1))
			})
		})
	}
}

// TestWrongClientIsNotRepeatedUnasked: only a person can mend it.
func TestWrongClientIsNotRepeatedUnasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		m := managerOn(t, s, "https://auth.example", inMemory{a}, func(o *Options) { o.ClientSecret = secret.New("old-" + mark) })
		wantError(t, m, ErrClientRejected)
		time.Sleep(time.Hour)
		if n := a.times(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		wantError(t, m, ErrClientRejected)
		if n := a.times(); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

// TestSilence: Atlassian takes the request and says nothing.
func TestSilence(t *testing.T) {
	t.Run("while the token is valid", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, s := newAtlassian(), newStore(t, time.Minute)
			a.fail(hang)
			m := managerOn(t, s, "https://auth.example", inMemory{a})
			began := time.Now()
			for range 2 {
				wantToken(t, m, accessToken(0))
				if waited := time.Since(began); waited != 0 {
					t.Errorf("the caller waited %v", waited)
				}
			}
			// It is made in the background, and again when it has failed.
			time.Sleep(refreshTimeout + 2*time.Second)
			wantToken(t, m, accessToken(1))
		})
	})
	t.Run("when it has ended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, s := newAtlassian(), newStore(t, -time.Second)
			a.fail(hang)
			m := managerOn(t, s, "https://auth.example", inMemory{a})
			began := time.Now()
			wantError(t, m, ErrUnavailable)
			if waited := time.Since(began); waited != refreshTimeout {
				t.Errorf("the caller waited %v", waited)
			}
		})
	})
}

// TestForgottenConnections: what is known of removed connections goes, too.
func TestForgottenConnections(t *testing.T) {
	a, s := newAtlassian(), newStore(t, time.Hour)
	m := newManager(t, s, a)
	wantToken(t, m, accessToken(0))
	if err := storetest.Remove(t.Context(), s, "acme"); err != nil {
		t.Fatal(err)
	}
	s.add(t, "other", time.Hour)
	m.sweepAt = 0 // as after many more
	if _, err := present(t.Context(), m, "other"); err != nil {
		t.Fatal(err)
	}
	if len(m.renewals) != 1 {
		t.Errorf("%d connections are known", len(m.renewals))
	}

	// So does what is known of one that was added again.
	replaced := s.connectionOf(t, "other").Incarnation
	if err := storetest.Remove(t.Context(), s, "other"); err != nil {
		t.Fatal(err)
	}
	s.add(t, "other", time.Hour)
	m.sweepAt = 0
	if _, err := present(t.Context(), m, "other"); err != nil {
		t.Fatal(err)
	}
	if _, ok := m.renewals[holder{"other", replaced}]; ok || len(m.renewals) != 1 {
		t.Errorf("%d connections are known, the one before among them: %v", len(m.renewals), ok)
	}
}
