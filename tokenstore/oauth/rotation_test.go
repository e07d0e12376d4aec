package oauth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
	"jiragate/tokenstore/storetest"
)

// TestNotedBeforeSent: when the refresh token goes out, its note is on disk; when
// the new pair is there, the note is gone.
func TestNotedBeforeSent(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	a.fail(func(w http.ResponseWriter, r *http.Request) {
		notes := s.standing(t)
		if len(notes) != 1 || notes[0].Connection != "acme" || notes[0].Generation != s.firstGeneration(t) {
			t.Errorf("the notes while it is sent: %v", notes)
		}
		answerJSON(200, map[string]any{"access_token": accessToken(1), "refresh_token": refreshToken(1), "expires_in": 3600})(w, r)
	})
	wantToken(t, newManager(t, s, a), accessToken(1))
	if notes := s.standing(t); len(notes) != 0 {
		t.Errorf("the notes afterwards: %v", notes)
	}
}

// TestWhatAnAnswerLeaves: the note goes where it is certain that nothing was
// exchanged, and stands otherwise.
func TestWhatAnAnswerLeaves(t *testing.T) {
	refused := map[string]any{"error": "invalid_client"}
	for _, test := range []struct {
		name   string
		fault  http.HandlerFunc
		result result
		stands bool
	}{
		{"wrong client", answerJSON(401, refused), resultClientRejected, false},
		{"wrong client, 403", answerJSON(403, refused), resultClientRejected, false},
		{"malformed request", answerJSON(400, map[string]any{"error": "invalid_request"}), resultUnavailable, false},
		{"dead grant", answerJSON(403, map[string]any{"error": "invalid_grant"}), resultNeedsReauthorisation, false},
		{"invalid_client in a 500", answerJSON(500, refused), resultAmbiguous, true},
		{"error that isn't the token endpoint's", answerJSON(403, map[string]any{"error": "access_denied"}), resultAmbiguous, true},
		{"unknown error", answerJSON(400, map[string]any{"error": "invalid_weather"}), resultAmbiguous, true},
		{"5xx", answer(502, "text/html", ""), resultAmbiguous, true},
		{"rate limit", answerJSON(429, map[string]any{}), resultAmbiguous, true},
		{"HTML with 200", answer(200, "text/html", "<p>"), resultAmbiguous, true},
		{"403 without JSON", answer(403, "text/html", "<p>"), resultAmbiguous, true},
		{"redirect", answer(302, "text/html", ""), resultAmbiguous, true},
		{"truncated", answer(200, "application/json", `{"access_token":"x`), resultAmbiguous, true},
		{"oversized", answer(200, "application/json", strings.Repeat(" ", maxAnswer+1)), resultAmbiguous, true},
		{"silence", hang, resultAmbiguous, true},
		{"connection broken", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, resultAmbiguous, true},
		{"token that can't be stored", answerJSON(200, map[string]any{"access_token": strings.Repeat("x", 20_000), "refresh_token": "y"}), resultUnavailable, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, s := newAtlassian(), newStore(t, -time.Second)
				a.fail(test.fault)
				m := managerOn(t, s, "https://auth.example", inMemory{a})
				h := holder{"acme", s.connection(t).Incarnation}
				if o := m.attempt(deadline(t), h, &flight{}); o.result != test.result || o.pending != test.stands || o.err == nil {
					t.Errorf("%s, pending %v: %v; want %s, %v", o.result, o.pending, o.err, test.result, test.stands)
				}
				if notes := s.standing(t); len(notes) == 1 != test.stands {
					t.Errorf("notes: %v", notes)
				}
			})
		})
	}
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), refreshTimeout)
	t.Cleanup(cancel)
	return ctx
}

// TestNotSent: an attempt of which nothing went out leaves no note, but doesn't
// take back that of one before it.
func TestNotSent(t *testing.T) {
	refused := errors.New("no egress address is usable")
	s := newStore(t, -time.Second)
	reachable := false
	m := managerOn(t, s, "https://auth.example", roundTrip(func(r *http.Request) (*http.Response, error) {
		if !reachable {
			return nil, refused
		}
		_, _ = io.ReadAll(r.Body) // which means that it goes out
		return nil, errors.New("connection reset")
	}))
	h := holder{"acme", s.connection(t).Incarnation}
	for range 2 {
		if o := m.attempt(t.Context(), h, &flight{}); o.result != resultUnavailable || o.pending || len(s.standing(t)) != 0 || !errors.Is(o.err, refused) {
			t.Errorf("%s, pending %v, %v: %v", o.result, o.pending, s.standing(t), o.err)
		}
	}
	reachable = true
	if o := m.attempt(t.Context(), h, &flight{}); o.result != resultAmbiguous || !o.pending || len(s.standing(t)) != 1 {
		t.Errorf("%s, pending %v, %v: %v", o.result, o.pending, s.standing(t), o.err)
	}
	since := s.standing(t)[0].Since
	reachable = false
	// In this process, or the next.
	for _, m := range []*Manager{m, managerOn(t, s, "https://auth.example", m.transport(nil))} {
		if o := m.attempt(t.Context(), h, &flight{}); o.result != resultUnavailable || !o.pending || len(s.standing(t)) != 1 || !s.standing(t)[0].Since.Equal(since) {
			t.Errorf("%s, pending %v, %v: %v", o.result, o.pending, s.standing(t), o.err)
		}
	}
}

// TestDiskFullBeforeRefresh: what can't be noted isn't sent.
func TestDiskFullBeforeRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, time.Minute)
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		for range 1000 {
			s.failBegin = append(s.failBegin, syscall.ENOSPC)
		}
		wantToken(t, m, accessToken(0))
		synctest.Wait()
		wantToken(t, m, accessToken(0))
		time.Sleep(time.Minute)
		if err := wantError(t, m, ErrUnavailable); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("no word of the disk in %v", err)
		}
		if a.times() != 0 {
			t.Errorf("Atlassian was asked %d times", a.times())
		}
		s.mu.Lock()
		s.failBegin = nil
		s.mu.Unlock()
		time.Sleep(2 * time.Minute)
		wantToken(t, m, accessToken(1))
	})
}

// TestAmbiguousIsRetriedForEver: unasked, at the usual pace within the leeway, and
// slower afterwards.
func TestAmbiguousIsRetriedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		began := time.Now()
		var early, late int
		for range 10_000 {
			a.fail(func(w http.ResponseWriter, r *http.Request) {
				if time.Since(began) < insistence {
					early++
				} else {
					late++
				}
				answer(503, "text/html", "")(w, r)
			})
		}
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		wantError(t, m, ErrUnavailable)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if early < 10 || early > 25 {
			t.Errorf("%d requests within the leeway", early)
		}
		if late < 24*4 || late > 24*9 {
			t.Errorf("%d requests in the day after it", late)
		}
		a.mu.Lock()
		a.faults = nil
		a.mu.Unlock()
		time.Sleep(20 * time.Minute)
		if c := s.credential(t); c.RefreshToken.Reveal() != refreshToken(1) || len(s.standing(t)) != 0 {
			t.Errorf("stored: %s; notes: %v", c.RefreshToken.Reveal(), s.standing(t))
		}
	})
}

// TestRetryAfterIsNoLongerThanTheLeeway: an answer that tells nothing, but asks to
// wait for longer than a token that it may have replaced is accepted.
func TestRetryAfterIsNoLongerThanTheLeeway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		a.fail(func(w http.ResponseWriter, r *http.Request) {
			a.mu.Lock()
			last := a.requests[len(a.requests)-1]
			a.mu.Unlock()
			a.exchange(last)
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		wantError(t, m, ErrUnavailable)
		time.Sleep(2 * time.Hour)
		if c := s.credential(t); c.RefreshToken.Reveal() != refreshToken(2) || a.dead {
			t.Errorf("stored: %s, state %s", c.RefreshToken.Reveal(), s.connection(t).State)
		}
	})
}

// TestLostLateInAnOutage: the leeway counts from the answer that was lost, not from
// the failures before it, and isn't waited away although the server asks for that.
func TestLostLateInAnOutage(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			a, s := newAtlassian(), newStore(t, -time.Second)
			reachable := false
			m := managerOn(t, s, "https://auth.example", roundTrip(func(r *http.Request) (*http.Response, error) {
				if !reachable {
					return nil, errors.New("no route")
				}
				return inMemory{a}.RoundTrip(r)
			}))
			wantError(t, m, ErrUnavailable)
			time.Sleep(30 * time.Minute)
			synctest.Wait()
			reachable = true
			a.fail(a.lost, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(429)
			})
			wantError(t, m, ErrUnavailable)
			time.Sleep(2 * time.Hour)
			if c := s.credential(t); c.RefreshToken.Reveal() != refreshToken(2) || a.dead {
				t.Errorf("stored: %s, state %s", c.RefreshToken.Reveal(), s.connection(t).State)
			}
		})
	}
}

// TestLostForTooLong: the reason of needs_reauthorisation tells what came before.
func TestLostForTooLong(t *testing.T) {
	const lost = "the answer to a refresh at 2000-01-01T00:00:0"
	for _, test := range []struct {
		name       string
		dataCenter bool
		outage     time.Duration
		say        []string
		not        string
	}{
		{"Cloud, within the leeway", false, 5 * time.Minute, []string{"no longer accepted by Atlassian (invalid_grant)"}, "lost"},
		{"Cloud, after it", false, 11 * time.Minute, []string{"no longer accepted by Atlassian (invalid_grant)", lost, "for longer than the 10m0s"}, ""},
		{"Data Center", true, time.Minute, []string{"no longer accepted by Jira (invalid_grant)", lost, "not accepted again"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, s := newAtlassian(), newStore(t, -time.Second)
				if test.dataCenter {
					s.toDataCenter(t)
				}
				m := managerOn(t, s, "https://auth.example", inMemory{a})
				a.fail(a.lost)
				for range 1000 {
					a.fail(answer(503, "text/html", ""))
				}
				wantError(t, m, ErrUnavailable)
				time.Sleep(test.outage)
				a.mu.Lock()
				a.faults, a.dead = nil, true
				a.mu.Unlock()
				time.Sleep(20 * time.Minute)
				c := s.connection(t)
				if c.State != tokenstore.StateNeedsReauthorisation || len(s.standing(t)) != 0 {
					t.Errorf("state %s; notes: %v", c.State, s.standing(t))
				}
				for _, words := range test.say {
					if !strings.Contains(c.StateReason, words) {
						t.Errorf("no %q in %q", words, c.StateReason)
					}
				}
				if test.not != "" && strings.Contains(c.StateReason, test.not) {
					t.Errorf("%q in %q", test.not, c.StateReason)
				}
			})
		})
	}
}

// toDataCenter makes "acme" a connection of Data Center with the same grant.
func (s *watchedStore) toDataCenter(t *testing.T) {
	t.Helper()
	cred := s.credential(t)
	cred.ClientID, cred.ClientSecret, cred.RedirectURL = clientID, secret.New(clientSecret), redirectURL
	err := errors.Join(storetest.Remove(t.Context(), s, "acme"), s.AddConnection(t.Context(), tokenstore.Connection{
		ID: "acme", Edition: policy.DataCenter, BaseURL: "https://jira.example/jira", Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindOAuth2,
	}, cred))
	if err != nil {
		t.Fatal(err)
	}
}

// TestDataCenterRefresh is a form to the connection's own Jira, in the name of its
// own client, with the redirect URL.
func TestDataCenterRefresh(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	s.toDataCenter(t)
	var asked []string
	m := managerOn(t, s, "https://auth.example", roundTrip(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.String())
		return inMemory{a}.RoundTrip(r)
	}), func(o *Options) { o.ClientID, o.ClientSecret = "", secret.Secret{} })
	wantToken(t, m, accessToken(1))
	if len(asked) != 1 || asked[0] != "https://jira.example/jira/rest/oauth2/latest/token" || a.headers[0].Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("asked %v with %v", asked, a.headers)
	}
	want := map[string]any{"grant_type": "refresh_token", "client_id": clientID, "client_secret": clientSecret, "refresh_token": refreshToken(0), "redirect_uri": redirectURL}
	for name, value := range want {
		if a.requests[0][name] != value || len(a.requests[0]) != len(want) {
			t.Errorf("the request is %v", a.requests[0])
		}
	}
	if c := s.credential(t); c.ClientID != clientID || !c.ClientSecret.Equal(secret.New(clientSecret)) || c.RedirectURL != redirectURL {
		t.Errorf("the client was lost: %+v", c)
	}
}
