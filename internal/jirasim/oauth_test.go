package jirasim_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"jiragate/internal/jirasim"
)

// refresh presents a refresh token as Atlassian documents it.
func refresh(t *testing.T, sim *jirasim.Sim, client *http.Client, token string) answer {
	t.Helper()
	body, err := json.Marshal(map[string]string{
		"grant_type": "refresh_token", "client_id": jirasim.DefaultClientID, "client_secret": jirasim.DefaultClientSecret, "refresh_token": token,
	})
	if err != nil {
		t.Fatal(err)
	}
	return call(t, client, "POST", sim.AuthURL()+"/oauth/token", string(body))
}

func wantInvalidGrant(t *testing.T, a answer) {
	t.Helper()
	const want = `{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}`
	if a.status != 403 || a.body != want {
		t.Errorf("answer %d %s, want 403 %s", a.status, a.body, want)
	}
}

func wantMyself(t *testing.T, sim *jirasim.Sim, client *http.Client, token string, status int) {
	t.Helper()
	if a := call(t, client, "GET", cloudURL(sim, "/rest/api/3/myself"), "", bearer(token)); a.status != status {
		t.Errorf("myself answers %d, want %d: %s", a.status, status, a.body)
	}
}

func TestRefreshRotates(t *testing.T) {
	sim, client := start(t, jirasim.Options{TokenLifetime: 90 * time.Second})
	first := sim.IssueGrant()
	a := refresh(t, sim, client, first.RefreshToken)
	wantStatus(t, a, 200)
	next := a.json(t, "refresh_token").(string)
	if next == first.RefreshToken || a.json(t, "access_token") == first.AccessToken {
		t.Error("a token was not replaced")
	}
	if sim.RefreshTokenCurrent(first.RefreshToken) || !sim.RefreshTokenCurrent(next) {
		t.Error("the new refresh token is not the current one")
	}
	if got := a.json(t, "expires_in"); got != 90.0 {
		t.Errorf("expires_in %v, want 90", got)
	}
	if got := a.json(t, "scope"); got != strings.Join(jirasim.DefaultScopes(), " ") {
		t.Errorf("scope %v", got)
	}
	wantMyself(t, sim, client, a.json(t, "access_token").(string), 200)
	// Atlassian does not take back the access token of the old pair.
	wantMyself(t, sim, client, first.AccessToken, 200)
}

func TestReuseWithinTheLeewayIsForgiven(t *testing.T) {
	clock := newClock()
	sim, client := start(t, jirasim.Options{Now: clock.Now})
	first := sim.IssueGrant()
	lost := refresh(t, sim, client, first.RefreshToken).json(t, "refresh_token").(string)
	clock.advance(10 * time.Minute)
	a := refresh(t, sim, client, first.RefreshToken)
	wantStatus(t, a, 200)
	if !sim.RefreshTokenCurrent(a.json(t, "refresh_token").(string)) || sim.RefreshTokenCurrent(lost) {
		t.Error("the newest refresh token is not the current one")
	}
	if got := sim.TokenStats(); got.Refreshes != 2 || got.Reuses != 1 || got.Breaches != 0 {
		t.Errorf("stats %+v", got)
	}
}

func TestReuseAfterTheLeewayKillsTheFamily(t *testing.T) {
	for _, row := range []struct {
		name   string
		leeway time.Duration
		wait   time.Duration
	}{
		{"Atlassian's ten minutes", 0, 10*time.Minute + time.Second},
		{"leeway of its own", time.Second, 2 * time.Second},
		{"no leeway", -1, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			clock := newClock()
			sim, client := start(t, jirasim.Options{Now: clock.Now, ReuseLeeway: row.leeway})
			bystander := sim.IssueGrant()
			first := sim.IssueGrant()
			a := refresh(t, sim, client, first.RefreshToken)
			wantStatus(t, a, 200)
			clock.advance(row.wait)
			wantInvalidGrant(t, refresh(t, sim, client, first.RefreshToken))
			wantInvalidGrant(t, refresh(t, sim, client, a.json(t, "refresh_token").(string)))
			wantMyself(t, sim, client, a.json(t, "access_token").(string), 401)
			wantMyself(t, sim, client, bystander.AccessToken, 200)
			if got := sim.TokenStats(); got.Breaches != 1 || got.Refused != 2 {
				t.Errorf("stats %+v", got)
			}
		})
	}
}

// However tokens are presented, a living family has exactly one current refresh
// token, and a dead one none.
func TestAFamilyHasOneCurrentRefreshToken(t *testing.T) {
	clock := newClock()
	sim, client := start(t, jirasim.Options{Now: clock.Now})
	rapid.Check(t, func(rt *rapid.T) {
		tokens := []string{sim.IssueGrant().RefreshToken}
		alive := true
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			clock.advance(time.Duration(rapid.IntRange(0, 900).Draw(rt, "seconds")) * time.Second)
			a := refresh(t, sim, client, rapid.SampledFrom(tokens).Draw(rt, "token"))
			if a.status == 200 {
				if !alive {
					rt.Fatal("a dead family gave out tokens")
				}
				tokens = append(tokens, a.json(t, "refresh_token").(string))
			} else {
				alive = false
			}
			current := 0
			for _, token := range tokens {
				if sim.RefreshTokenCurrent(token) {
					current++
				}
			}
			if want := map[bool]int{true: 1, false: 0}[alive]; current != want {
				rt.Fatalf("%d current refresh tokens, want %d", current, want)
			}
		}
	})
}

func TestGrantsEnd(t *testing.T) {
	const day = 24 * time.Hour
	for _, row := range []struct {
		name string
		end  func(*testing.T, *jirasim.Sim, *http.Client, *clock, string) string
	}{
		{"unknown token", func(*testing.T, *jirasim.Sim, *http.Client, *clock, string) string { return "nonsense" }},
		{"revoked", func(t *testing.T, sim *jirasim.Sim, _ *http.Client, _ *clock, token string) string {
			if !sim.RevokeGrant(token) || sim.RevokeGrant("nonsense") {
				t.Error("RevokeGrant does not tell what it found")
			}
			return token
		}},
		{"idle for more than 90 days", func(_ *testing.T, _ *jirasim.Sim, _ *http.Client, c *clock, token string) string {
			c.advance(90*day + time.Second)
			return token
		}},
		{"older than 365 days although used", func(t *testing.T, sim *jirasim.Sim, client *http.Client, c *clock, token string) string {
			for range 5 {
				c.advance(73*day + time.Second)
				if a := refresh(t, sim, client, token); a.status == 200 {
					token = a.json(t, "refresh_token").(string)
				}
			}
			return token
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			clock := newClock()
			sim, client := start(t, jirasim.Options{Now: clock.Now})
			wantInvalidGrant(t, refresh(t, sim, client, row.end(t, sim, client, clock, sim.IssueGrant().RefreshToken)))
		})
	}
}

func TestAccessTokensExpire(t *testing.T) {
	clock := newClock()
	sim, client := start(t, jirasim.Options{Now: clock.Now})
	grant := sim.IssueGrant()
	wantMyself(t, sim, client, grant.AccessToken, 200)
	clock.advance(time.Hour)
	wantMyself(t, sim, client, grant.AccessToken, 401)

	grant = sim.IssueGrant()
	sim.ExpireAccessTokens()
	wantMyself(t, sim, client, grant.AccessToken, 401)
	wantStatus(t, refresh(t, sim, client, grant.RefreshToken), 200)
}

func TestTokenEndpointShapes(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	form := func(values ...string) string {
		q := url.Values{"client_id": {jirasim.DefaultClientID}, "client_secret": {jirasim.DefaultClientSecret}}
		for i := 0; i < len(values); i += 2 {
			q.Set(values[i], values[i+1])
		}
		return q.Encode()
	}
	asForm := header("Content-Type", "application/x-www-form-urlencoded")
	for _, row := range []struct {
		name   string
		method string
		body   string
		edit   edit
		status int
		err    any
	}{
		{"form", "POST", form("grant_type", "refresh_token", "refresh_token", sim.IssueGrant().RefreshToken), asForm, 200, nil},
		{"client in the header", "POST", "grant_type=refresh_token&refresh_token=" + sim.IssueGrant().RefreshToken,
			func(r *http.Request) { asForm(r); r.SetBasicAuth(jirasim.DefaultClientID, jirasim.DefaultClientSecret) }, 200, nil},
		{"wrong secret", "POST", form("grant_type", "refresh_token", "client_secret", "wrong"), asForm, 401, "invalid_client"},
		{"unknown client", "POST", form("grant_type", "refresh_token", "client_id", "wrong"), asForm, 401, "invalid_client"},
		{"other grant type", "POST", form("grant_type", "password"), asForm, 400, "unsupported_grant_type"},
		{"no content type", "POST", form("grant_type", "refresh_token"), header("Content-Type", ""), 400, "invalid_request"},
		{"broken JSON", "POST", `{"grant_type":`, header("Content-Type", "application/json"), 400, "invalid_request"},
		{"GET", "GET", "", asForm, 405, "invalid_request"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := call(t, client, row.method, sim.AuthURL()+"/oauth/token", row.body, row.edit)
			wantStatus(t, a, row.status)
			if got := a.json(t, "error"); got != row.err {
				t.Errorf("error %v, want %v", got, row.err)
			}
		})
	}
	if got := sim.TokenStats(); got.Requests != 7 || got.BadClient != 2 || got.Refreshes != 2 {
		t.Errorf("stats %+v", got)
	}
}

func TestWithoutOfflineAccessThereIsNoRefreshToken(t *testing.T) {
	sim, _ := start(t, jirasim.Options{})
	if grant := sim.IssueGrant("read:jira-user"); grant.RefreshToken != "" || grant.Scope != "read:jira-user" {
		t.Errorf("granted %+v", grant)
	}
}

func authorizeURL(sim *jirasim.Sim, edits ...string) string {
	q := url.Values{
		"audience": {"api.atlassian.com"}, "client_id": {jirasim.DefaultClientID}, "scope": {strings.Join(jirasim.DefaultScopes(), " ")},
		"redirect_uri": {"https://gateway.example/callback"}, "state": {"xyz & co"}, "response_type": {"code"}, "prompt": {"consent"},
	}
	for i := 0; i < len(edits); i += 2 {
		q.Set(edits[i], edits[i+1])
	}
	return sim.AuthURL() + "/authorize?" + q.Encode()
}

// callback returns the query with which the browser is sent back.
func callback(t *testing.T, a answer) url.Values {
	t.Helper()
	wantStatus(t, a, 302)
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || !strings.HasPrefix(u.String(), "https://gateway.example/callback?") {
		t.Fatalf("Location %q, %v", a.header.Get("Location"), err)
	}
	return u.Query()
}

func exchange(t *testing.T, sim *jirasim.Sim, client *http.Client, code string, extra ...string) answer {
	t.Helper()
	in := map[string]string{
		"grant_type": "authorization_code", "client_id": jirasim.DefaultClientID, "client_secret": jirasim.DefaultClientSecret,
		"code": code, "redirect_uri": "https://gateway.example/callback",
	}
	for i := 0; i < len(extra); i += 2 {
		in[extra[i]] = extra[i+1]
	}
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return call(t, client, "POST", sim.AuthURL()+"/oauth/token", string(body))
}

func TestConsentOnThePage(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	page := call(t, client, "GET", authorizeURL(sim, "state", `"><script>`), "")
	wantStatus(t, page, 200)
	if strings.Contains(page.body, "<script>") || !strings.Contains(page.body, "read:jira-work") {
		t.Errorf("consent page:\n%s", page.body)
	}
	post := func(decision string) url.Values {
		u, _ := url.Parse(authorizeURL(sim, "decision", decision))
		return callback(t, call(t, client, "POST", sim.AuthURL()+"/authorize", u.RawQuery, header("Content-Type", "application/x-www-form-urlencoded")))
	}
	if q := post("deny"); q.Get("error") != "access_denied" || q.Get("state") != "xyz & co" || q.Has("code") {
		t.Errorf("denied: %v", q)
	}
	q := post("accept")
	if q.Get("state") != "xyz & co" {
		t.Errorf("accepted: %v", q)
	}
	a := exchange(t, sim, client, q.Get("code"))
	wantStatus(t, a, 200)
	token := a.json(t, "access_token").(string)

	sites := call(t, client, "GET", sim.APIURL()+"/oauth/token/accessible-resources", "", bearer(token))
	wantStatus(t, sites, 200)
	if sites.json(t, 1, "id") != sim.CloudID() || sites.json(t, 1, "url") != sim.SiteURL() || sites.json(t, 0, "id") == sim.CloudID() {
		t.Errorf("accessible resources: %s", sites.body)
	}

	t.Run("a code is good once", func(t *testing.T) {
		if a := exchange(t, sim, client, q.Get("code")); a.status != 403 || a.json(t, "error") != "invalid_grant" {
			t.Errorf("second use: %d %s", a.status, a.body)
		}
		wantMyself(t, sim, client, token, 401)
	})
}

func TestConsentAutoApproved(t *testing.T) {
	clock := newClock()
	sim, client := start(t, jirasim.Options{AutoApprove: true, Now: clock.Now, RedirectURLs: []string{"https://gateway.example/callback"}})
	sum := sha256.Sum256([]byte("the verifier"))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	code := func(edits ...string) string {
		return callback(t, call(t, client, "GET", authorizeURL(sim, edits...), "")).Get("code")
	}
	pkce := []string{"code_challenge", challenge, "code_challenge_method", "S256"}

	wantStatus(t, exchange(t, sim, client, code()), 200)
	wantStatus(t, exchange(t, sim, client, code(pkce...), "code_verifier", "the verifier"), 200)
	wantStatus(t, exchange(t, sim, client, code(pkce...), "code_verifier", "another"), 403)
	wantStatus(t, exchange(t, sim, client, code(pkce...)), 403)
	wantStatus(t, exchange(t, sim, client, code(), "redirect_uri", "https://gateway.example/other"), 403)
	late := code()
	clock.advance(2 * time.Minute)
	wantStatus(t, exchange(t, sim, client, late), 403)

	for name, edits := range map[string][]string{
		"unknown client":        {"client_id", "nobody"},
		"callback not its own":  {"redirect_uri", "https://gateway.example/callback/"},
		"callback not absolute": {"redirect_uri", "/callback"},
		"callback of a script":  {"redirect_uri", "javascript:alert(1)"},
	} {
		if a := call(t, client, "GET", authorizeURL(sim, edits...), ""); a.status != 400 || a.header.Get("Location") != "" {
			t.Errorf("%s: %d, Location %q; want 400 and no redirect", name, a.status, a.header.Get("Location"))
		}
	}
	for problem, edits := range map[string][]string{
		"unsupported_response_type": {"response_type", "token"},
		"invalid_scope":             {"scope", " "},
		"invalid_request":           {"code_challenge_method", "S512"},
	} {
		if q := callback(t, call(t, client, "GET", authorizeURL(sim, edits...), "")); q.Get("error") != problem {
			t.Errorf("%s: %v", problem, q)
		}
	}
}

func TestTwoSeedsShareNoSecret(t *testing.T) {
	one, _ := start(t, jirasim.Options{Seed: "one"})
	two, _ := start(t, jirasim.Options{Seed: "two"})
	again, _ := start(t, jirasim.Options{Seed: "one"})
	a, b, c := one.IssueGrant(), two.IssueGrant(), again.IssueGrant()
	if a.AccessToken == b.AccessToken || a.RefreshToken == b.RefreshToken || a.AccessToken != c.AccessToken {
		t.Error(fmt.Sprint("tokens do not follow the seed: ", a, b, c))
	}
}
