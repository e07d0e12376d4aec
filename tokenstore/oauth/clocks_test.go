package oauth

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// TestRefreshSetsTheClocks: the refresh token's anew, those of the consent not.
func TestRefreshSetsTheClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, consented := range []time.Time{{}, time.Now().Add(-100 * 24 * time.Hour).UTC()} {
			a, s := newAtlassian(), newStore(t, -time.Second)
			c := s.credential(t)
			if c.ConsentedAt = consented; !consented.IsZero() {
				c.EndsAt = consented.Add(cloudGrantLife)
			}
			if err := s.ReplaceCredential(t.Context(), "acme", c.Generation, c); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			wantToken(t, managerOn(t, s, "https://auth.example", inMemory{a}), accessToken(1))
			now := s.credential(t)
			if !now.ConsentedAt.Equal(c.ConsentedAt) || !now.EndsAt.Equal(c.EndsAt) || !now.LapsesAt.Equal(began.Add(90*24*time.Hour)) {
				t.Errorf("consented %v, ends %v, lapses %v", now.ConsentedAt, now.EndsAt, now.LapsesAt)
			}
		}
	})
}

// TestClockSetBack: the expiry that is stored is two hours away by the clock on
// the wall, but the process knows how long the token lives.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		run(t, m)
		wantToken(t, m, accessToken(1))
		s.mu.Lock()
		s.skew = 2 * time.Hour
		s.mu.Unlock()
		wantToken(t, m, accessToken(1))
		time.Sleep(time.Hour)
		if c := s.credential(t); c.AccessToken.Reveal() != accessToken(2) || a.times() != 2 {
			t.Errorf("an hour later %s is stored, after %d requests", c.AccessToken.Reveal(), a.times())
		}
	})
}

// TestClockFarAhead: a token whose expiry can't be true, as one has that came
// while the clock was years ahead, is renewed once.
func TestClockFarAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, 3*365*24*time.Hour)
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		for range 10 {
			if _, err := present(t.Context(), m, "acme"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if a.times() != 1 {
			t.Errorf("Atlassian was asked %d times", a.times())
		}
	})
}

// TestClockOff by two minutes in either direction, from the beginning or from one
// moment to the next: tokens that Jira takes for ended are never given out, and
// there are no more refreshes than an hour's token needs.
func TestClockOff(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": 2 * time.Minute, "behind": -2 * time.Minute} {
		for _, after := range []time.Duration{0, 90 * time.Minute} {
			t.Run(name+" after "+after.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, s := newAtlassian(), newStore(t, -5*time.Minute)
					var mu sync.Mutex
					ends := map[string]time.Time{} // by Jira's clock
					began := time.Now()
					m := managerOn(t, s, "https://auth.example", roundTrip(func(r *http.Request) (*http.Response, error) {
						res, err := inMemory{a}.RoundTrip(r)
						mu.Lock()
						defer mu.Unlock()
						ends[accessToken(a.times())] = time.Now().Add(time.Hour)
						return res, err
					}), func(o *Options) {
						o.Now = func() time.Time {
							now := time.Now()
							if now.Sub(began) >= after {
								now = now.Add(off)
							}
							return now.Round(0) // as if nothing but the wall's clock were there
						}
					})
					run(t, m)
					for range 10 * 60 * 4 {
						time.Sleep(15 * time.Second)
						token, err := present(t.Context(), m, "acme")
						if err != nil {
							t.Fatal(err)
						}
						mu.Lock()
						end := ends[token.Reveal()]
						mu.Unlock()
						if !time.Now().Before(end) {
							t.Fatalf("%s has ended at %v", token.Reveal(), end)
						}
					}
					if n := a.times(); n < 10 || n > 13 {
						t.Errorf("%d refreshes in ten hours", n)
					}
				})
			})
		}
	}
}

// TestStrikes: each connection has one hour of the day, however the clock goes.
func TestStrikes(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	for _, step := range []time.Duration{time.Hour, 50 * time.Minute, 3 * time.Hour, 25 * time.Hour} {
		for _, id := range []string{"acme", "other", "c17"} {
			days, hits := 10, 0
			at := start
			since := at
			for at.Before(start.Add(time.Duration(days) * 24 * time.Hour)) {
				at = at.Add(step)
				if strikes(id, since, at) {
					hits++
				}
				since = at
			}
			if want := min(days, int(at.Sub(start)/step)); hits < want-1 || hits > want+1 {
				t.Errorf("%s strikes %d times in %d days, each %v", id, hits, days, step)
			}
		}
	}
	// Without a sweep before it, or after the clock went back: the last hour.
	for _, since := range []time.Time{{}, start.Add(time.Hour), start} {
		hits := 0
		for hour := range 24 {
			if strikes("acme", since, start.Add(-time.Duration(hour)*time.Hour)) {
				hits++
			}
		}
		if hits < 1 {
			t.Errorf("since %v: %d", since, hits)
		}
	}
}

// TestLapses: from when on a refresh token is used for its own sake.
func TestLapses(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	c := &tokenstore.Connection{CreatedAt: now.Add(-23 * time.Hour)}
	token := secret.New(refreshToken(1))
	for _, test := range []struct {
		name string
		cred tokenstore.Credential
		want bool
	}{
		{"used yesterday", tokenstore.Credential{RefreshToken: token, LapsesAt: now.Add(89 * day)}, false},
		{"used 29 days ago", tokenstore.Credential{RefreshToken: token, LapsesAt: now.Add(61 * day)}, false},
		{"used 31 days ago", tokenstore.Credential{RefreshToken: token, LapsesAt: now.Add(59 * day)}, true},
		{"lapsed, perhaps", tokenstore.Credential{RefreshToken: token, LapsesAt: now.Add(-day)}, true},
		{"without a refresh token", tokenstore.Credential{LapsesAt: now.Add(day)}, false},
		{"imported today", tokenstore.Credential{RefreshToken: token}, false},
	} {
		if got := lapses(c, &test.cred, now); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if c.CreatedAt = now.Add(-25 * time.Hour); !lapses(c, &tokenstore.Credential{RefreshToken: token}, now) {
		t.Error("imported long ago: not used")
	}
}
