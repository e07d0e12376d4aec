package oauth

import (
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// TestConsentWhileAnotherGatewayRefreshes: the consent counts, for all.
func TestConsentWhileAnotherGatewayRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAtlassian()
		s, all := gateways(t, 3, -time.Second, inMemory{a})
		all[0].afterAnswer = func() { time.Sleep(5 * time.Second) }
		refreshing := all[0].call(t)
		synctest.Wait()
		waiting := all[2].call(t)
		synctest.Wait()
		pair := a.consent()
		c := s.credential(t)
		c.AccessToken, c.RefreshToken, c.Expiry = secret.New(accessToken(pair)), secret.New(refreshToken(pair)), time.Now().Add(time.Hour).UTC()
		if err := all[1].ReplaceCredential(t.Context(), "acme", c.Generation, c); err != nil {
			t.Fatal(err)
		}
		for _, got := range []<-chan string{waiting, refreshing} {
			if got := <-got; got != accessToken(pair) {
				t.Errorf("a caller got %s", got)
			}
		}
		if a.times() != 1 || len(all[0].stored) != 0 {
			t.Errorf("%d requests; the refresh has stored %v", a.times(), all[0].stored)
		}
		s.wantStored(t, pair, a)
	})
}

// TestStaleRefusal: invalid_grant condemns nothing that is learned after the claim
// has lapsed, by the clock or, where that fails, by the word of the store.
func TestStaleRefusal(t *testing.T) {
	for name, blind := range map[string]bool{"by the clock": false, "by the claim of the other": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAtlassian()
				s, all := gateways(t, 2, -time.Second, inMemory{a})
				all[0].blind = blind
				a.fail(func(w http.ResponseWriter, r *http.Request) {
					all[0].paused(20 * time.Second)
					answerJSON(403, map[string]any{"error": "invalid_grant"})(w, r)
				})
				all[1].beforeSend = func() { time.Sleep(8 * time.Second) } // from 15 to 23
				stale := all[0].call(t)
				synctest.Wait()
				if got := <-all[1].call(t); got != accessToken(1) {
					t.Errorf("the other got %s", got)
				}
				got := <-stale
				if c := s.connection(t); c.State != tokenstore.StateActive {
					t.Errorf("state %s (%s)", c.State, c.StateReason)
				}
				if blind && got != accessToken(1) {
					t.Errorf("the stale one, which waited, got %s", got)
				}
				s.wantStored(t, 1, a)
			})
		})
	}
}

// TestRefusedAfterLapse: who learned that a grant is gone when its claim had lapsed
// asks again, under another one.
func TestRefusedAfterLapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAtlassian()
		s, all := gateways(t, 1, -time.Second, inMemory{a})
		a.dead = true
		all[0].afterAnswer = once(func() { all[0].paused(20 * time.Second) })
		wantError(t, all[0].Manager, ErrUnavailable)
		if c := s.connection(t); c.State != tokenstore.StateActive || len(s.standing(t)) != 1 {
			t.Errorf("state %s; notes: %v", c.State, s.standing(t))
		}
		time.Sleep(2 * time.Second)
		if c := s.connection(t); c.State != tokenstore.StateNeedsReauthorisation || len(s.standing(t)) != 0 || a.times() != 2 {
			t.Errorf("state %s; notes: %v; %d requests", c.State, s.standing(t), a.times())
		}
	})
}

// TestOtherGatewayTakesLong: what another one is at is waited for within the usual
// time, is no attempt of this one, and leaves a token that is valid in use.
func TestOtherGatewayTakesLong(t *testing.T) {
	for name, left := range map[string]time.Duration{"ended": -time.Second, "valid": 4 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAtlassian()
				s, all := gateways(t, 2, left, inMemory{a})
				all[0].beforeFinish = func() { time.Sleep(2 * time.Minute) }
				all[0].call(t)
				synctest.Wait()
				began := time.Now()
				got := <-all[1].call(t)
				if left > 0 && (got != accessToken(0) || time.Since(began) != 0) {
					t.Errorf("after %v the caller got %s", time.Since(began), got)
				}
				if left < 0 && (!strings.Contains(got, "another gateway is renewing it") || time.Since(began) != refreshTimeout) {
					t.Errorf("after %v the caller got %s", time.Since(began), got)
				}
				time.Sleep(refreshTimeout)
				synctest.Wait()
				h := holder{"acme", s.connection(t).Incarnation}
				all[1].Manager.mu.Lock()
				last := all[1].renewals[h].last
				all[1].Manager.mu.Unlock()
				if last.pending || last.failures != 1 || !errors.Is(last.err, ErrUnavailable) {
					t.Errorf("it is remembered as %+v", last)
				}
				time.Sleep(2 * time.Minute)
				if got := <-all[1].call(t); got != accessToken(1) || a.times() != 1 || len(all[1].begun) != 0 {
					t.Errorf("in the end %s, after %d requests", got, a.times())
				}
			})
		})
	}
}

// TestNoteOfAnotherGateway costs the keeper a question a minute, and nobody a
// warning, until it is nobody's.
func TestNoteOfAnotherGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAtlassian()
		s, all := gateways(t, 2, time.Hour, inMemory{a})
		if _, err := all[0].BeginRotation(t.Context(), "acme", s.firstGeneration(t)); err != nil {
			t.Fatal(err)
		}
		run(t, all[1].Manager)
		time.Sleep(30*time.Minute + time.Second)
		if log := all[1].log.String(); strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") || a.times() != 0 {
			t.Errorf("%d requests\n%s", a.times(), log)
		}
		if all[1].tries < 25 || all[1].tries > 35 {
			t.Errorf("it asked for the claim %d times", all[1].tries)
		}
		all[0].part(errDied)
		time.Sleep(otherTTL + time.Minute + tick)
		s.wantStored(t, 1, a)
	})
}

// TestCallDuringTheKeepersLook: a call that joins a refresh which nobody wanted waits
// for the other gateway's, as it would have done by itself.
func TestCallDuringTheKeepersLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAtlassian()
		s, all := gateways(t, 2, -time.Second, inMemory{a})
		all[0].beforeSend = func() { time.Sleep(5 * time.Second) }
		all[0].call(t)
		synctest.Wait()
		h := holder{"acme", s.connection(t).Incarnation}
		f := &flight{done: make(chan struct{}), span: trace.SpanFromContext(t.Context())}
		all[1].Manager.mu.Lock()
		all[1].renewalOf(h).running = f
		all[1].Manager.mu.Unlock()
		joined := all[1].call(t)
		synctest.Wait()
		if all[1].leave(h, f) {
			t.Fatal("it leaves the call alone")
		}
		all[1].running.Go(func() { all[1].refresh(t.Context(), h, f) })
		if got := <-joined; got != accessToken(1) {
			t.Errorf("the caller got %s", got)
		}
	})
}

// TestUnstoredKeepsItsClaim: as long as the pair may be stored still, nobody else
// sends the refresh token.
func TestUnstoredKeepsItsClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAtlassian()
		s, all := gateways(t, 2, -time.Second, inMemory{a})
		all[0].failed = []error{syscall.ENOSPC, syscall.ENOSPC}
		wantError(t, all[0].Manager, ErrUnavailable)
		if got := <-all[1].call(t); got != accessToken(1) || a.times() != 1 {
			t.Errorf("the other got %s, after %d requests", got, a.times())
		}
		s.wantStored(t, 1, a)
	})
}

// TestUnstoredIsOvertaken: a pair that its gateway could not store for so long that
// another has taken over is dropped, when it is tried again or at the end.
func TestUnstoredIsOvertaken(t *testing.T) {
	for name, atTheEnd := range map[string]bool{"tried again": false, "at the end": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAtlassian()
				s, all := gateways(t, 2, -time.Second, inMemory{a})
				all[0].beforeFinish = once(func() { all[0].part(errCut) })
				wantError(t, all[0].Manager, ErrUnavailable)
				time.Sleep(otherTTL)
				all[1].afterAnswer = func() { time.Sleep(25 * time.Second) } // so that it is at work still
				other := all[1].call(t)
				synctest.Wait()
				all[0].part(nil)
				if atTheEnd {
					if err := all[0].Close(t.Context()); err != nil {
						t.Error(err)
					}
				} else {
					time.Sleep(20 * time.Second)
				}
				if log := all[0].log.String(); !strings.Contains(log, "a renewed token was dropped") {
					t.Error(log)
				}
				if got := <-other; got != accessToken(2) || len(all[0].stored) != 0 {
					t.Errorf("the other got %s; the first has stored %v", got, all[0].stored)
				}
				s.wantStored(t, 2, a)
			})
		})
	}
}

// TestLostAnswerIsAnybodys: another gateway need not wait for the one whose answer
// was lost, which may have lost its way altogether.
func TestLostAnswerIsAnybodys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAtlassian()
		s, all := gateways(t, 2, -time.Second, inMemory{a})
		a.fail(a.lost)
		wantError(t, all[0].Manager, ErrUnavailable)
		wantToken(t, all[1].Manager, accessToken(2))
		if !all[1].last().Stood {
			t.Error("the note did not stand")
		}
		wantToken(t, all[0].Manager, accessToken(2))
		time.Sleep(time.Hour / 2)
		s.wantStored(t, 2, a)
		if a.times() != 2 {
			t.Errorf("%d requests", a.times())
		}
	})
}
