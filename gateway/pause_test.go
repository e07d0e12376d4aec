package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"jiragate/internal/jirasim"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/secret"
)

func (w *world) state(connection string) *tokenstore.Connection {
	w.t.Helper()
	c, ok := w.store.Directory().Connection(connection)
	if !ok {
		w.t.Fatalf("there is no connection %s", connection)
	}
	return c
}

// paused asserts that calls of a connection are refused without reaching Jira.
func (w *world) paused(c *http.Client, url, reason string) {
	w.t.Helper()
	before := w.sent()
	r := w.call(c, "GET", url, "")
	if r.StatusCode != 502 || r.problem.Code != "credential_needs_reauthorisation" || !strings.Contains(r.problem.Detail, reason) {
		w.t.Errorf("%d %s, want the reason %q", r.StatusCode, r.body, reason)
	}
	if w.sent() != before {
		w.t.Error("the call reached Jira")
	}
}

// A password that Jira refuses is not tried again: Jira locks the account after
// a few.
func TestRefusedPasswordPausesItsConnection(t *testing.T) {
	w := newWorld(t, change{})
	client, myself := w.billing(), w.sim.DataCenterURL()+"/rest/api/2/myself"
	w.sim.SetPassword(jirasim.DefaultUsername, "changed-by-the-customer")
	w.secrets = append(w.secrets, "changed-by-the-customer")

	r := w.call(client, "GET", myself, "")
	if code, _ := w.newest(); r.StatusCode != 401 || code != "credential_refused" {
		t.Errorf("%d, recorded as %q", r.StatusCode, code)
	}
	w.paused(client, myself, "user name and password")
	if w.sim.CaptchaLocked(jirasim.DefaultUsername) {
		t.Error("the account is locked")
	}

	credential := must(w.store.Credential(t.Context(), "dc"))(t)
	credential.Password = secret.New("changed-by-the-customer")
	if err := w.store.ReplaceCredential(t.Context(), "dc", credential.Generation, credential); err != nil {
		t.Fatal(err)
	}
	if r := w.call(client, "GET", myself, ""); r.StatusCode != 200 {
		t.Errorf("with the new password: %d %s", r.StatusCode, r.body)
	}
}

// A burst of calls after a night in which the password was changed tries it
// once, whatever the concurrency.
func TestBurstWithAStalePassword(t *testing.T) {
	w := newWorld(t, change{})
	myself := w.sim.DataCenterURL() + "/rest/api/2/myself"
	w.sim.SetPassword(jirasim.DefaultUsername, "changed-overnight")
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			r, err := w.try(w.billing(), "GET", myself, "")
			if err != nil || r.StatusCode != 401 && r.problem.Code != "credential_needs_reauthorisation" {
				t.Errorf("%v %s", err, r.body)
			}
		})
	}
	calls.Wait()
	if w.sent() != 1 || w.sim.CaptchaLocked(jirasim.DefaultUsername) {
		t.Errorf("the password was sent %d times; locked: %v", w.sent(), w.sim.CaptchaLocked(jirasim.DefaultUsername))
	}
}

// Clients that do not wait for the answer don't keep the refusal from being seen.
func TestStalePasswordAndImpatientClients(t *testing.T) {
	w := newWorld(t, change{})
	w.sim.SetPassword(jirasim.DefaultUsername, "changed-overnight")
	defer w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: 300 * time.Millisecond})()
	for range 6 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		r := must(http.NewRequestWithContext(ctx, "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", nil))(t)
		if resp, err := w.billing().Do(r); err == nil {
			resp.Body.Close()
		}
		cancel()
	}
	for deadline := time.Now().Add(10 * time.Second); w.state("dc").State == tokenstore.StateActive && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if w.state("dc").State != tokenstore.StateNeedsReauthorisation || w.sim.CaptchaLocked(jirasim.DefaultUsername) {
		t.Errorf("the connection is %s, locked: %v", w.state("dc").State, w.sim.CaptchaLocked(jirasim.DefaultUsername))
	}
	w.paused(w.billing(), w.sim.DataCenterURL()+"/rest/api/2/myself", "user name and password")
}

// A burst with the right password all passes, and only its beginning waits.
func TestBurstWithTheRightPassword(t *testing.T) {
	w := newWorld(t, change{})
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			if r, err := w.try(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", ""); err != nil || r.StatusCode != 200 {
				t.Errorf("%v %s", err, r.body)
			}
		})
	}
	calls.Wait()
}

// The first call may fail for another reason than its password: then the next
// one goes first.
func TestScoutThatNeverComesBack(t *testing.T) {
	w := newWorld(t, change{})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.ResetBeforeHeaders, Times: 3})
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			if r, err := w.try(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", ""); err != nil || r.StatusCode != 200 && r.StatusCode != 502 {
				t.Errorf("%v %s", err, r.body)
			}
		})
	}
	calls.Wait()
	w.repeated = 3 // reads that the transport sends again over a new socket
	if got := w.state("dc").State; got != tokenstore.StateActive {
		t.Errorf("the connection is %s", got)
	}
}

func TestCaptchaPausesTheConnection(t *testing.T) {
	w := newWorld(t, change{})
	client, myself := w.billing(), w.sim.DataCenterURL()+"/rest/api/2/myself"
	jira := w.direct()
	for range 3 { // somebody else, by the login page
		r := must(http.NewRequestWithContext(t.Context(), "GET", myself, nil))(t)
		r.SetBasicAuth(jirasim.DefaultUsername, "guess")
		must(jira.RoundTrip(r))(t).Body.Close()
	}
	w.sim.Reset()
	r := w.call(client, "GET", myself, "")
	if code, _ := w.newest(); r.StatusCode != 403 || code != "captcha_required" || r.Header.Get("X-Authentication-Denied-Reason") == "" {
		t.Errorf("%d %v, recorded as %q", r.StatusCode, r.Header, code)
	}
	w.paused(client, myself, "CAPTCHA")

	w.sim.UnlockCaptcha(jirasim.DefaultUsername)
	if err := w.store.SetState(t.Context(), "dc", tokenstore.StateActive, ""); err != nil {
		t.Fatal(err)
	}
	if r := w.call(client, "GET", myself, ""); r.StatusCode != 200 {
		t.Errorf("after a person has logged in: %d %s", r.StatusCode, r.body)
	}
}

func TestRevokedPersonalAccessTokenPausesItsConnection(t *testing.T) {
	w := newWorld(t, change{})
	w.secrets = append(w.secrets, jirasim.DefaultPAT)
	w.addConnection(tokenstore.Connection{
		ID: "pat", Edition: policy.DataCenter, BaseURL: w.sim.DataCenterURL(), Region: tokenstore.RegionUS,
		CredentialKind: tokenstore.KindPAT, UpstreamCA: string(w.sim.CAPEM()),
	}, tokenstore.Credential{Kind: tokenstore.KindPAT, Token: secret.New(jirasim.DefaultPAT)})
	client, myself := w.client("reports", w.addClient("reports", "pat")), w.sim.DataCenterURL()+"/rest/api/2/myself"
	if r := w.call(client, "GET", myself, ""); r.StatusCode != 200 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	w.sim.RevokePAT(jirasim.DefaultPAT)
	r := w.call(client, "GET", myself, "")
	if code, _ := w.newest(); r.StatusCode != 401 || code != "credential_refused" {
		t.Errorf("%d, recorded as %q", r.StatusCode, code)
	}
	w.paused(client, myself, "personal access token")
}

// Data Center as an OAuth 2.0 provider: a token that Jira refuses is renewed
// as Cloud's is.
func TestDataCenterByOAuth2(t *testing.T) {
	w := newWorld(t, change{})
	w.repeated = 2 // the read, and the request for its token, which goes to the same Jira
	grant := w.sim.IssueDataCenterGrant()
	w.secrets = append(w.secrets, grant.AccessToken, grant.RefreshToken, jirasim.DefaultDCClientSecret)
	w.addConnection(tokenstore.Connection{
		ID: "linked", Edition: policy.DataCenter, BaseURL: w.sim.DataCenterURL(), Region: tokenstore.RegionUS,
		CredentialKind: tokenstore.KindOAuth2, UpstreamCA: string(w.sim.CAPEM()),
	}, tokenstore.Credential{
		Kind: tokenstore.KindOAuth2, AccessToken: secret.New(grant.AccessToken), RefreshToken: secret.New(grant.RefreshToken), Expiry: grant.Expiry,
		ClientID: jirasim.DefaultDCClientID, ClientSecret: secret.New(jirasim.DefaultDCClientSecret), RedirectURL: "https://gateway.example/oauth/callback",
	})
	client, base := w.client("reports", w.addClient("reports", "linked")), w.sim.DataCenterURL()+"/rest/api/2/"
	if r := w.call(client, "POST", base+"issue", createBody); r.StatusCode != 201 {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	w.sim.ExpireDataCenterAccessTokens()
	if r := w.call(client, "GET", base+"myself", ""); r.StatusCode != 200 {
		t.Errorf("after its token has ended: %d %s", r.StatusCode, r.body)
	}
	if stats := w.sim.DataCenterTokenStats(); stats.Refreshes != 1 {
		t.Errorf("%d refreshes", stats.Refreshes)
	}
	w.noteTokens("linked")
}

// An application link signs each call.
func TestDataCenterByApplicationLink(t *testing.T) {
	w := newWorld(t, change{})
	key := must(applink.NewKey())(t)
	if err := w.sim.RegisterConsumer("jiragate", must(applink.PublicKey(key))(t)); err != nil {
		t.Fatal(err)
	}
	token := must(w.sim.IssueLinkToken("jiragate"))(t)
	w.secrets = append(w.secrets, token, key.Reveal())
	w.addConnection(tokenstore.Connection{
		ID: "server", Edition: policy.DataCenter, BaseURL: w.sim.DataCenterURL(), Region: tokenstore.RegionUS,
		CredentialKind: tokenstore.KindOAuth1, UpstreamCA: string(w.sim.CAPEM()),
	}, tokenstore.Credential{Kind: tokenstore.KindOAuth1, ConsumerKey: "jiragate", PrivateKey: key, Token: secret.New(token)})
	client := w.client("reports", w.addClient("reports", "server"))
	for _, op := range documented[11:21] {
		r := w.call(client, op.method, w.url(op.url, ""), op.body)
		if r.StatusCode != 200 && r.StatusCode != 201 {
			t.Errorf("%s %s: %d %s", op.method, op.url, r.StatusCode, r.body)
		}
	}
	if got := w.records()[0].Credential; got != "oauth1" {
		t.Errorf("the record says %q", got)
	}
	myself := w.sim.DataCenterURL() + "/rest/api/2/myself"
	w.sim.RevokeLinkToken(token)
	r := w.call(client, "GET", myself, "")
	if code, _ := w.newest(); r.StatusCode != 401 || code != "credential_refused" {
		t.Errorf("%d, recorded as %q", r.StatusCode, code)
	}
	w.paused(client, myself, "application link")
}
