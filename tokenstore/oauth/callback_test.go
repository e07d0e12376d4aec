package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/storetest"
)

// TestConsentFails for every reason, and says which.
func TestConsentFails(t *testing.T) {
	code := func(q url.Values) {}
	set := func(name string, values ...string) func(url.Values) {
		return func(q url.Values) { q.Del("code"); q[name] = values }
	}
	token := func(change map[string]any) http.HandlerFunc {
		object := map[string]any{"access_token": accessToken(1), "refresh_token": refreshToken(1), "expires_in": 3600, "scope": strings.Join(scopesAskedFor(), " ")}
		for name, value := range change {
			if object[name] = value; value == nil {
				delete(object, name)
			}
		}
		return answerJSON(200, object)
	}
	jira := []string{"read:jira-work", "write:jira-work", "read:jira-user"}
	site := func(scopes ...string) map[string]any {
		return map[string]any{"id": "8C6F5B1E-2c3d-4e5f-9a6b-7c8d9e0f1a2b", "url": "https://ACME.atlassian.net/", "name": "a\u202ec\nme", "scopes": scopes}
	}
	sites := answerJSON(200, []any{site(jira...)})
	missing := func(scopes ...string) error { return &ScopeError{Missing: scopes} }
	for _, test := range []struct {
		name   string
		answer func(url.Values)
		token  http.HandlerFunc
		sites  http.HandlerFunc
		want   error
	}{
		{"nothing wrong", code, token(nil), sites, nil},
		{"scopes told by the site", code, token(map[string]any{"scope": nil}), sites, nil},

		{"no state", func(q url.Values) { q.Del("state") }, nil, nil, ErrStateMismatch},
		{"another state", func(q url.Values) { q.Set("state", "another") }, nil, nil, ErrStateMismatch},
		{"state twice", func(q url.Values) { q.Add("state", q.Get("state")) }, nil, nil, ErrStateMismatch},
		{"no code", func(q url.Values) { q.Del("code") }, nil, nil, ErrStateMismatch},
		{"code twice", func(q url.Values) { q.Add("code", "another") }, nil, nil, ErrStateMismatch},
		{"denied", set("error", "access_denied"), nil, nil, ErrConsentDenied},
		{"down", set("error", "temporarily_unavailable"), nil, nil, ErrUnavailable},
		{"app without the scopes", set("error", "invalid_scope"), nil, nil, ErrNotConfigured},
		{"unknown error", set("error", mark), nil, nil, ErrUnavailable},

		{"code refused", code, answerJSON(403, map[string]any{"error": "invalid_grant", "error_description": mark}), nil, ErrCodeRefused},
		{"client refused", code, answerJSON(401, map[string]any{"error": "invalid_client"}), nil, ErrClientRejected},
		{"exchange down", code, answer(502, "text/html", mark), nil, ErrUnavailable},
		{"exchange broken", code, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, ErrUnavailable},
		{"token that can't be stored", code, token(map[string]any{"refresh_token": "a b"}), sites, ErrUnavailable},

		{"scope missing", code, token(map[string]any{"scope": "read:jira-work read:jira-user offline_access"}), sites, missing("write:jira-work")},
		{"scope too many", code, token(map[string]any{"scope": strings.Join(scopesAskedFor(), " ") + " manage:jira-project"}), sites, &ScopeError{Extra: []string{"manage:jira-project"}}},
		{"scope that might be anything", code, token(map[string]any{"scope": strings.Join(scopesAskedFor(), " ") + " " + mark}), sites, &ScopeError{Extra: []string{otherScope}}},
		{"scope missing by the site", code, token(map[string]any{"scope": nil}), answerJSON(200, []any{site("read:jira-work")}), missing("read:jira-user", "write:jira-work")},
		{"empty scope", code, token(map[string]any{"scope": ""}), sites, missing("offline_access", "read:jira-user", "read:jira-work", "write:jira-work")},
		{"no refresh token", code, token(map[string]any{"refresh_token": nil}), sites, ErrNoRefreshToken},
		{"nor scopes", code, token(map[string]any{"refresh_token": nil, "scope": nil}), sites, ErrNoRefreshToken},

		{"no sites", code, token(nil), answerJSON(200, []any{}), ErrNoSites},
		{"no Jira", code, token(nil), answerJSON(200, []any{site("read:confluence-content.all")}), ErrNoSites},
		{"sites refused", code, token(nil), answerJSON(401, map[string]any{"message": mark}), ErrUnavailable},
		{"sites elsewhere", code, token(nil), answer(302, "text/html", ""), ErrUnavailable},
		{"sites in HTML", code, token(nil), answer(200, "text/html", mark), ErrUnavailable},
		{"too many sites", code, token(nil), answer(200, "application/json", "["+strings.Repeat(" ", maxSites)+"]"), ErrUnavailable},
		{"sites broken", code, token(nil), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStore(t, time.Hour)
			var exchanges, lists int
			mux := http.NewServeMux()
			mux.HandleFunc("POST /oauth/token", func(w http.ResponseWriter, r *http.Request) {
				exchanges++
				var in map[string]string
				if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
					t.Error(err)
				}
				if in["grant_type"] != "authorization_code" || in["code"] != "the-code" || in["redirect_uri"] != redirectURL || len(in["code_verifier"]) != 43 || len(in) != 6 {
					t.Errorf("the request is %v", in)
				}
				test.token(w, r)
			})
			mux.HandleFunc("GET /oauth/token/accessible-resources", func(w http.ResponseWriter, r *http.Request) {
				lists++
				if r.Header.Get("Authorization") != "Bearer "+accessToken(1) {
					t.Errorf("headers: %v", r.Header)
				}
				test.sites(w, r)
			})
			m := managerOn(t, s, "https://auth.example", inMemory{mux})
			c, err := m.BeginConsent(t.Context(), "acme")
			if err != nil {
				t.Fatal(err)
			}
			q := url.Values{"state": {c.State}, "code": {"the-code"}}
			test.answer(q)
			g, err := m.FinishConsent(t.Context(), c, q)
			var scopes, wanted *ScopeError
			switch {
			case errors.As(test.want, &wanted):
				if !errors.As(err, &scopes) || !slices.Equal(scopes.Missing, wanted.Missing) || !slices.Equal(scopes.Extra, wanted.Extra) {
					t.Errorf("%v, want %v", err, test.want)
				}
			case !errors.Is(err, test.want) || (err == nil) != (g != nil):
				t.Errorf("%v, want %v", err, test.want)
			}
			if strings.Contains(fmt.Sprint(err), mark) {
				t.Errorf("the error gives something away: %v", err)
			}
			if test.want == nil && (len(g.Sites) != 1 || g.Sites[0] != Site{"8c6f5b1e-2c3d-4e5f-9a6b-7c8d9e0f1a2b", "https://acme.atlassian.net", "acme"}) {
				t.Errorf("sites: %+v", g.Sites)
			}
			// Never twice, whatever came of it.
			if test.token != nil {
				if _, err := m.FinishConsent(t.Context(), c, q); !errors.Is(err, ErrStateMismatch) {
					t.Errorf("again: %v", err)
				}
			}
			if want := map[bool]int{true: 1}[test.token != nil]; exchanges != want {
				t.Errorf("%d exchanges, %d lists of sites", exchanges, lists)
			}
			if got := s.credential(t); got.AccessToken.Reveal() != accessToken(0) {
				t.Error("something is stored")
			}
		})
	}
}

// TestWhoseConsent: it belongs to one incarnation, one client and one region.
func TestWhoseConsent(t *testing.T) {
	ask := func(t *testing.T, w *simulated, id string) (*Consent, url.Values) {
		t.Helper()
		c, err := w.BeginConsent(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return c, browse(t, w.transport, c)
	}
	t.Run("replaced before the answer", func(t *testing.T) {
		w := newSimulated(t, nil)
		c, answer := ask(t, w, "acme")
		w.replace(t, time.Hour)
		if _, err := w.FinishConsent(t.Context(), c, answer); !errors.Is(err, ErrReplaced) {
			t.Error(err)
		}
		w.wantUntouched(t)
	})
	t.Run("replaced before it is stored", func(t *testing.T) {
		w := newSimulated(t, nil)
		c, answer := ask(t, w, "acme")
		g, err := w.FinishConsent(t.Context(), c, answer)
		if err != nil {
			t.Fatal(err)
		}
		w.replace(t, time.Hour)
		if err := w.Connect(t.Context(), g, g.Sites[0]); !errors.Is(err, ErrReplaced) {
			t.Error(err)
		}
		w.wantUntouched(t)
		if err := storetest.Remove(t.Context(), w.watchedStore, "acme"); err != nil {
			t.Fatal(err)
		}
		if err := w.Connect(t.Context(), g, g.Sites[0]); !errors.Is(err, tokenstore.ErrNotFound) {
			t.Error(err)
		}
	})
	t.Run("another client", func(t *testing.T) {
		w := newSimulated(t, nil)
		w.addDataCenter()
		c, answer := ask(t, w, "dc")
		g, err := w.FinishConsent(t.Context(), c, answer)
		if err != nil {
			t.Fatal(err)
		}
		cred := g.Credential
		cred.ClientID = "another"
		if err := w.watchedStore.Store.ReplaceCredential(t.Context(), "dc", w.credentialOf(t, "dc").Generation, cred); err != nil {
			t.Fatal(err)
		}
		if err := w.Connect(t.Context(), g, Site{}); !errors.Is(err, ErrReplaced) {
			t.Error(err)
		}
	})
	t.Run("another region", func(t *testing.T) {
		w := newSimulated(t, nil, func(o *Options) { o.Serves = func(*tokenstore.Connection) bool { return false } })
		if _, err := w.BeginConsent(t.Context(), "acme"); !errors.Is(err, ErrNotServed) {
			t.Error(err)
		}
		if _, err := w.Revoke(t.Context(), "acme"); !errors.Is(err, ErrNotServed) {
			t.Error(err)
		}
	})
	t.Run("nobody's", func(t *testing.T) {
		w := newSimulated(t, nil)
		if _, err := w.BeginConsent(t.Context(), "nobody"); !errors.Is(err, tokenstore.ErrNotFound) {
			t.Error(err)
		}
	})
	for name, change := range map[string]func(*Options){
		"no client":       func(o *Options) { o.ClientID = "" },
		"no redirect URL": func(o *Options) { o.RedirectURL = "" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newSimulated(t, nil, change)
			if _, err := w.BeginConsent(t.Context(), "acme"); !errors.Is(err, ErrNotConfigured) {
				t.Error(err)
			}
		})
	}
}

// FuzzSites: whatever the list holds, each site of it can be a connection's, and
// a screen can show it.
func FuzzSites(f *testing.F) {
	f.Add(`[{"id":"8c6f5b1e-2c3d-4e5f-9a6b-7c8d9e0f1a2b","url":"https://acme.atlassian.net","name":"acme","scopes":["read:jira-work"]}]`)
	f.Add(`[{"id":"8c6f5b1e-2c3d-4e5f-9a6b-7c8d9e0f1a2b","url":"https://acme.atlassian.net/x?y","scopes":["jira"]},{"id":"x","url":"http://y"}]`)
	f.Add(`{"id":1}`)
	f.Add(`[{"id":"8C6F5B1E-2C3D-4E5F-9A6B-7C8D9E0F1A2B","url":"HTTPS://ACME.atlassian.net/","name":"\u202e\u0007\ud800","scopes":["read:issue:jira"]}]`)
	f.Fuzz(func(t *testing.T, body string) {
		sites, _, err := parseSites([]byte(body))
		if err != nil && sites != nil {
			t.Error("sites with an error")
		}
		seen := map[string]bool{}
		for i, s := range sites {
			if !s.valid() || s.URL != strings.ToLower(s.URL) || strings.HasSuffix(s.URL, "/") || seen[s.ID] || i > 0 && sites[i-1].URL > s.URL {
				t.Errorf("%+v", sites)
			}
			if len([]rune(s.Name)) > maxSiteName || strings.ContainsAny(s.Name, "\r\n\x1b\u202e\u2028") {
				t.Errorf("name %q", s.Name)
			}
			seen[s.ID] = true
		}
	})
}
