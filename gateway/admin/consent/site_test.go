package consent_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/tokenstore/oauth"
	"jiragate/tokenstore/storetest"
)

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

// manySites is a harness whose provider leads to two sites, and a connection that
// doesn't say which it means. The browser is at the page that asks.
func manySites(t *testing.T) (*harness, *browser, view) {
	t.Helper()
	h := newHarness(t)
	h.sites = []oauth.Site{
		{ID: otherID, URL: "https://acme-sandbox.atlassian.net", Name: `"><script>alert(1)</script>` + strings.Repeat("x", 500) + "\u202e"},
		{ID: acmeID, URL: acmeSite, Name: "Acme"},
	}
	h.addCloud(t, "acme", "")
	b := h.browser()
	v := b.get(t, callback(b.start(t, h.invite(t, "acme"))))
	wantText(t, v, 200, "Which Jira site", acmeSite, "https://acme-sandbox.atlassian.net", `"><script>alert(1)</script>xxx`, "…")
	if strings.Contains(v.text, strings.Repeat("x", 101)) || strings.Contains(v.text, "\u202e") {
		t.Error("the name of a site is shown as it is")
	}
	if len(v.inputs["token"]) != 1 || len(v.inputs["site"]) != 2 {
		t.Fatalf("the form has %v", v.inputs)
	}
	h.wantRecord(t, v, audit.DecisionAllow, "choose_site")
	return h, b, v
}

func (b *browser) choose(t *testing.T, form url.Values, edits ...func(*http.Request)) view {
	t.Helper()
	return b.do(t, http.MethodPost, "/oauth/site", form, edits...)
}

func TestChooseSite(t *testing.T) {
	h, b, v := manySites(t)
	token := v.inputs["token"][0]
	v = b.choose(t, siteForm(token, acmeID))
	wantText(t, v, 200, "Your Jira is connected", acmeSite)
	h.wantRecord(t, v, audit.DecisionAllow, "")
	if c, _ := h.store.Directory().Connection("acme"); c.CloudID != acmeID || c.SiteURL != acmeSite {
		t.Errorf("connected to %s %s", c.CloudID, c.SiteURL)
	}
	wantText(t, b.choose(t, siteForm(token, otherID)), 400, "all is well")
	if h.connected != 1 {
		t.Errorf("connected %d times", h.connected)
	}
}

func TestChooseNoSite(t *testing.T) {
	for _, site := range []string{"", "00000000-0000-0000-0000-000000000000"} {
		h, b, v := manySites(t)
		token := v.inputs["token"][0]
		v = b.choose(t, siteForm(token, site))
		wantText(t, v, 400, "choose one of the sites")
		h.wantRecord(t, v, audit.DecisionDeny, "choose_site")
		if again := v.inputs["token"][0]; again == token {
			t.Error("the token of the form is good twice")
		} else {
			wantText(t, b.choose(t, siteForm(again, acmeID)), 200, "connected")
		}
	}
}

func TestHostileForms(t *testing.T) {
	type edit = func(*http.Request)
	header := func(name, value string) edit { return func(r *http.Request) { r.Header.Set(name, value) } }
	for _, tt := range []struct {
		name   string
		form   func(token string) url.Values
		edits  []edit
		status int
		text   string
		dead   bool
	}{
		{"guessed token", func(string) url.Values { return siteForm(strings.Repeat("A", 43), acmeID) }, nil, 400, "can't be used", false},
		{"no token", func(string) url.Values { return siteForm("", acmeID) }, nil, 400, "can't be used", false},
		{"two tokens", func(k string) url.Values { return url.Values{"token": {k, k}, "site": {acmeID}} }, nil, 400, "can't be used", false},
		{"two sites", func(k string) url.Values { return url.Values{"token": {k}, "site": {acmeID, otherID}} }, nil, 400, "can't be used", false},
		{"too large", func(k string) url.Values { return url.Values{"token": {k}, "site": {strings.Repeat("x", 10_000)}} }, nil, 400, "can't be used", false},
		{"in the query", func(k string) url.Values { return url.Values{} }, []edit{func(r *http.Request) { r.URL.RawQuery = "token=x&site=" + acmeID }}, 400, "can't be used", false},
		{"another site's page", func(k string) url.Values { return siteForm(k, acmeID) }, []edit{header("Sec-Fetch-Site", "cross-site")}, 403, "from somewhere else", false},
		{"another origin, old browser", func(k string) url.Values { return siteForm(k, acmeID) }, []edit{header("Sec-Fetch-Site", ""), header("Origin", "https://evil.example")}, 403, "from somewhere else", false},
		{"foreign browser", func(k string) url.Values { return siteForm(k, acmeID) }, []edit{header("Cookie", "")}, 403, "where you began", true},
		{"GET", func(k string) url.Values { return siteForm(k, acmeID) }, []edit{func(r *http.Request) { r.Method = "GET" }}, 405, "all is well", false},
		// Chromium, on a page whose referrer is told to nobody.
		{"own page", func(k string) url.Values { return siteForm(k, acmeID) }, []edit{header("Sec-Fetch-Site", "same-origin"), header("Origin", "null")}, 200, "connected", true},
		// A proxy in front may ask under its own name for the listener.
		{"own origin, old browser", func(k string) url.Values { return siteForm(k, acmeID) }, []edit{header("Sec-Fetch-Site", ""), header("Origin", "https://gate.example")}, 200, "connected", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, b, v := manySites(t)
			token := v.inputs["token"][0]
			wantText(t, b.choose(t, tt.form(token), tt.edits...), tt.status, tt.text)
			if tt.status != 200 && h.connected > 0 {
				t.Fatal("it was connected")
			}
			if after := b.choose(t, siteForm(token, acmeID)); (after.status == 200) == tt.dead {
				t.Errorf("afterwards: %d", after.status)
			}
		})
	}
}

func TestChoiceTooLate(t *testing.T) {
	h, b, v := manySites(t)
	h.advance(10 * time.Minute)
	wantText(t, b.choose(t, siteForm(v.inputs["token"][0], acmeID)), 400, "within ten minutes")
}

func TestChoiceAfterRemoval(t *testing.T) {
	h, b, v := manySites(t)
	if err := storetest.Remove(t.Context(), h.store, "acme"); err != nil {
		t.Fatal(err)
	}
	wantText(t, b.choose(t, siteForm(v.inputs["token"][0], acmeID)), 410, "not there any more")
}
