package oauth

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
	"jiragate/tokenstore/storetest"
)

// TestOnDiskBeforeUse is G7: no caller, at no moment, has an access token that
// is not on disk.
func TestOnDiskBeforeUse(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	a.lifetime = 1 // so that nearly every call refreshes
	m := newManager(t, s, a)
	m.now = func() time.Time { return time.Now().Add(time.Duration(a.times()) * 2 * time.Second) }
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				token, err := present(t.Context(), m, "acme")
				if err != nil {
					t.Error(err)
				} else if !s.isCommitted(token.Reveal()) {
					t.Errorf("%s was handed out before it was on disk", token.Reveal())
				}
			}
		})
	}
	wg.Wait()
	if a.times() < 3 {
		t.Errorf("only %d refreshes: the test proves nothing", a.times())
	}
}

// TestNobodyHasTheTokenWhileItIsStored: callers wait for the commit too.
func TestNobodyHasTheTokenWhileItIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		stored := make(chan struct{})
		s.beforeReplace = func() { <-stored }
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		var wg sync.WaitGroup
		returned := 0
		wg.Go(func() {
			if _, err := present(t.Context(), m, "acme"); err != nil {
				t.Error(err)
			}
			returned++
		})
		synctest.Wait()
		if returned != 0 || a.times() != 1 {
			t.Errorf("after %d requests, %d callers returned", a.times(), returned)
		}
		close(stored)
		wg.Wait()
	})
}

// TestSlowDisk: the time that a refresh may take doesn't end its commit.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		s.beforeReplace = func() { time.Sleep(2 * refreshTimeout) }
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		wantToken(t, m, accessToken(1))
		if c := s.credential(t); c.RefreshToken.Reveal() != refreshToken(1) {
			t.Errorf("stored: %s", c.RefreshToken.Reveal())
		}
	})
}

// TestCommitFails: nobody gets the token; the new pair isn't lost, and is stored
// as soon as that works, without Atlassian.
func TestCommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		s.failNextReplace(syscall.ENOSPC, syscall.ENOSPC, syscall.ENOSPC)
		if err := wantError(t, m, ErrUnavailable); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("no word of the disk in %v", err)
		}
		if c := s.credential(t); c.RefreshToken.Reveal() != refreshToken(0) || c.Generation != s.firstGeneration(t) {
			t.Errorf("stored: %s, generation %d", c.RefreshToken.Reveal(), c.Generation)
		}
		wantError(t, m, ErrUnavailable) // backed off
		time.Sleep(time.Minute)
		wantToken(t, m, accessToken(1))
		if c := s.credential(t); c.RefreshToken.Reveal() != refreshToken(1) || a.times() != 1 {
			t.Errorf("stored: %s, after %d requests", c.RefreshToken.Reveal(), a.times())
		}
	})
}

// TestCommitFailsUntilTheEnd: the pair is offered to the store once more when the
// program ends, and a loss is told of.
func TestCommitFailsUntilTheEnd(t *testing.T) {
	for name, atTheEnd := range map[string]error{"stored": nil, "lost": syscall.ENOSPC} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, s := newAtlassian(), newStore(t, -time.Second)
				m := managerOn(t, s, "https://auth.example", inMemory{a})
				s.failNextReplace(syscall.ENOSPC, atTheEnd)
				wantError(t, m, ErrUnavailable)
				err := m.Close(t.Context())
				stored := s.credential(t).RefreshToken.Reveal()
				if want := refreshToken(1); atTheEnd == nil && (err != nil || stored != want) {
					t.Errorf("%v, stored %s", err, stored)
				}
				if atTheEnd != nil && (!errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "acme")) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// TestCommitFailsForLong: the pair that is stored at last has ended by then, and
// its refresh token is the one that is used.
func TestCommitFailsForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		full := make([]error, 1000)
		for i := range full {
			full[i] = syscall.ENOSPC
		}
		s.failNextReplace(full...)
		wantError(t, m, ErrUnavailable)
		time.Sleep(2 * time.Hour)
		s.failNextReplace()
		time.Sleep(2 * lastBackoff) // the last failure may have been a moment ago
		wantToken(t, m, accessToken(2))
		if a.dead || a.times() != 2 || a.sent(1) != refreshToken(1) {
			t.Errorf("after %d requests, the last with %v: the grant's end is %v", a.times(), a.sent(a.times()-1), a.dead)
		}
	})
}

// TestCrashBeforeCommit: started again with the old pair on disk, within the
// leeway, the connection goes on.
func TestCrashBeforeCommit(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	s.failNextReplace(errors.New("the power went"))
	wantError(t, newManager(t, s, a), ErrUnavailable)
	wantToken(t, newManager(t, s, a), accessToken(2))
	if a.sent(1) != refreshToken(0) || s.credential(t).RefreshToken.Reveal() != refreshToken(2) {
		t.Errorf("sent %v, stored %s", a.sent(1), s.credential(t).RefreshToken.Reveal())
	}
}

// TestLostAnswer: the refresh is repeated unasked, so that the old token is used
// within the leeway, however late the next call comes.
func TestLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		a.fail(a.lost, a.lost, answer(503, "text/html", ""))
		wantError(t, m, ErrUnavailable)
		time.Sleep(40 * time.Minute)
		wantToken(t, m, accessToken(3))
		if a.times() != 4 || a.dead || s.credential(t).Generation != s.firstGeneration(t)+1 {
			t.Errorf("%d requests, generation %d", a.times(), s.credential(t).Generation)
		}
	})
}

// TestConflict: somebody else replaced the credential during the refresh; what
// is there counts, and nobody gets what the refresh gave.
func TestConflict(t *testing.T) {
	for _, test := range []struct {
		name string
		left time.Duration
	}{{"with a valid token", time.Hour}, {"with a token that has ended", -time.Hour}} {
		t.Run(test.name, func(t *testing.T) {
			a, s := newAtlassian(), newStore(t, -time.Second)
			a.fail(func(w http.ResponseWriter, r *http.Request) {
				c := s.credential(t)
				c.AccessToken, c.Expiry = secret.New("consented-"+mark), time.Now().Add(test.left).UTC()
				if err := s.Store.ReplaceCredential(t.Context(), "acme", c.Generation, c); err != nil {
					t.Error(err)
				}
				answerJSON(200, map[string]any{"access_token": "superseded", "refresh_token": "superseded", "expires_in": 3600})(w, r)
			})
			m := newManager(t, s, a)
			if test.left > 0 {
				wantToken(t, m, "consented-"+mark)
			} else {
				wantError(t, m, ErrUnavailable)
			}
			if c := s.credential(t); c.AccessToken.Reveal() != "consented-"+mark || c.Generation != s.firstGeneration(t)+1 {
				t.Errorf("stored: %s, generation %d", c.AccessToken.Reveal(), c.Generation)
			}
		})
	}
}

func TestConnectionRemovedWhileRefreshed(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	s.beforeReplace = func() {
		if err := storetest.Remove(t.Context(), s, "acme"); err != nil {
			t.Error(err)
		}
	}
	wantError(t, newManager(t, s, a), tokenstore.ErrNotFound)
}

// TestStateCannotBeStored: callers are told the truth, and Atlassian is spared
// all the same.
func TestStateCannotBeStored(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	a.dead = true
	s.failState = syscall.ENOSPC
	m := newManager(t, s, a)
	wantError(t, m, ErrNeedsReauthorisation)
	if err := wantError(t, m, ErrNeedsReauthorisation); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("no word of the disk in %v", err)
	}
	if a.times() != 1 {
		t.Errorf("Atlassian was asked %d times", a.times())
	}
}
