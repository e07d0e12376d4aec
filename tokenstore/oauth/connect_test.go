package oauth

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
	"jiragate/tokenstore/storetest"
)

// granted is a consent for "acme" as FinishConsent returns one.
func (s *watchedStore) granted(t *testing.T, m *Manager, lifetime time.Duration) *Granted {
	t.Helper()
	c, err := m.BeginConsent(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	site := s.connection(t)
	g := &Granted{Consent: c, edition: site.Edition, Sites: []Site{{ID: site.CloudID, URL: site.SiteURL}}, Credential: tokenstore.Credential{
		Kind: tokenstore.KindOAuth2, AccessToken: secret.New(newAccessToken), RefreshToken: secret.New(newRefreshToken), Expiry: time.Now().Add(lifetime).UTC(),
	}}
	life{idle: idleLife, absolute: cloudGrantLife}.begin(&g.Credential, time.Now())
	return g
}

// TestConsentWinsOverRefresh, whichever comes first, and nothing that was learned
// of the grant before it is held against the new one.
func TestConsentWinsOverRefresh(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"that succeeds", answerJSON(200, map[string]any{"access_token": accessToken(1), "refresh_token": refreshToken(1), "expires_in": 3600})},
		{"that is ambiguous", answer(503, "text/html", "")},
		{"that finds the grant dead", answerJSON(403, map[string]any{"error": "invalid_grant"})},
		{"that is refused", answerJSON(401, map[string]any{"error": "invalid_client"})},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, s := newAtlassian(), newStore(t, -time.Second)
				connected := make(chan struct{})
				a.fail(func(w http.ResponseWriter, r *http.Request) {
					<-connected
					test.answer(w, r)
				})
				m := managerOn(t, s, "https://auth.example", inMemory{a})
				g := s.granted(t, m, time.Hour)
				var wg sync.WaitGroup
				wg.Go(func() { wantToken(t, m, newAccessToken) }) // it waits for the refresh
				synctest.Wait()
				if err := m.Connect(t.Context(), g, g.Sites[0]); err != nil {
					t.Fatal(err)
				}
				wantToken(t, m, newAccessToken) // and the next one doesn't
				close(connected)
				wg.Wait()
				wantToken(t, m, newAccessToken)
				if c := s.connection(t); c.State != tokenstore.StateActive || len(s.standing(t)) != 0 {
					t.Errorf("state %s; notes: %v", c.State, s.standing(t))
				}
				// The new grant is refreshed in its turn, at once.
				a.mu.Lock()
				a.current = newRefreshToken
				a.mu.Unlock()
				if err := forceRefresh(t.Context(), m, "acme"); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Hour)
				if a.times() != 2 || a.sent(1) != newRefreshToken {
					t.Errorf("%d requests, the last with %v", a.times(), a.sent(a.times()-1))
				}
			})
		})
	}
}

// TestConnectAgainstRefreshes that are stored between its reading and its writing.
func TestConnectAgainstRefreshes(t *testing.T) {
	a, s := newAtlassian(), newStore(t, time.Hour)
	m := newManager(t, s, a)
	g := s.granted(t, m, time.Hour)
	again := 3
	s.beforeReplace = func() {
		if again--; again < 0 {
			return
		}
		c := s.credential(t)
		c.AccessToken = secret.New(accessToken(again))
		if err := s.Store.ReplaceCredential(t.Context(), "acme", c.Generation, c); err != nil {
			t.Error(err)
		}
	}
	if err := m.Connect(t.Context(), g, g.Sites[0]); err != nil {
		t.Fatal(err)
	}
	wantToken(t, m, newAccessToken)
	if again != -1 {
		t.Errorf("stored at attempt %d", 4-again)
	}
	again = 1 << 20
	if err := m.Connect(t.Context(), g, g.Sites[0]); !errors.Is(err, ErrUnavailable) {
		t.Errorf("against endless refreshes: %v", err)
	}
}

// TestConnectOverBackoff: callers who were refused a moment ago are served at once.
func TestConnectOverBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		for range 100 {
			a.fail(answer(503, "text/html", ""))
		}
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		run(t, m)
		wantError(t, m, ErrUnavailable)
		time.Sleep(5 * time.Minute)
		wantError(t, m, ErrUnavailable)
		g := s.granted(t, m, time.Hour)
		if err := m.Connect(t.Context(), g, g.Sites[0]); err != nil {
			t.Fatal(err)
		}
		asked := a.times()
		wantToken(t, m, newAccessToken)
		time.Sleep(30 * time.Minute)
		if a.times() != asked {
			t.Errorf("%d more requests for the grant before", a.times()-asked)
		}
	})
}

// TestNewGrantIsNotTakenForTheOldOne: that the grant before it was used is no
// reason for Run to look after a new one again and again.
func TestNewGrantIsNotTakenForTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, 10*time.Minute)
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		wantToken(t, m, accessToken(0))
		g := s.granted(t, m, 3*time.Hour)
		if err := m.Connect(t.Context(), g, g.Sites[0]); err != nil {
			t.Fatal(err)
		}
		var reads atomic.Int64
		s.beforeCredential = func() { reads.Add(1) }
		run(t, m)
		time.Sleep(2*time.Hour + 30*time.Minute)
		synctest.Wait()
		if n := reads.Load(); n > 5 || a.times() != 0 {
			t.Errorf("%d looks at the credential, %d requests", n, a.times())
		}
	})
}

// TestReplacedWhileLocated: the connection that a consent was to lead somewhere is
// another one at the moment at which that is stored.
func TestReplacedWhileLocated(t *testing.T) {
	s := newStore(t, time.Hour)
	m := managerOn(t, s, "https://auth.example", inMemory{newAtlassian()})
	unlocated := func() {
		err := errors.Join(storetest.Remove(t.Context(), s, "acme"), s.AddConnection(t.Context(), tokenstore.Connection{
			ID: "acme", Edition: policy.Cloud, Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindOAuth2,
		}, tokenstore.Credential{Kind: tokenstore.KindOAuth2}))
		if err != nil {
			t.Fatal(err)
		}
	}
	unlocated()
	g := s.granted(t, m, time.Hour)
	site := Site{ID: "99999999-2222-3333-4444-555555555555", URL: "https://new.atlassian.net"}
	s.beforeUpdate = unlocated
	if err := m.Connect(t.Context(), g, site); !errors.Is(err, ErrReplaced) {
		t.Error(err)
	}
	if c := s.connection(t); c.CloudID != "" || c.SiteURL != "" || c.State != tokenstore.StateNeedsReauthorisation {
		t.Errorf("%+v", c)
	}
}

// TestStatus of a grant through a lost answer.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, time.Minute)
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		status := func(rotation string) GrantStatus {
			t.Helper()
			st, err := m.Status(t.Context(), "acme")
			if err != nil || st.Rotation != rotation || !st.Consented || st.RotationSince.IsZero() != (rotation == "") {
				t.Errorf("%+v, %v; want %q", st, err, rotation)
			}
			return st
		}
		if st := status(""); !st.NextRefreshAt.Before(st.AccessExpiresAt) || !st.LapsesAt.IsZero() {
			t.Errorf("%+v", st)
		}
		a.fail(hang)
		wantToken(t, m, accessToken(0))
		synctest.Wait()
		status(RotationRefreshing)
		time.Sleep(refreshTimeout)
		synctest.Wait()
		if st := status(RotationAmbiguous); !st.NextRefreshAt.After(time.Now()) {
			t.Errorf("%+v", st)
		}
		time.Sleep(2 * time.Second)
		if st := status(""); st.LapsesAt.IsZero() || time.Until(st.NextRefreshAt) < 53*time.Minute {
			t.Errorf("%+v", st)
		}
		if err := s.SetState(t.Context(), "acme", tokenstore.StateDisabled, ""); err != nil {
			t.Fatal(err)
		}
		if st := status(""); !st.NextRefreshAt.IsZero() {
			t.Errorf("%+v", st)
		}
		if _, err := m.Status(t.Context(), "nobody"); !errors.Is(err, tokenstore.ErrNotFound) {
			t.Error(err)
		}
	})
}
