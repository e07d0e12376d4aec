package gateway_test

import (
	"testing"
	"time"

	"jiragate/gateway"
	"jiragate/internal/jirasim"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

const createBody = `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10001"},"summary":"Retro"}}`

// sent are the requests that reached Jira itself.
func (w *world) sent() (n int) {
	for _, r := range w.sim.Requests() {
		if r.Origin != jirasim.AuthServer {
			n++
		}
	}
	return n
}

// newest is the record of the last call.
func (w *world) newest() (code string, status int) {
	w.t.Helper()
	all := w.records()
	last := all[len(all)-1]
	return last.Code, last.Status
}

// noteToken adds the tokens that a connection has by now to the leak check.
func (w *world) noteTokens(connection string) {
	w.t.Helper()
	c := must(w.store.Credential(w.t.Context(), connection))(w.t)
	w.secrets = append(w.secrets, c.AccessToken.Reveal(), c.RefreshToken.Reveal())
}

// Jira may end an access token before its time. A read then goes on with a new
// one; a write is not sent again, but the next one has the new token.
func TestTokenRefusedByJira(t *testing.T) {
	t.Run("a read is repeated", func(t *testing.T) {
		w := newWorld(t, change{})
		w.repeated = 1
		w.sim.ExpireAccessTokens()
		if r := w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", ""); r.StatusCode != 200 {
			t.Errorf("%d %s", r.StatusCode, r.body)
		}
		if code, status := w.newest(); code != "" || status != 200 || len(w.records()) != 1 {
			t.Errorf("%d records, the last %q %d", len(w.records()), code, status)
		}
		if stats := w.sim.TokenStats(); stats.Requests != 1 || w.sent() != 2 {
			t.Errorf("%d token requests, %d calls", stats.Requests, w.sent())
		}
		w.noteTokens("acme")
	})
	t.Run("a write is not", func(t *testing.T) {
		w := newWorld(t, change{})
		w.sim.ExpireAccessTokens()
		client := w.billing()
		r := w.call(client, "POST", w.sim.SiteURL()+"/rest/api/3/issue", createBody)
		if code, _ := w.newest(); r.StatusCode != 401 || code != "credential_refused" || r.problem.Code != "" {
			t.Errorf("%d %s, recorded as %q", r.StatusCode, r.body, code)
		}
		if got := r.Header.Get("Proxy-Status"); got != `jiragate; received-status=401; details="credential_refused"` {
			t.Errorf("Proxy-Status %s", got)
		}
		if w.sent() != 1 {
			t.Errorf("the write was sent %d times", w.sent())
		}
		if r := w.call(client, "POST", w.sim.SiteURL()+"/rest/api/3/issue", createBody); r.StatusCode != 201 {
			t.Errorf("the next write: %d %s", r.StatusCode, r.body)
		}
		if stats := w.sim.TokenStats(); stats.Requests != 1 {
			t.Errorf("%d token requests", stats.Requests)
		}
		w.noteTokens("acme")
	})
	t.Run("again and again", func(t *testing.T) {
		w := newWorld(t, change{})
		w.repeated = 1
		defer w.sim.Fault(jirasim.Fault{Kind: jirasim.ErrorStatus, Status: 401, Origin: jirasim.CloudAPI})()
		client := w.billing()
		for range 5 {
			if r := w.call(client, "GET", w.sim.SiteURL()+"/rest/api/3/myself", ""); r.StatusCode != 401 {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
			if code, _ := w.newest(); code != "credential_refused" {
				t.Errorf("recorded as %q", code)
			}
		}
		// One refresh and one more try of the first read; the others learn from it.
		if stats := w.sim.TokenStats(); stats.Requests != 1 || w.sent() != 6 {
			t.Errorf("%d token requests, %d calls", stats.Requests, w.sent())
		}
		w.noteTokens("acme")
	})
	t.Run("the grant is gone", func(t *testing.T) {
		w := newWorld(t, change{})
		w.sim.RevokeGrant(w.secrets[0])
		client := w.billing()
		r := w.call(client, "GET", w.sim.SiteURL()+"/rest/api/3/myself", "")
		if r.StatusCode != 502 || r.problem.Code != "credential_needs_reauthorisation" {
			t.Errorf("%d %s", r.StatusCode, r.body)
		}
		c, _ := w.store.Directory().Connection("acme")
		if c.State != tokenstore.StateNeedsReauthorisation {
			t.Errorf("the connection is %s", c.State)
		}
		if r := w.call(client, "GET", w.sim.SiteURL()+"/rest/api/3/myself", ""); r.problem.Code != "credential_needs_reauthorisation" || w.sent() != 1 {
			t.Errorf("%d %s, %d calls", r.StatusCode, r.body, w.sent())
		}
	})
}

// A missing scope looks like a bad token at Jira, and no refresh mends it.
func TestMissingScope(t *testing.T) {
	narrow := func(w *world, scopes []string) *world {
		grant := w.sim.IssueGrant("read:jira-work", "read:jira-user", "offline_access")
		w.secrets = append(w.secrets, grant.AccessToken, grant.RefreshToken)
		present := must(w.store.Credential(w.t.Context(), "acme"))(w.t)
		err := w.store.ReplaceCredential(w.t.Context(), "acme", present.Generation, tokenstore.Credential{
			Kind: tokenstore.KindOAuth2, AccessToken: secret.New(grant.AccessToken), RefreshToken: secret.New(grant.RefreshToken),
			Expiry: time.Now().Add(time.Hour), Scopes: scopes,
		})
		if err != nil {
			w.t.Fatal(err)
		}
		return w
	}
	t.Run("known here", func(t *testing.T) {
		w := narrow(newWorld(t, change{}), []string{"read:jira-work", "read:jira-user", "offline_access"})
		r := w.call(w.billing(), "POST", w.sim.SiteURL()+"/rest/api/3/issue", createBody)
		if r.StatusCode != 403 || r.problem.Code != "scope_not_granted" {
			t.Errorf("%d %s", r.StatusCode, r.body)
		}
		w.nothingSent()
		e := must(gateway.Explain(w.store.Directory(), w.rules, tokenstore.RegionUS, w.sim.APIURL(),
			gateway.Question{Method: "POST", URL: w.sim.SiteURL() + "/rest/api/3/issue"}))(t)
		if e.Decision != "deny" || e.Code != "scope_not_granted" || e.Operation != "issue.create" {
			t.Errorf("explained as %+v", e)
		}
		if r := w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", ""); r.StatusCode != 200 {
			t.Errorf("what is granted: %d %s", r.StatusCode, r.body)
		}
	})
	t.Run("known to Jira only", func(t *testing.T) {
		w := narrow(newWorld(t, change{}), nil)
		r := w.call(w.billing(), "POST", w.sim.SiteURL()+"/rest/api/3/issue", createBody)
		if code, _ := w.newest(); r.StatusCode != 401 || code != "upstream_scope_refused" {
			t.Errorf("%d %s, recorded as %q", r.StatusCode, r.body, code)
		}
		if stats := w.sim.TokenStats(); stats.Requests != 0 {
			t.Errorf("%d token requests", stats.Requests)
		}
	})
}
