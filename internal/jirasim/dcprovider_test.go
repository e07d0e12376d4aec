package jirasim_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"jiragate/internal/jirasim"
)

const dcCallback = "https://gateway.example/callback"

// dcForm posts a form to one of the endpoints of Data Center's provider, with the
// client's credentials in it.
func dcForm(t *testing.T, sim *jirasim.Sim, client *http.Client, endpoint string, values ...string) answer {
	t.Helper()
	q := url.Values{"client_id": {jirasim.DefaultDCClientID}, "client_secret": {jirasim.DefaultDCClientSecret}}
	for i := 0; i < len(values); i += 2 {
		q.Set(values[i], values[i+1])
	}
	return call(t, client, "POST", sim.DataCenterURL()+"/rest/oauth2/latest/"+endpoint, q.Encode(),
		header("Content-Type", "application/x-www-form-urlencoded"))
}

func dcRefresh(t *testing.T, sim *jirasim.Sim, client *http.Client, token string) answer {
	t.Helper()
	return dcForm(t, sim, client, "token", "grant_type", "refresh_token", "refresh_token", token, "redirect_uri", dcCallback)
}

func dcAuthorizeURL(sim *jirasim.Sim, edits ...string) string {
	q := url.Values{
		"client_id": {jirasim.DefaultDCClientID}, "redirect_uri": {dcCallback}, "response_type": {"code"},
		"state": {"xyz & co"}, "scope": {"WRITE"},
	}
	for i := 0; i < len(edits); i += 2 {
		q.Set(edits[i], edits[i+1])
	}
	return sim.DataCenterURL() + "/rest/oauth2/latest/authorize?" + q.Encode()
}

func wantDCMyself(t *testing.T, sim *jirasim.Sim, client *http.Client, token string, status int) {
	t.Helper()
	if a := call(t, client, "GET", sim.DataCenterURL()+"/rest/api/2/myself", "", bearer(token)); a.status != status {
		t.Errorf("myself answers %d, want %d: %s", a.status, status, a.body)
	}
}

func wantDCError(t *testing.T, a answer, status int, code string) {
	t.Helper()
	if a.status != status || a.json(t, "error") != code {
		t.Errorf("answer %d %s, want %d %s", a.status, a.body, status, code)
	}
}

func TestDataCenterCodeGrant(t *testing.T) {
	clock := newClock()
	sim, client := start(t, jirasim.Options{AutoApprove: true, Now: clock.Now, DCRedirectURLs: []string{dcCallback}})
	sum := sha256.Sum256([]byte("the verifier"))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	code := func(edits ...string) string {
		q := callback(t, call(t, client, "GET", dcAuthorizeURL(sim, edits...), ""))
		if q.Get("state") != "xyz & co" {
			t.Errorf("callback %v", q)
		}
		return q.Get("code")
	}
	exchange := func(values ...string) answer {
		t.Helper()
		return dcForm(t, sim, client, "token", append([]string{"grant_type", "authorization_code", "redirect_uri", dcCallback}, values...)...)
	}
	pkce := []string{"code_challenge", challenge, "code_challenge_method", "S256"}

	a := exchange("code", code(pkce...), "code_verifier", "the verifier")
	wantStatus(t, a, 200)
	if a.json(t, "token_type") != "bearer" || a.json(t, "expires_in") != 7200.0 || a.json(t, "created_at") != float64(clock.Now().Unix()) || a.json(t, "scope") != nil {
		t.Errorf("answer %s", a.body)
	}
	access, refreshToken := a.json(t, "access_token").(string), a.json(t, "refresh_token").(string)
	wantDCMyself(t, sim, client, access, 200)
	// Data Center's tokens and Cloud's are not each other's.
	wantMyself(t, sim, client, access, 401)
	wantDCMyself(t, sim, client, sim.IssueGrant().AccessToken, 401)

	next := dcRefresh(t, sim, client, refreshToken)
	wantStatus(t, next, 200)
	wantDCMyself(t, sim, client, next.json(t, "access_token").(string), 200)

	wantStatus(t, exchange("code", code()), 200)
	plain := []string{"code_challenge", "as it is", "code_challenge_method", "plain"}
	wantStatus(t, exchange("code", code(plain...), "code_verifier", "as it is"), 200)
	wantDCError(t, exchange("code", code(pkce...), "code_verifier", "another"), 400, "invalid_grant")
	wantDCError(t, exchange("code", code(pkce...)), 400, "invalid_grant")
	wantDCError(t, exchange("code", code(), "redirect_uri", dcCallback+"/"), 400, "invalid_grant")
	late := code()
	clock.advance(11 * time.Second)
	wantDCError(t, exchange("code", late), 400, "invalid_grant")

	once := code()
	first := exchange("code", once)
	wantStatus(t, first, 200)
	wantDCError(t, exchange("code", once), 400, "invalid_grant")
	wantDCMyself(t, sim, client, first.json(t, "access_token").(string), 401)
}

func TestDataCenterAuthorizationRefused(t *testing.T) {
	sim, client := start(t, jirasim.Options{AutoApprove: true, DCRedirectURLs: []string{dcCallback}})
	for name, edits := range map[string][]string{
		"unknown client":       {"client_id", "nobody"},
		"Cloud's client":       {"client_id", jirasim.DefaultClientID},
		"callback not its own": {"redirect_uri", dcCallback + "?x=1"},
	} {
		if a := call(t, client, "GET", dcAuthorizeURL(sim, edits...), ""); a.status != 400 || a.header.Get("Location") != "" {
			t.Errorf("%s: %d, Location %q; want 400 and no redirect", name, a.status, a.header.Get("Location"))
		}
	}
	for name, row := range map[string]struct{ name, value, problem string }{
		"implicit":       {"response_type", "token", "unsupported_response_type"},
		"Cloud's scope":  {"scope", "read:jira-work", "invalid_scope"},
		"no scope":       {"scope", "", "invalid_scope"},
		"unknown method": {"code_challenge_method", "S512", "invalid_request"},
	} {
		if q := callback(t, call(t, client, "GET", dcAuthorizeURL(sim, row.name, row.value), "")); q.Get("error") != row.problem || q.Has("code") {
			t.Errorf("%s: %v", name, q)
		}
	}
}

func TestDataCenterRefreshRotates(t *testing.T) {
	for _, row := range []struct {
		name     string
		leeway   time.Duration
		wait     time.Duration
		forgiven bool
	}{
		{"at once", 0, 0, false},
		{"within a leeway", time.Minute, time.Minute, true},
		{"after a leeway", time.Minute, time.Minute + time.Second, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			clock := newClock()
			sim, client := start(t, jirasim.Options{Now: clock.Now, DCReuseLeeway: row.leeway})
			first := sim.IssueDataCenterGrant()
			a := dcRefresh(t, sim, client, first.RefreshToken)
			wantStatus(t, a, 200)
			next := a.json(t, "refresh_token").(string)
			if next == first.RefreshToken || sim.DataCenterRefreshTokenCurrent(first.RefreshToken) || !sim.DataCenterRefreshTokenCurrent(next) {
				t.Error("the refresh token was not replaced")
			}
			clock.advance(row.wait)
			again := dcRefresh(t, sim, client, first.RefreshToken)
			stats := sim.DataCenterTokenStats()
			if row.forgiven {
				wantStatus(t, again, 200)
				if stats.Reuses != 1 || stats.Breaches != 0 {
					t.Errorf("stats %+v", stats)
				}
				return
			}
			wantDCError(t, again, 400, "invalid_grant")
			wantDCError(t, dcRefresh(t, sim, client, next), 400, "invalid_grant")
			wantDCMyself(t, sim, client, a.json(t, "access_token").(string), 401)
			if stats.Breaches != 1 || stats.Refreshes != 1 {
				t.Errorf("stats %+v", stats)
			}
		})
	}
}

func TestDataCenterRefreshNamesTheRedirectURI(t *testing.T) {
	sim, client := start(t, jirasim.Options{AutoApprove: true, DCRedirectURLs: []string{dcCallback, dcCallback + "/2"}})
	code := callback(t, call(t, client, "GET", dcAuthorizeURL(sim), "")).Get("code")
	a := dcForm(t, sim, client, "token", "grant_type", "authorization_code", "redirect_uri", dcCallback, "code", code)
	wantStatus(t, a, 200)
	token := a.json(t, "refresh_token").(string)
	for _, uri := range []string{"", dcCallback + "/2", "https://evil.example/"} {
		wantDCError(t, dcForm(t, sim, client, "token", "grant_type", "refresh_token", "refresh_token", token, "redirect_uri", uri), 400, "invalid_grant")
	}
	// None of that used the token up.
	wantStatus(t, dcRefresh(t, sim, client, token), 200)
	// A grant that was given without a browser has no redirect URI of its own.
	issued := sim.IssueDataCenterGrant().RefreshToken
	wantDCError(t, dcForm(t, sim, client, "token", "grant_type", "refresh_token", "refresh_token", issued, "redirect_uri", "https://evil.example/"), 400, "invalid_grant")
	wantStatus(t, dcForm(t, sim, client, "token", "grant_type", "refresh_token", "refresh_token", issued, "redirect_uri", dcCallback+"/2"), 200)
}

func TestDataCenterTokenEndpointShapes(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	token := sim.IssueDataCenterGrant().RefreshToken
	wantDCError(t, dcForm(t, sim, client, "token", "grant_type", "refresh_token", "client_secret", "wrong"), 401, "invalid_client")
	wantDCError(t, dcForm(t, sim, client, "token", "grant_type", "refresh_token", "client_id", "wrong"), 401, "invalid_client")
	wantDCError(t, dcForm(t, sim, client, "token", "grant_type", "password"), 400, "unsupported_grant_type")
	wantDCError(t, dcRefresh(t, sim, client, "nonsense"), 400, "invalid_grant")
	asJSON := `{"grant_type":"refresh_token","client_id":"` + jirasim.DefaultDCClientID + `","client_secret":"` + jirasim.DefaultDCClientSecret +
		`","refresh_token":"` + token + `","redirect_uri":"` + dcCallback + `"}`
	wantStatus(t, call(t, client, "POST", sim.DataCenterURL()+"/rest/oauth2/latest/token", asJSON), 415)
	wantStatus(t, call(t, client, "GET", sim.DataCenterURL()+"/rest/oauth2/latest/token", ""), 404)
	wantStatus(t, dcRefresh(t, sim, client, token), 200)
	if got := sim.DataCenterTokenStats(); got.Requests != 5 || got.BadClient != 2 || got.Refreshes != 1 || got.Refused != 1 {
		t.Errorf("stats %+v", got)
	}
	if got := sim.TokenStats(); got.Requests != 0 {
		t.Errorf("Cloud's stats %+v", got)
	}
}

func TestDataCenterGrantsEnd(t *testing.T) {
	clock := newClock()
	sim, client := start(t, jirasim.Options{Now: clock.Now, DCTokenLifetime: time.Minute})
	grant := sim.IssueDataCenterGrant()
	wantDCMyself(t, sim, client, grant.AccessToken, 200)
	clock.advance(time.Minute)
	wantDCMyself(t, sim, client, grant.AccessToken, 401)

	grant = sim.IssueDataCenterGrant()
	sim.ExpireDataCenterAccessTokens()
	wantDCMyself(t, sim, client, grant.AccessToken, 401)
	wantDCMyself(t, sim, client, jirasim.DefaultPAT, 200)
	a := dcRefresh(t, sim, client, grant.RefreshToken)
	wantStatus(t, a, 200)

	// A year of use does not end it; three idle months do.
	token := a.json(t, "refresh_token").(string)
	for range 5 {
		clock.advance(89 * 24 * time.Hour)
		a := dcRefresh(t, sim, client, token)
		wantStatus(t, a, 200)
		token = a.json(t, "refresh_token").(string)
	}
	clock.advance(90*24*time.Hour + time.Second)
	wantDCError(t, dcRefresh(t, sim, client, token), 400, "invalid_grant")

	grant = sim.IssueDataCenterGrant()
	if !sim.RevokeDataCenterGrant(grant.AccessToken) || sim.RevokeDataCenterGrant("nonsense") || sim.RevokeGrant(grant.AccessToken) {
		t.Error("revoking does not tell what it found")
	}
	wantDCMyself(t, sim, client, grant.AccessToken, 401)
	wantDCError(t, dcRefresh(t, sim, client, grant.RefreshToken), 400, "invalid_grant")
}

func TestDataCenterRevocation(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	for _, kind := range []string{"access_token", "refresh_token"} {
		grant, bystander := sim.IssueDataCenterGrant(), sim.IssueDataCenterGrant()
		token := map[string]string{"access_token": grant.AccessToken, "refresh_token": grant.RefreshToken}[kind]
		wantDCError(t, dcForm(t, sim, client, "revoke", "token", token, "client_secret", "wrong"), 401, "invalid_client")
		wantDCMyself(t, sim, client, grant.AccessToken, 200)
		wantStatus(t, dcForm(t, sim, client, "revoke", "token", token, "token_type_hint", kind), 200)
		wantDCMyself(t, sim, client, grant.AccessToken, 401)
		wantDCError(t, dcRefresh(t, sim, client, grant.RefreshToken), 400, "invalid_grant")
		wantDCMyself(t, sim, client, bystander.AccessToken, 200)
	}
	wantStatus(t, dcForm(t, sim, client, "revoke", "token", "nonsense"), 200)
	wantDCError(t, dcForm(t, sim, client, "revoke"), 400, "invalid_request")
	if got := sim.DataCenterTokenStats().Revoked; got != 2 {
		t.Errorf("%d grants revoked, want 2", got)
	}
}

func TestDataCenterScopes(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	const body = `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10002"},"summary":"x"}}`
	for scope, status := range map[string]int{"READ": 403, "WRITE": 201, "ADMIN": 201} {
		token := bearer(sim.IssueDataCenterGrant(scope).AccessToken)
		wantStatus(t, call(t, client, "GET", sim.DataCenterURL()+"/rest/api/2/priority", "", token), 200)
		if a := call(t, client, "POST", sim.DataCenterURL()+"/rest/api/2/issue", body, token); a.status != status {
			t.Errorf("%s: %d, want %d", scope, a.status, status)
		}
	}
}

func TestConsentCanBeDecidedBeforehand(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	for _, target := range []string{authorizeURL(sim), dcAuthorizeURL(sim)} {
		sim.SetConsent(jirasim.ConsentPage)
		page := call(t, client, "GET", target, "")
		wantStatus(t, page, 200)
		sim.SetConsent(jirasim.ConsentDeny)
		if q := callback(t, call(t, client, "GET", target, "")); q.Get("error") != "access_denied" || q.Get("state") != "xyz & co" || q.Has("code") {
			t.Errorf("denied: %v", q)
		}
		sim.SetConsent(jirasim.ConsentApprove)
		if q := callback(t, call(t, client, "GET", target, "")); !q.Has("code") || q.Has("error") {
			t.Errorf("approved: %v", q)
		}
	}
}

func TestDataCenterConsentOnThePage(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	page := call(t, client, "GET", dcAuthorizeURL(sim, "state", `"><script>`), "")
	wantStatus(t, page, 200)
	action := `action="/jira/rest/oauth2/latest/authorize"`
	if strings.Contains(page.body, "<script>") || !strings.Contains(page.body, "WRITE") || !strings.Contains(page.body, action) {
		t.Errorf("consent page:\n%s", page.body)
	}
	for decision, want := range map[string]string{"accept": "code", "deny": "error"} {
		u, err := url.Parse(dcAuthorizeURL(sim, "decision", decision))
		if err != nil {
			t.Fatal(err)
		}
		a := call(t, client, "POST", sim.DataCenterURL()+"/rest/oauth2/latest/authorize", u.RawQuery, header("Content-Type", "application/x-www-form-urlencoded"))
		if q := callback(t, a); !q.Has(want) {
			t.Errorf("%s: %v", decision, q)
		}
	}
}
