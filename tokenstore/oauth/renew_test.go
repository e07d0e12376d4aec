package oauth

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// renewed asks for another token than the one that Jira refused.
func (s *watchedStore) renewed(t *testing.T, m *Manager, refused string) (string, error) {
	t.Helper()
	token, err := m.Renew(t.Context(), "acme", s.connection(t).Incarnation, secret.New(refused))
	return token.Reveal(), err
}

func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, time.Hour)
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		want := func(refused, token string, err error, requests int) {
			t.Helper()
			got, gotErr := s.renewed(t, m, refused)
			if got != token || !errors.Is(gotErr, err) || a.times() != requests {
				t.Errorf("refused %s: got %s, %v after %d requests; want %s, %v after %d", refused, got, gotErr, a.times(), token, err, requests)
			}
		}
		want(accessToken(0), accessToken(1), nil, 1)
		// Who comes late gets what there is.
		want(accessToken(0), accessToken(1), nil, 1)
		// The new one fares no better: nobody asks Atlassian again and again.
		for range 100 {
			want(accessToken(1), "", ErrStillRefused, 1)
		}
		wantToken(t, m, accessToken(1))
		time.Sleep(forcedPause)
		want(accessToken(1), accessToken(2), nil, 2)
		want(accessToken(2), "", ErrStillRefused, 2)
		// After a restart it may be tried once more.
		m = managerOn(t, s, "https://auth.example", inMemory{a})
		want(accessToken(2), accessToken(3), nil, 3)
		want(accessToken(3), "", ErrStillRefused, 3)
	})
}

// TestRenewFails: what the caller is told, and that the token which was refused is
// not given out again by Renew.
func TestRenewFails(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault http.HandlerFunc
		want  error
	}{
		{"down", answer(503, "text/html", ""), ErrUnavailable},
		{"wrong client", answerJSON(401, map[string]any{"error": "invalid_client"}), ErrClientRejected},
		{"dead grant", answerJSON(403, map[string]any{"error": "invalid_grant"}), ErrNeedsReauthorisation},
		{"silence", hang, ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, s := newAtlassian(), newStore(t, time.Hour)
				a.fail(test.fault)
				m := managerOn(t, s, "https://auth.example", inMemory{a})
				for range 3 { // backed off, the second time
					if token, err := s.renewed(t, m, accessToken(0)); token != "" || !errors.Is(err, test.want) {
						t.Fatalf("got %q, %v", token, err)
					}
				}
				if a.times() != 1 {
					t.Errorf("Atlassian was asked %d times", a.times())
				}
			})
		})
	}
	t.Run("no refresh token", func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, time.Hour)
		c := s.credential(t)
		c.RefreshToken = secret.Secret{}
		if err := s.ReplaceCredential(t.Context(), "acme", c.Generation, c); err != nil {
			t.Fatal(err)
		}
		m := newManager(t, s, a)
		if _, err := s.renewed(t, m, accessToken(0)); !errors.Is(err, ErrStillRefused) {
			t.Error(err)
		}
		if got := s.connection(t).State; got != tokenstore.StateActive {
			t.Errorf("state %s", got)
		}
	})
}

// TestThousandRenewOnce: as many calls were refused at once.
func TestThousandRenewOnce(t *testing.T) {
	w := newSimulated(t, nil)
	first := w.sim.IssueGrant()
	w.grant("acme", first, time.Now().Add(time.Hour))
	w.sim.ExpireAccessTokens()
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			if token, err := w.renewed(t, w.Manager, first.AccessToken); err != nil || token == first.AccessToken {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if stats := w.sim.TokenStats(); stats.Requests != 1 {
		t.Errorf("%+v", stats)
	}
}

// TestRenewWhileRefreshing: the refresh that runs is the one to wait for.
func TestRenewWhileRefreshing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, time.Minute)
		a.fail(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(10 * time.Second)
			answerJSON(200, map[string]any{"access_token": accessToken(1), "refresh_token": refreshToken(1), "expires_in": 3600})(w, r)
		})
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		wantToken(t, m, accessToken(0))
		if token, err := s.renewed(t, m, accessToken(0)); token != accessToken(1) || err != nil || a.times() != 1 {
			t.Errorf("got %s, %v after %d requests", token, err, a.times())
		}
	})
}

// TestRenewIsOfItsIncarnation, as all else.
func TestRenewIsOfItsIncarnation(t *testing.T) {
	a, s := newAtlassian(), newStore(t, time.Hour)
	m := newManager(t, s, a)
	old := s.connection(t).Incarnation
	s.replace(t, time.Hour)
	if token, err := m.Renew(t.Context(), "acme", old, secret.New(accessToken(0))); !errors.Is(err, ErrReplaced) || !token.IsZero() {
		t.Errorf("got %q, %v", token.Reveal(), err)
	}
	s.wantUntouched(t)
}
