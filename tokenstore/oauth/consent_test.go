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

	"jiragate/internal/jirasim"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/secret"
)

// TestAuthorizeURL has what Atlassian and Jira document, and PKCE.
func TestAuthorizeURL(t *testing.T) {
	w := newSimulated(t, nil)
	w.addDataCenter()
	cloud, err := w.BeginConsent(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(cloud.URL, "+") || !strings.Contains(cloud.URL, "scope=read%3Ajira-work%20write%3Ajira-work%20read%3Ajira-user%20offline_access") {
		t.Errorf("the scopes in %s", cloud.URL)
	}
	dataCenter, err := w.BeginConsent(t.Context(), "dc")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		c    *Consent
		base string
		want url.Values
	}{
		{cloud, w.sim.AuthURL() + "/authorize", url.Values{
			"audience": {"api.atlassian.com"}, "prompt": {"consent"}, "client_id": {jirasim.DefaultClientID},
			"scope": {"read:jira-work write:jira-work read:jira-user offline_access"},
		}},
		{dataCenter, w.sim.DataCenterURL() + "/rest/oauth2/latest/authorize", url.Values{"client_id": {jirasim.DefaultDCClientID}, "scope": {"WRITE"}}},
	} {
		base, query, _ := strings.Cut(test.c.URL, "?")
		got, err := url.ParseQuery(query)
		if err != nil || base != test.base {
			t.Errorf("%s: %v", test.c.URL, err)
		}
		test.want["response_type"], test.want["redirect_uri"], test.want["state"] = []string{"code"}, []string{redirectURL}, []string{test.c.State}
		test.want["code_challenge"], test.want["code_challenge_method"] = []string{got.Get("code_challenge")}, []string{"S256"}
		if fmt.Sprint(got) != fmt.Sprint(test.want) || len(got.Get("code_challenge")) != 43 || len(test.c.State) != 43 {
			t.Errorf("%v, want %v", got, test.want)
		}
	}
	if again, err := w.BeginConsent(t.Context(), "acme"); err != nil || again.State == cloud.State || again.verifier.Equal(cloud.verifier) {
		t.Error("two consents share their secrets")
	}
}

// TestConsentCloud from end to end, for connections that know more or less of
// where they lead.
func TestConsentCloud(t *testing.T) {
	for _, test := range []struct {
		name            string
		siteURL, cloud  string
		site            string // that Site finds; empty: it finds none
		err             error
		sites           []jirasim.Site
		wanted, another string
	}{
		{name: "cloud id known", siteURL: jirasim.DefaultSiteURL, cloud: jirasim.DefaultCloudID, site: jirasim.DefaultCloudID},
		{name: "site known", siteURL: jirasim.DefaultSiteURL, site: jirasim.DefaultCloudID},
		{name: "nothing known, several sites", err: ErrChooseSite},
		{name: "nothing known, one site", site: jirasim.DefaultCloudID, sites: []jirasim.Site{{ID: jirasim.DefaultCloudID, URL: jirasim.DefaultSiteURL}}},
		{name: "another site", siteURL: "https://other.atlassian.net", err: &SiteError{}},
		{name: "another cloud id", siteURL: jirasim.DefaultSiteURL, cloud: "11111111-2222-3333-4444-555555555555", err: &SiteError{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newSimulated(t, nil)
			if test.sites != nil {
				w.sim.SetSites(test.sites...)
			}
			if err := w.AddConnection(t.Context(), tokenstore.Connection{
				ID: "new", Edition: policy.Cloud, SiteURL: test.siteURL, CloudID: test.cloud, Region: tokenstore.RegionEU, CredentialKind: tokenstore.KindOAuth2,
			}, tokenstore.Credential{Kind: tokenstore.KindOAuth2}); err != nil {
				t.Fatal(err)
			}
			if c := w.connectionOf(t, "new"); c.State != tokenstore.StateNeedsReauthorisation {
				t.Fatalf("state %s", c.State)
			}
			before := time.Now()
			g, err := w.consent("new")
			if err != nil {
				t.Fatal(err)
			}
			site, err := g.Site(w.connectionOf(t, "new"))
			if site.ID != test.site || !errors.Is(err, test.err) && !errors.As(err, new(*SiteError)) {
				t.Fatalf("site %+v, %v", site, err)
			}
			if errors.As(err, new(*SiteError)) {
				// Whoever insists gets nowhere.
				for _, s := range g.Sites {
					if err := w.Connect(t.Context(), g, s); !errors.As(err, new(*SiteError)) {
						t.Errorf("connected to %s: %v", s.URL, err)
					}
				}
				return
			}
			if err != nil {
				site = g.Sites[1]
			}
			if err := w.Connect(t.Context(), g, site); err != nil {
				t.Fatal(err)
			}
			c, cred := w.connectionOf(t, "new"), w.credentialOf(t, "new")
			if c.State != tokenstore.StateActive || c.CloudID != site.ID || c.SiteURL != site.URL || !slices.Equal(c.Scopes, sortedScopes(scopesAskedFor())) {
				t.Errorf("%+v", c)
			}
			if cred.ConsentedAt.Before(before.Add(-time.Second)) || cred.EndsAt.Sub(cred.ConsentedAt) != 365*24*time.Hour || cred.LapsesAt.Sub(cred.ConsentedAt) != 90*24*time.Hour {
				t.Errorf("consented %v, ends %v, lapses %v", cred.ConsentedAt, cred.EndsAt, cred.LapsesAt)
			}
			token, err := present(t.Context(), w.Manager, "new")
			if err != nil || !token.Equal(cred.AccessToken) || !w.sim.RefreshTokenCurrent(cred.RefreshToken.Reveal()) {
				t.Errorf("the token after the consent: %v", err)
			}
			if err := forceRefresh(t.Context(), w.Manager, "new"); err != nil {
				t.Error(err)
			}
			if now := w.credentialOf(t, "new"); !now.EndsAt.Equal(cred.EndsAt) {
				t.Error("a refresh moved the end of the grant")
			}
			// The code was good for one answer.
			if stats := w.sim.TokenStats(); stats.Exchanges != 1 || stats.Refused != 0 {
				t.Errorf("%+v", stats)
			}
		})
	}
}

// TestConsentDataCenter with OAuth 2.0, rotations and revocation included.
func TestConsentDataCenter(t *testing.T) {
	w := newSimulated(t, nil)
	w.addDataCenter()
	if got, err := w.Revoke(t.Context(), "dc"); got != RevocationNotOffered || err != nil {
		t.Errorf("revoked what nobody granted: %s, %v", got, err)
	}
	g, err := w.consent("dc")
	if err != nil {
		t.Fatal(err)
	}
	site, err := g.Site(w.connectionOf(t, "dc"))
	if err != nil || site != (Site{}) || g.Sites != nil {
		t.Errorf("site %+v, %v", site, err)
	}
	if err := w.Connect(t.Context(), g, site); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := forceRefresh(t.Context(), w.Manager, "dc"); err != nil {
			t.Fatal(err)
		}
	}
	c := w.credentialOf(t, "dc")
	if !w.sim.DataCenterRefreshTokenCurrent(c.RefreshToken.Reveal()) || !c.EndsAt.IsZero() || c.ConsentedAt.IsZero() || c.LapsesAt.IsZero() || !slices.Equal(c.Scopes, []string{"WRITE"}) {
		t.Errorf("stored: %+v", c)
	}
	if got, err := w.Revoke(t.Context(), "dc"); got != RevocationDone || err != nil {
		t.Errorf("Revoke: %s, %v", got, err)
	}
	if err := forceRefresh(t.Context(), w.Manager, "dc"); !errors.Is(err, ErrNeedsReauthorisation) {
		t.Errorf("refreshed a grant that was revoked: %v", err)
	}
	// Cloud offers none.
	if got, err := w.Revoke(t.Context(), "acme"); got != RevocationNotOffered || err != nil {
		t.Errorf("Revoke: %s, %v", got, err)
	}
}

func TestRevokeAnswers(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		want   Revocation
		err    error
	}{
		{"done", answer(200, "text/plain", ""), RevocationDone, nil},
		{"an older Jira", answer(404, "text/html", "<h1>"), RevocationNotOffered, nil},
		{"not for such tokens", answerJSON(400, map[string]any{"error": "unsupported_token_type"}), RevocationNotOffered, nil},
		{"wrong client", answerJSON(401, map[string]any{"error": "invalid_client", "error_description": mark}), "", ErrClientRejected},
		{"down", answer(503, "text/html", mark), "", ErrUnavailable},
		{"redirect", answer(302, "text/html", mark), "", ErrUnavailable},
		{"broken", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStore(t, time.Hour)
			s.toDataCenter(t)
			m := managerOn(t, s, "https://auth.example", inMemory{test.answer})
			got, err := m.Revoke(t.Context(), "acme")
			if got != test.want || !errors.Is(err, test.err) || strings.Contains(fmt.Sprint(err), mark) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// TestConsentLink is an application link with OAuth 1.0a.
func TestConsentLink(t *testing.T) {
	w := newSimulated(t, nil)
	key, err := applink.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	public, err := applink.PublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.AddConnection(t.Context(), tokenstore.Connection{
		ID: "link", Edition: policy.DataCenter, BaseURL: w.sim.DataCenterURL(), Region: tokenstore.RegionEU, CredentialKind: tokenstore.KindOAuth1,
	}, tokenstore.Credential{Kind: tokenstore.KindOAuth1, ConsumerKey: "jiragate", PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.BeginConsent(t.Context(), "link"); !errors.Is(err, ErrClientRejected) {
		t.Errorf("a consumer that Jira doesn't know: %v", err)
	}
	if err := w.sim.RegisterConsumer("jiragate", public); err != nil {
		t.Fatal(err)
	}
	c, err := w.BeginConsent(t.Context(), "link")
	if err != nil {
		t.Fatal(err)
	}
	answer := browse(t, w.transport, c)
	for name, change := range map[string]func(url.Values){
		"another state":         func(q url.Values) { q.Set("state", "x") },
		"another request token": func(q url.Values) { q.Set("oauth_token", "x") },
		"no verifier":           func(q url.Values) { q.Del("oauth_verifier") },
	} {
		bad := url.Values{}
		for name := range answer {
			bad[name] = slices.Clone(answer[name])
		}
		change(bad)
		if _, err := w.FinishConsent(t.Context(), c, bad); !errors.Is(err, ErrStateMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	g, err := w.FinishConsent(t.Context(), c, answer)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Connect(t.Context(), g, Site{}); err != nil {
		t.Fatal(err)
	}
	cred := w.credentialOf(t, "link")
	if cred.Token.IsZero() || cred.ConsumerKey != "jiragate" || !cred.PrivateKey.Equal(key) || cred.EndsAt.Sub(cred.ConsentedAt) < 4*365*24*time.Hour || !cred.LapsesAt.IsZero() {
		t.Errorf("stored: %+v", cred)
	}
	if s, err := w.Status(t.Context(), "link"); err != nil || !s.Consented || !s.NextRefreshAt.IsZero() || !s.EndsAt.Equal(cred.EndsAt) {
		t.Errorf("status %+v, %v", s, err)
	}
	if _, err := w.FinishConsent(t.Context(), c, answer); !errors.Is(err, ErrStateMismatch) {
		t.Errorf("the same answer again: %v", err)
	}
	w.sim.SetConsent(jirasim.ConsentDeny)
	if _, err := w.consent("link"); !errors.Is(err, ErrConsentDenied) {
		t.Errorf("denied: %v", err)
	}
}

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
		if err := w.RemoveConnection(t.Context(), "acme"); err != nil {
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

// secretsOf is everything of a consent that must not be seen.
func secretsOf(c *Consent) []secret.Secret {
	return []secret.Secret{secret.New(c.State), secret.New(c.URL), c.verifier, c.request.Token}
}
