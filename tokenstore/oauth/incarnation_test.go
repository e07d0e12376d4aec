package oauth

import (
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
	"jiragate/tokenstore/storetest"
)

// What the connection "acme" holds after replace.
const (
	newAccessToken  = "new-access-" + mark
	newRefreshToken = "new-refresh-" + mark
)

// replace removes "acme" and adds it again, with a credential of its own whose
// access token ends after left.
func (s *watchedStore) replace(t *testing.T, left time.Duration) {
	t.Helper()
	c := *s.connection(t)
	c.SiteURL, c.CloudID = "https://new.atlassian.net", "99999999-2222-3333-4444-555555555555"
	err := errors.Join(
		storetest.Remove(t.Context(), s, "acme"),
		s.AddConnection(t.Context(), c, tokenstore.Credential{
			Kind: tokenstore.KindOAuth2, AccessToken: secret.New(newAccessToken), RefreshToken: secret.New(newRefreshToken),
			Expiry: time.Now().Add(left).UTC(),
		}))
	if err != nil {
		t.Error(err)
	}
}

// wantReplaced asks for the token of an incarnation that is not the present one.
func wantReplaced(t *testing.T, m *Manager, incarnation uint64) {
	t.Helper()
	got, err := m.AccessToken(t.Context(), "acme", incarnation)
	if !errors.Is(err, ErrReplaced) || !got.IsZero() {
		t.Errorf("incarnation %d: token %q, error %v, want ErrReplaced alone", incarnation, got.Reveal(), err)
	}
	for _, other := range []error{ErrNeedsReauthorisation, ErrUnavailable, ErrNotConfigured, ErrDisabled} {
		if errors.Is(err, other) {
			t.Errorf("%v is %v as well", err, other)
		}
	}
}

// wantUntouched checks that the connection is as replace left it.
func (s *watchedStore) wantUntouched(t *testing.T) {
	t.Helper()
	c := s.credential(t)
	if c.AccessToken.Reveal() != newAccessToken || c.RefreshToken.Reveal() != newRefreshToken || c.Generation != s.firstGeneration(t) {
		t.Errorf("stored: %s, %s, generation %#x", c.AccessToken.Reveal(), c.RefreshToken.Reveal(), c.Generation)
	}
	if c := s.connection(t); c.State != tokenstore.StateActive {
		t.Errorf("state %s (%s)", c.State, c.StateReason)
	}
}

// TestOnlyThePresentIncarnationHasATokenToGive, whatever its state.
func TestOnlyThePresentIncarnationHasATokenToGive(t *testing.T) {
	a, s := newAtlassian(), newStore(t, time.Hour)
	m := newManager(t, s, a)
	old := s.connection(t).Incarnation
	wantToken(t, m, accessToken(0))
	s.replace(t, time.Hour)
	now := s.connection(t).Incarnation
	for _, state := range []tokenstore.State{tokenstore.StateNeedsReauthorisation, tokenstore.StateDisabled, tokenstore.StateActive} {
		if err := s.SetState(t.Context(), "acme", state, ""); err != nil {
			t.Fatal(err)
		}
		for _, incarnation := range []uint64{0, old, now + 1, tokenstore.FirstGeneration(now)} {
			wantReplaced(t, m, incarnation)
		}
	}
	wantToken(t, m, newAccessToken)
	if a.times() != 0 {
		t.Errorf("Atlassian was asked %d times", a.times())
	}
}

// TestReplacedBetweenTwoReads: the directory still shows the connection that was
// asked for, but the credential is the next one's.
func TestReplacedBetweenTwoReads(t *testing.T) {
	for name, left := range map[string]time.Duration{"valid": time.Hour, "about to end": time.Minute, "ended": -time.Second} {
		t.Run(name, func(t *testing.T) {
			a, s := newAtlassian(), newStore(t, time.Hour)
			m := newManager(t, s, a)
			s.beforeCredential = func() {
				s.beforeCredential = nil
				s.replace(t, left)
			}
			wantReplaced(t, m, s.connection(t).Incarnation)
			s.wantUntouched(t)
			if a.times() != 0 {
				t.Errorf("Atlassian was asked %d times", a.times())
			}
		})
	}
}

// TestReplacedWhileRefreshed: at whatever point the connection is replaced, and
// whatever Atlassian says, the caller of before gets no token, and what the
// refresh brought or learned does nothing to the connection of now.
func TestReplacedWhileRefreshed(t *testing.T) {
	for _, test := range []struct {
		name string
		// arrange sees to it that replace is called in the course of a refresh.
		arrange func(a *atlassian, s *watchedStore, replace func())
	}{
		{"before the answer", func(a *atlassian, _ *watchedStore, replace func()) {
			a.fail(func(w http.ResponseWriter, r *http.Request) {
				replace()
				answerJSON(200, map[string]any{"access_token": accessToken(7), "refresh_token": refreshToken(7), "expires_in": 3600})(w, r)
			})
		}},
		{"before the commit", func(_ *atlassian, s *watchedStore, replace func()) {
			s.beforeReplace = func() {
				s.beforeReplace = nil
				replace()
			}
		}},
		{"before a commit that fails", func(_ *atlassian, s *watchedStore, replace func()) {
			s.failNextReplace(syscall.ENOSPC)
			s.beforeReplace = func() {
				s.beforeReplace = nil
				replace()
			}
		}},
		{"before a dead grant", func(a *atlassian, _ *watchedStore, replace func()) {
			a.fail(func(w http.ResponseWriter, r *http.Request) {
				replace()
				answerJSON(403, map[string]any{"error": "invalid_grant"})(w, r)
			})
		}},
		{"before a dead grant is stored", func(a *atlassian, s *watchedStore, replace func()) {
			a.dead = true
			s.beforeState = replace
		}},
		{"before a refused client", func(a *atlassian, _ *watchedStore, replace func()) {
			a.fail(func(w http.ResponseWriter, r *http.Request) {
				replace()
				answerJSON(401, map[string]any{"error": "invalid_client"})(w, r)
			})
		}},
		{"before an outage", func(a *atlassian, _ *watchedStore, replace func()) {
			a.fail(func(w http.ResponseWriter, r *http.Request) {
				replace()
				answer(503, "text/html", "")(w, r)
			})
		}},
		{"before a lost answer", func(a *atlassian, _ *watchedStore, replace func()) {
			a.fail(func(w http.ResponseWriter, r *http.Request) {
				replace()
				a.lost(w, r)
			})
		}},
		{"before a long silence", func(a *atlassian, _ *watchedStore, replace func()) {
			a.fail(func(w http.ResponseWriter, r *http.Request) {
				replace()
				hang(w, r)
			})
		}},
	} {
		// While the old token is valid, the first caller gets it and waits for nothing.
		for validity, left := range map[string]time.Duration{"valid": time.Minute, "ended": -time.Second} {
			t.Run(test.name+", the old token "+validity, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, s := newAtlassian(), newStore(t, left)
					m := managerOn(t, s, "https://auth.example", inMemory{a})
					replaced := false
					test.arrange(a, s, func() {
						replaced = true
						s.replace(t, 24*time.Hour)
					})
					old := s.connection(t).Incarnation
					if left > 0 {
						wantToken(t, m, accessToken(0))
						synctest.Wait()
					}
					wantReplaced(t, m, old)
					if !replaced {
						t.Fatal("it was not replaced: the test proves nothing")
					}
					s.wantUntouched(t)
					wantToken(t, m, newAccessToken)

					// Nor later, by itself or for those who still ask.
					time.Sleep(time.Hour)
					wantReplaced(t, m, old)
					s.wantUntouched(t)
					wantToken(t, m, newAccessToken)
					if n := a.times(); n != 1 {
						t.Errorf("Atlassian was asked %d times", n)
					}
				})
			})
		}
	}
}

// TestUnstoredPairIsNotPassedOn to the connection that is added when the disk has
// room again.
func TestUnstoredPairIsNotPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		s.failNextReplace(syscall.ENOSPC)
		old := s.connection(t).Incarnation
		wantError(t, m, ErrUnavailable)
		s.replace(t, -time.Second)
		a.fail(answerJSON(200, map[string]any{"access_token": accessToken(7), "refresh_token": refreshToken(7), "expires_in": 3600}))
		wantToken(t, m, accessToken(7)) // at once: nor is it backed off
		if a.times() != 2 || a.sent(1) != newRefreshToken {
			t.Errorf("after %d requests, the last with %v", a.times(), a.sent(a.times()-1))
		}
		time.Sleep(10 * time.Minute)
		wantReplaced(t, m, old)
		if c := s.credential(t); c.RefreshToken.Reveal() != refreshToken(7) || c.Generation != s.firstGeneration(t)+1 || a.times() != 2 {
			t.Errorf("stored: %s, generation %#x, after %d requests", c.RefreshToken.Reveal(), c.Generation, a.times())
		}
	})
}

// TestRefreshIsSharedWithinAnIncarnation only: the callers of the new connection
// don't wait for the refresh of the old one, and have their own.
func TestRefreshIsSharedWithinAnIncarnation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		answerNow := make(chan struct{})
		a.fail(
			func(w http.ResponseWriter, r *http.Request) {
				<-answerNow
				answerJSON(200, map[string]any{"access_token": accessToken(1), "refresh_token": refreshToken(1), "expires_in": 3600})(w, r)
			},
			answerJSON(200, map[string]any{"access_token": accessToken(2), "refresh_token": refreshToken(2), "expires_in": 3600}))
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		old := s.connection(t).Incarnation
		ended := make(chan struct{})
		const callers = 3
		for range callers {
			go func() {
				wantReplaced(t, m, old)
				ended <- struct{}{}
			}()
		}
		synctest.Wait()
		s.replace(t, -time.Second)
		wantToken(t, m, accessToken(2))
		close(answerNow)
		for range callers {
			<-ended
		}
		wantToken(t, m, accessToken(2))
		if c := s.credential(t); c.RefreshToken.Reveal() != refreshToken(2) || c.Generation != s.firstGeneration(t)+1 {
			t.Errorf("stored: %s, generation %#x", c.RefreshToken.Reveal(), c.Generation)
		}
		if a.times() != 2 || a.sent(0) != refreshToken(0) || a.sent(1) != newRefreshToken {
			t.Errorf("%d requests, with %v and %v", a.times(), a.sent(0), a.sent(1))
		}
	})
}

// TestMovedWhileRefreshed: a connection that is made to lead elsewhere keeps its
// old pair, which is renewed for it within the leeway. The pair that the refresh
// brought for the old place is nobody's.
func TestMovedWhileRefreshed(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	s.beforeReplace = func() {
		s.beforeReplace = nil
		err := s.UpdateConnection(t.Context(), "acme", func(c *tokenstore.Connection) error {
			c.CloudID = strings.ReplaceAll(c.CloudID, "1", "9")
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	m := newManager(t, s, a)
	wantReplaced(t, m, s.connection(t).Incarnation)
	if c := s.credential(t); c.RefreshToken.Reveal() != refreshToken(0) || c.Generation != s.firstGeneration(t) {
		t.Errorf("stored: %s, generation %#x", c.RefreshToken.Reveal(), c.Generation)
	}
	wantToken(t, m, accessToken(2))
	if a.dead || a.sent(1) != refreshToken(0) || s.isCommitted(accessToken(1)) {
		t.Errorf("the second request was with %v", a.sent(1))
	}
}

// TestReplacedBeforeCondemned: a new consent that arrives at the very moment at
// which the old credential is given up isn't condemned with it.
func TestReplacedBeforeCondemned(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	a.dead = true
	s.beforeState = func() {
		c := s.credential(t)
		c.AccessToken, c.Expiry = secret.New("consented-"+mark), time.Now().Add(time.Hour).UTC()
		if err := s.Store.ReplaceCredential(t.Context(), "acme", c.Generation, c); err != nil {
			t.Error(err)
		}
	}
	m := newManager(t, s, a)
	wantToken(t, m, "consented-"+mark)
	if got := s.connection(t).State; got != tokenstore.StateActive {
		t.Errorf("state %s", got)
	}
}
