package oauth

import (
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
		name           string
		siteURL, cloud string
		site           string // that Site finds; empty: it finds none
		err            error
		sites          []jirasim.Site // empty: the simulator's two
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
