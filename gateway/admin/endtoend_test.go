package admin_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
	"jiragate/internal/jirasim"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/oauth"
	"jiragate/tokenstore/secret"
)

// world is the whole of a consent: the API behind a real listener, a real Manager,
// Atlassian and a Jira Data Center, and a person's browser.
type world struct {
	sim     *jirasim.Sim
	store   *bolt.Store
	trail   trail
	server  *httptest.Server
	browser *http.Client
	manager *oauth.Manager
	probed  *admin.ProbeResult // instead of a real call
}

func newWorld(t *testing.T) *world {
	t.Helper()
	sim, err := jirasim.Start(jirasim.Options{AutoApprove: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(sim.CAPEM())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}

	store, _ := openStore(t)
	w := &world{sim: sim, store: store, trail: newTrail(t), server: httptest.NewUnstartedServer(nil), browser: &http.Client{Transport: transport, Jar: jar}}
	t.Cleanup(w.server.Close)
	redirect := "http://" + w.server.Listener.Addr().String() + "/oauth/callback"
	w.manager = oauth.New(oauth.Options{
		Store: store, AuthURL: sim.AuthURL(), APIURL: sim.APIURL(),
		ClientID: jirasim.DefaultClientID, ClientSecret: secret.New(jirasim.DefaultClientSecret), RedirectURL: redirect,
		Transport: func(*tokenstore.Connection) http.RoundTripper { return transport },
	})
	t.Cleanup(func() {
		if err := w.manager.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	o := options(t, store)
	o.Audit = w.trail.log
	o.Consenter, o.RedirectURL = w.manager, redirect
	o.Probe = w.probe
	w.server.Config.Handler = network(t, o, admin.Guard{Token: secret.New(adminToken)})
	w.server.Start()
	return w
}

// probe asks Jira who the gateway is, with the token that was stored.
func (w *world) probe(ctx context.Context, id string) (admin.ProbeResult, error) {
	if w.probed != nil {
		return *w.probed, nil
	}
	c, ok := w.store.Directory().Connection(id)
	if !ok {
		return admin.ProbeResult{}, tokenstore.ErrNotFound
	}
	if c.CredentialKind == tokenstore.KindOAuth1 {
		return admin.ProbeResult{OK: true, Account: "signed"}, nil
	}
	token, err := w.manager.AccessToken(ctx, id, c.Incarnation)
	if err != nil {
		return admin.ProbeResult{}, err
	}
	target := c.BaseURL + "/rest/api/2/myself"
	if c.Edition == policy.Cloud {
		target = w.sim.APIURL() + "/ex/jira/" + c.CloudID + "/rest/api/3/myself"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return admin.ProbeResult{}, err
	}
	r.Header.Set("Authorization", "Bearer "+token.Reveal())
	resp, err := w.browser.Transport.RoundTrip(r)
	if err != nil {
		return admin.ProbeResult{}, err
	}
	defer resp.Body.Close() // only a test
	var who struct{ DisplayName string }
	err = json.NewDecoder(resp.Body).Decode(&who)
	return admin.ProbeResult{OK: resp.StatusCode == 200, Status: resp.StatusCode, Account: who.DisplayName}, err
}

// api makes a request of the operator's.
func (w *world) api(t *testing.T, method, path, body string, status int, into any) {
	t.Helper()
	r, err := http.NewRequest(method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() // only a test
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Fatalf("%s %s: %d %s (%v)", method, path, resp.StatusCode, b, err)
	}
	if into != nil {
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatal(err)
		}
	}
}

// open is what a person sees who opens a link, or sends a form.
func (w *world) open(t *testing.T, resp *http.Response, err error) (int, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() // only a test
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func wantPage(t *testing.T, status int, page string, wantStatus int, texts ...string) {
	t.Helper()
	if status != wantStatus {
		t.Errorf("status %d, want %d", status, wantStatus)
	}
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q:\n%s", text, page)
		}
	}
}

var formToken = regexp.MustCompile(`name="token" value="([^"]+)"`)

func TestCloudEndToEnd(t *testing.T) {
	w := newWorld(t)
	var added admin.Invited
	w.api(t, "POST", "/v1/connections", `{"id": "acme", "edition": "cloud"}`, 201, &added)
	if added.State != "needs_reauthorisation" || added.StateReason != tokenstore.ReasonAwaitsConsent || added.Grant == nil || added.Grant.Consented {
		t.Errorf("added: %+v", added.Connection)
	}

	w.sim.SetConsent(jirasim.ConsentDeny)
	resp, err := w.browser.Get(added.ConsentURL)
	status, page := w.open(t, resp, err)
	wantPage(t, status, page, 403, "You did not give access")

	w.sim.SetConsent(jirasim.ConsentApprove)
	resp, err = w.browser.Get(added.ConsentURL)
	status, page = w.open(t, resp, err)
	wantPage(t, status, page, 200, "Which Jira site", jirasim.SandboxSiteURL, w.sim.SiteURL())
	m := formToken.FindStringSubmatch(page)
	if m == nil {
		t.Fatal("there is no form")
	}
	resp, err = w.browser.PostForm(w.server.URL+"/oauth/site", url.Values{"token": {m[1]}, "site": {w.sim.CloudID()}})
	status, page = w.open(t, resp, err)
	wantPage(t, status, page, 200, "Your Jira is connected", w.sim.SiteURL(), "offline_access")

	var c admin.Connection
	w.api(t, "GET", "/v1/connections/acme", "", 200, &c)
	if c.State != "active" || c.CloudID != w.sim.CloudID() || c.Grant == nil || !c.Grant.Consented || c.Grant.ConsentedAt.IsZero() ||
		c.Grant.EndsAt.IsZero() || c.Grant.LapsesAt.IsZero() || c.Grant.AccessExpiresAt.IsZero() || c.Grant.NextRefreshAt.IsZero() {
		t.Errorf("connection %+v, grant %+v", c, c.Grant)
	}
	asked := slices.IndexFunc(w.sim.Requests(), func(r jirasim.Request) bool {
		u, err := url.ParseRequestURI(r.RequestURI)
		if err != nil {
			return false
		}
		q := u.Query()
		return u.Path == "/authorize" && q.Get("code_challenge_method") == "S256" && len(q.Get("code_challenge")) == 43
	})
	if asked < 0 {
		t.Error("there was no PKCE")
	}

	// Consent once more, and the calls go on in between.
	old, err := w.store.Credential(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	var again admin.Invited
	w.api(t, "POST", "/v1/connections/acme/consent", "", 200, &again)
	if again.State != "active" || again.ConsentURL == "" {
		t.Errorf("a new link: %+v", again.Connection)
	}
	w.api(t, "POST", "/v1/connections/acme/consent", `{"expires_in": 3600}`, 200, &again)
	resp, err = w.browser.Get(again.ConsentURL)
	status, page = w.open(t, resp, err)
	wantPage(t, status, page, 200, "Your Jira is connected")
	if now, err := w.store.Credential(t.Context(), "acme"); err != nil || now.AccessToken.Equal(old.AccessToken) || now.Generation <= old.Generation {
		t.Errorf("the grant was not replaced (%v)", err)
	}

	var removed admin.Removal
	w.api(t, "DELETE", "/v1/connections/acme", "", 200, &removed)
	if removed.Revocation != "not_offered" || !strings.Contains(removed.Detail, "connected apps") {
		t.Errorf("removed: %+v", removed)
	}
	w.wantActs(t,
		"admin.connection.add allow ", "admin.connection.consented deny consent_denied", "admin.connection.consented allow choose_site",
		"admin.connection.consented allow ", "admin.connection.consent allow ", "admin.connection.consent allow ",
		"admin.connection.consented allow ", "admin.connection.remove allow ")
}

func (w *world) wantActs(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, r := range w.trail.records(t) {
		got = append(got, fmt.Sprintf("%s %s %s", r.Operation, r.Decision, r.Code))
		who := "operator:admin-token"
		if r.Operation == "admin.connection.consented" {
			who = "customer:" + r.Connection
		}
		if r.Client != who || !strings.HasPrefix(r.ClientAddr, "127.0.0.1:") || strings.Contains(r.Path, "?") || r.PolicySHA256 == "" {
			t.Errorf("record %+v", r)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("acts:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if report, err := audit.Verify(w.trail.dir, audit.VerifyOptions{}); err != nil {
		t.Errorf("the records: %v %v", report, err)
	}
}

// The first call may fail although the consent is good. The customer is told what
// concerns them, and not what is inside.
func TestFirstCallThatFails(t *testing.T) {
	for reason, result := range map[string]admin.ProbeResult{
		"Jira answered the call with status 403.":                     {Status: 403},
		"The gateway could not make the call (upstream_unreachable).": {Status: 502, Code: "upstream_unreachable", Detail: "dial 10.1.2.3"},
	} {
		w := newWorld(t)
		w.probed = &result
		w.sim.SetSites(jirasim.Site{ID: w.sim.CloudID(), URL: w.sim.SiteURL()})
		var added admin.Invited
		w.api(t, "POST", "/v1/connections", `{"id": "acme", "edition": "cloud"}`, 201, &added)
		resp, err := w.browser.Get(added.ConsentURL)
		status, page := w.open(t, resp, err)
		wantPage(t, status, page, 200, "the first call did not work", reason)
		if strings.Contains(page, "10.1.2.3") {
			t.Error("the page tells what is inside")
		}
	}
}

// What Atlassian grants may be another thing than was asked for.
func TestGrantThatWillNotDo(t *testing.T) {
	for _, tt := range []struct {
		name, body, page string
		status           int
		sites            []jirasim.Site
	}{
		{"wrong site", `{"id": "acme", "edition": "cloud", "site_url": "https://another.atlassian.net"}`, "https://another.atlassian.net", 409, []jirasim.Site{{ID: jirasim.DefaultCloudID, URL: jirasim.DefaultSiteURL}}},
		{"no site", `{"id": "acme", "edition": "cloud"}`, "no Jira site", 409, []jirasim.Site{}},
		{"no Jira site", `{"id": "acme", "edition": "cloud"}`, "no Jira site", 409, []jirasim.Site{{ID: jirasim.DefaultCloudID, URL: jirasim.DefaultSiteURL, Scopes: []string{"read:confluence-space"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.sim.SetSites(tt.sites...)
			var added admin.Invited
			w.api(t, "POST", "/v1/connections", tt.body, 201, &added)
			resp, err := w.browser.Get(added.ConsentURL)
			status, page := w.open(t, resp, err)
			wantPage(t, status, page, tt.status, tt.page)
			if c, _ := w.store.Directory().Connection("acme"); c.State != tokenstore.StateNeedsReauthorisation {
				t.Errorf("it is %s", c.State)
			}
		})
	}
}

func TestDataCenterEndToEnd(t *testing.T) {
	w := newWorld(t)
	var added admin.Invited
	body, err := admin.NewConnection{
		ID: "globex", Edition: policy.DataCenter, BaseURL: w.sim.DataCenterURL(),
		Credential: tokenstore.Credential{Kind: tokenstore.KindOAuth2, ClientID: jirasim.DefaultDCClientID, ClientSecret: secret.New(jirasim.DefaultDCClientSecret)},
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.api(t, "POST", "/v1/connections", string(body), 201, &added)
	if added.CallbackURL != w.server.URL+"/oauth/callback" {
		t.Errorf("callback URL %q", added.CallbackURL)
	}
	resp, err := w.browser.Get(added.ConsentURL)
	status, page := w.open(t, resp, err)
	wantPage(t, status, page, 200, "Your Jira is connected", w.sim.DataCenterURL())

	var removed admin.Removal
	w.api(t, "DELETE", "/v1/connections/globex", "", 200, &removed)
	if removed.Revocation != "done" || removed.Detail != "" || w.sim.DataCenterTokenStats().Revoked != 1 {
		t.Errorf("removed: %+v; %+v", removed, w.sim.DataCenterTokenStats())
	}
}

func TestApplicationLinkEndToEnd(t *testing.T) {
	w := newWorld(t)
	var added admin.Invited
	w.api(t, "POST", "/v1/connections", `{"id": "initech", "edition": "datacenter", "base_url": "`+w.sim.DataCenterURL()+`",
		"credential": {"kind": "oauth1", "consumer_key": "jiragate"}}`, 201, &added)
	if added.ConsumerKey != "jiragate" || !strings.HasPrefix(added.PublicKey, "-----BEGIN PUBLIC KEY-----") || added.CallbackURL == "" {
		t.Fatalf("added: %+v", added)
	}
	// Before the administrator has entered the key, Jira refuses.
	resp, err := w.browser.Get(added.ConsentURL)
	status, page := w.open(t, resp, err)
	wantPage(t, status, page, 502, "does not accept the application link", "public key")

	if err := w.sim.RegisterConsumer(added.ConsumerKey, added.PublicKey); err != nil {
		t.Fatal(err)
	}
	w.sim.SetConsent(jirasim.ConsentDeny)
	resp, err = w.browser.Get(added.ConsentURL)
	status, page = w.open(t, resp, err)
	wantPage(t, status, page, 403, "You did not give access")

	w.sim.SetConsent(jirasim.ConsentApprove)
	resp, err = w.browser.Get(added.ConsentURL)
	status, page = w.open(t, resp, err)
	wantPage(t, status, page, 200, "Your Jira is connected", "signed")

	var c admin.Connection
	w.api(t, "GET", "/v1/connections/initech", "", 200, &c)
	if c.State != "active" || c.PublicKey != added.PublicKey || c.Grant == nil || !c.Grant.Consented {
		t.Errorf("connection %+v", c)
	}
	var removed admin.Removal
	w.api(t, "DELETE", "/v1/connections/initech", "", 200, &removed)
	if removed.Revocation != "not_offered" || !strings.Contains(removed.Detail, "application link") {
		t.Errorf("removed: %+v", removed)
	}
}
