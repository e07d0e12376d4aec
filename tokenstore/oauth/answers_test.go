package oauth

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// TestAnswers: what each kind of failed refresh means for a connection whose
// token has ended, and what is asked of Atlassian when the next call comes.
func TestAnswers(t *testing.T) {
	const echo = "reflected " + mark
	dead := map[string]any{"error": "invalid_grant", "error_description": echo}
	for _, test := range []struct {
		name  string
		fault http.HandlerFunc
		want  error
		state tokenstore.State
	}{
		{"dead grant, 403 as Atlassian documents", answerJSON(403, dead), ErrNeedsReauthorisation, tokenstore.StateNeedsReauthorisation},
		{"dead grant, 401", answerJSON(401, dead), ErrNeedsReauthorisation, tokenstore.StateNeedsReauthorisation},
		{"dead grant, 400 as in RFC 6749", answerJSON(400, dead), ErrNeedsReauthorisation, tokenstore.StateNeedsReauthorisation},
		{"dead grant, JSON declared as text", answer(403, "text/plain", `{"error":"invalid_grant"}`), ErrNeedsReauthorisation, tokenstore.StateNeedsReauthorisation},

		{"wrong client", answerJSON(401, map[string]any{"error": "invalid_client", "error_description": echo}), ErrClientRejected, tokenstore.StateActive},
		{"client of another kind", answerJSON(403, map[string]any{"error": "unauthorized_client"}), ErrClientRejected, tokenstore.StateActive},

		{"403 from a firewall", answer(403, "text/html", "<h1>Forbidden</h1>invalid_grant "+echo), ErrUnavailable, tokenstore.StateActive},
		{"403 without a body", answer(403, "application/json", ""), ErrUnavailable, tokenstore.StateActive},
		{"403 with another error", answerJSON(403, map[string]any{"error": "access_denied"}), ErrUnavailable, tokenstore.StateActive},
		{"403 with an error of another form", answerJSON(403, map[string]any{"error": map[string]any{"code": "invalid_grant"}}), ErrUnavailable, tokenstore.StateActive},
		{"403 with a form", answer(403, "application/x-www-form-urlencoded", "error=invalid_grant"), ErrUnavailable, tokenstore.StateActive},
		{"dead grant in a 500", answerJSON(500, dead), ErrUnavailable, tokenstore.StateActive},
		{"dead grant in a 429", answerJSON(429, dead), ErrUnavailable, tokenstore.StateActive},
		{"dead grant in a 200", answerJSON(200, dead), ErrUnavailable, tokenstore.StateActive},
		{"unknown error", answerJSON(400, map[string]any{"error": echo}), ErrUnavailable, tokenstore.StateActive},
		{"rate limit", answerJSON(429, map[string]any{"message": echo}), ErrUnavailable, tokenstore.StateActive},
		{"down", answer(503, "text/html", echo), ErrUnavailable, tokenstore.StateActive},
		{"200 with HTML", answer(200, "text/html", "<p>"+echo), ErrUnavailable, tokenstore.StateActive},
		{"200 with a form", answer(200, "text/plain", "access_token=x&refresh_token=y"), ErrUnavailable, tokenstore.StateActive},
		{"200 with half a JSON", answer(200, "application/json", `{"access_token":"`+echo), ErrUnavailable, tokenstore.StateActive},
		{"200 without a token", answerJSON(200, map[string]any{"refresh_token": refreshToken(7)}), ErrUnavailable, tokenstore.StateActive},
		{"200 with null", answer(200, "application/json", "null"), ErrUnavailable, tokenstore.StateActive},
		{"token that no header can carry", answerJSON(200, map[string]any{"access_token": "a\r\nX: " + echo}), ErrUnavailable, tokenstore.StateActive},
		{"longer than any answer", answer(200, "application/json", `{"access_token":"x","expires_in":3600}`+strings.Repeat(" ", maxAnswer)), ErrUnavailable, tokenstore.StateActive},
		{"cut short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"access_token":"` + echo))
		}, ErrUnavailable, tokenstore.StateActive},
		{"connection broken", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ErrUnavailable, tokenstore.StateActive},
		{"no HTTP", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = conn.Write([]byte(echo + "\r\n\r\n"))
			conn.Close()
		}, ErrUnavailable, tokenstore.StateActive},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, s := newAtlassian(), newStore(t, -time.Second)
			a.fail(test.fault)
			m := newManager(t, s, a)
			err := wantError(t, m, test.want)
			for _, other := range []error{ErrNeedsReauthorisation, ErrUnavailable, ErrNotConfigured} {
				if errors.Is(err, other) && other != test.want && !(other == ErrNotConfigured && test.want == ErrClientRejected) {
					t.Errorf("%v is %v as well", err, other)
				}
			}
			if everything := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(everything, mark) || strings.Contains(everything, "reflected") {
				t.Errorf("the error gives something away: %s", everything)
			}
			c := s.connection(t)
			if c.State != test.state || strings.Contains(c.StateReason, mark) {
				t.Errorf("state %s (%s), want %s", c.State, c.StateReason, test.state)
			}
			if got := s.credential(t); got.RefreshToken.Reveal() != refreshToken(0) {
				t.Errorf("the refresh token is now %s", got.RefreshToken.Reveal())
			}
			// At once again: the answer is the same, and Atlassian isn't asked.
			wantError(t, m, test.want)
			if n := a.times(); n != 1 {
				t.Errorf("Atlassian was asked %d times", n)
			}
		})
	}
}

// TestFailureWhileTheTokenIsValid: it goes on serving, unless the grant is gone.
func TestFailureWhileTheTokenIsValid(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"down":         answer(502, "text/html", ""),
		"wrong client": answerJSON(401, map[string]any{"error": "invalid_client"}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAtlassian()
				a.fail(fault)
				m := managerOn(t, newStore(t, time.Minute), "https://auth.example", inMemory{a})
				for range 2 {
					wantToken(t, m, accessToken(0))
					synctest.Wait()
				}
				if n := a.times(); n != 1 {
					t.Errorf("Atlassian was asked %d times", n)
				}
			})
		})
	}
	t.Run("dead grant", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newAtlassian()
			a.dead = true
			m := managerOn(t, newStore(t, time.Minute), "https://auth.example", inMemory{a})
			wantToken(t, m, accessToken(0))
			synctest.Wait()
			wantError(t, m, ErrNeedsReauthorisation)
		})
	})
}

// TestReauthorised: the new consent counts at once, whatever was backed off.
func TestReauthorised(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"dead grant": answerJSON(403, map[string]any{"error": "invalid_grant"}),
		"down":       answer(502, "text/html", ""),
	} {
		t.Run(name, func(t *testing.T) {
			a, s := newAtlassian(), newStore(t, -time.Second)
			a.fail(fault)
			m := newManager(t, s, a)
			if _, err := present(t.Context(), m, "acme"); err == nil {
				t.Fatal("no error")
			}
			c := s.credential(t)
			c.AccessToken = secret.New("stale-" + mark)
			if err := s.ReplaceCredential(t.Context(), "acme", c.Generation, c); err != nil {
				t.Fatal(err)
			}
			wantToken(t, m, accessToken(1))
		})
	}
}

// TestReplacedWhileRefused: what Atlassian refuses is the old token; a new
// consent that arrives meanwhile isn't condemned with it.
func TestReplacedWhileRefused(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	a.fail(func(w http.ResponseWriter, r *http.Request) {
		c := s.credential(t)
		c.AccessToken, c.Expiry = secret.New("consented-"+mark), time.Now().Add(time.Hour).UTC()
		if err := s.Store.ReplaceCredential(t.Context(), "acme", c.Generation, c); err != nil {
			t.Error(err)
		}
		answerJSON(403, map[string]any{"error": "invalid_grant"})(w, r)
	})
	m := newManager(t, s, a)
	wantToken(t, m, "consented-"+mark)
	if got := s.connection(t).State; got != tokenstore.StateActive {
		t.Errorf("state %s", got)
	}
}

// TestDisabledWhileRefused: an operator's switch is stronger than a dead grant.
func TestDisabledWhileRefused(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	a.fail(func(w http.ResponseWriter, r *http.Request) {
		if err := s.SetState(t.Context(), "acme", tokenstore.StateDisabled, "by hand"); err != nil {
			t.Error(err)
		}
		answerJSON(403, map[string]any{"error": "invalid_grant"})(w, r)
	})
	m := newManager(t, s, a)
	wantError(t, m, ErrDisabled)
	if c := s.connection(t); c.State != tokenstore.StateDisabled || c.StateReason != "by hand" {
		t.Errorf("state %s (%s)", c.State, c.StateReason)
	}
}

// TestRedirectIsNotFollowed: neither the secret nor the token goes elsewhere.
func TestRedirectIsNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t.Errorf("%d was followed", status)
		}))
		a, s := newAtlassian(), newStore(t, -time.Second)
		a.fail(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", elsewhere.URL+"/"+mark)
			w.WriteHeader(status)
		})
		if err := wantError(t, newManager(t, s, a), ErrUnavailable); strings.Contains(err.Error(), mark) {
			t.Errorf("the error quotes the answer: %v", err)
		}
		elsewhere.Close()
	}
}

// TestUnreachable: what went wrong on the way is said, and can be told apart.
func TestUnreachable(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		l.Close()
		m := managerOn(t, newStore(t, -time.Second), "https://"+address, &http.Transport{})
		got := wantError(t, m, ErrUnavailable)
		if e, ok := errors.AsType[*net.OpError](got); !ok || e.Op != "dial" {
			t.Errorf("no dial error in %v", got)
		}
	})
	t.Run("untrusted certificate", func(t *testing.T) {
		url, _ := overTLS(t, newAtlassian())
		m := managerOn(t, newStore(t, -time.Second), url, &http.Transport{})
		if got := wantError(t, m, ErrUnavailable); !strings.Contains(got.Error(), "certificate") {
			t.Errorf("no word of the certificate in %v", got)
		}
	})
	t.Run("own error of the transport", func(t *testing.T) {
		down := errors.New("no egress address is usable")
		m := managerOn(t, newStore(t, -time.Second), "https://auth.example", roundTrip(func(*http.Request) (*http.Response, error) { return nil, down }))
		if got := wantError(t, m, ErrUnavailable); !errors.Is(got, down) || !strings.Contains(got.Error(), "no egress") {
			t.Errorf("the transport's error is lost in %v", got)
		}
	})
	t.Run("panic of the transport", func(t *testing.T) {
		m := managerOn(t, newStore(t, -time.Second), "https://auth.example", roundTrip(func(*http.Request) (*http.Response, error) { panic(mark) }))
		if got := wantError(t, m, ErrUnavailable); strings.Contains(got.Error(), mark) {
			t.Errorf("the panic's value is in %v", got)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
