package signin_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/signin"
	"jiragate/tokenstore/secret"
)

func TestSignInByOIDC(t *testing.T) {
	p := newProvider(t)
	p.userInfo = map[string]any{"sub": "nobody asks, since the ID token has it all"}
	h := newHouse(t, p)
	b := h.browser(p.server.Certificate())

	const wanted = "/console/calls?decision=deny&from=2026-01-01"
	door := b.get(wanted)
	page := b.get(door.Header.Get("Location"))
	if page.StatusCode != http.StatusOK || page.page.To != wanted || page.page.Provider != strings.TrimPrefix(p.server.URL, "https://") || !page.page.Token || page.page.Code != "" {
		t.Fatalf("the sign-in page: %s %+v", page.Status, page.page)
	}
	done := b.get(b.leave(page.page.OIDC))
	if done.StatusCode != http.StatusSeeOther || done.Header.Get("Location") != wanted {
		t.Fatalf("the callback: %s %+v", done.Status, done.page)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
		if got := done.Header.Get(name); got != want {
			t.Errorf("the callback has %s: %q", name, got)
		}
	}
	if !b.signedIn() {
		t.Fatal("not signed in")
	}
	s := h.shown()
	if s.Caller.Actor.Name != "operator:oidc:ada@example.com" || s.Caller.Role != admin.RoleAdmin || s.Name != "Ada Lovelace" || !strings.HasPrefix(s.Caller.Addr, "127.0.0.1:") {
		t.Errorf("signed in as %+v", s)
	}
	if again := b.get(signin.Path + "?to=/console/x"); again.Header.Get("Location") != "/console/x" {
		t.Errorf("the sign-in page for somebody who is signed in: %s", again.Status)
	}
	out := b.post(signin.SignOutPath, signin.FieldCSRF, s.CSRF)
	if out.StatusCode != http.StatusSeeOther || b.signedIn() {
		t.Errorf("signed out: %s, still in: %v", out.Status, b.signedIn())
	}
	all := h.records()
	if written, _ := json.Marshal(all); h.said.String() != "" || strings.Contains(string(written), canary) || strings.Contains(string(written), "state") {
		t.Errorf("the log says %q, the records %s", h.said, written)
	}
	if len(all) != 2 || all[0].Operation != "admin.signin" || all[1].Operation != "admin.signout" {
		t.Fatalf("records %+v", all)
	}
	for _, r := range all {
		if r.Client != "operator:oidc:ada@example.com" || r.Decision != "allow" || r.Code != "" || r.Status != 303 || !strings.HasPrefix(r.ClientAddr, "127.0.0.1:") {
			t.Errorf("record %+v", r)
		}
	}
}

func TestWaysOfProviders(t *testing.T) {
	for name, change := range map[string]func(p *provider, o *signin.Options){
		"public client": func(p *provider, o *signin.Options) { p.public = true; o.Provider.ClientSecret = secret.Secret{} },
		"secret in the body": func(p *provider, _ *signin.Options) {
			p.document = map[string]any{"token_endpoint_auth_methods_supported": []string{"client_secret_post"}}
		},
		"no iss parameter": func(p *provider, _ *signin.Options) { p.callback = func(q url.Values) { q.Del("iss") } },
		"several audiences": func(p *provider, _ *signin.Options) {
			p.claims["aud"], p.claims["azp"] = []string{"other", clientID}, clientID
		},
		"roles inside of an object": func(p *provider, o *signin.Options) {
			p.claims["realm_access"], o.Provider.RolesClaim = map[string]any{"roles": []string{"jira-admins"}}, "realm_access.roles"
		},
		"a claim that is named by an URL": func(p *provider, o *signin.Options) {
			p.claims["https://example.com/roles"], o.Provider.RolesClaim = "jira-admins", "https://example.com/roles"
		},
		"most in the userinfo": func(p *provider, _ *signin.Options) {
			p.userInfo = p.claims
			p.claims = map[string]any{"sub": p.userInfo["sub"]}
		},
		"everybody": func(p *provider, o *signin.Options) {
			delete(p.claims, "roles")
			o.Provider.Roles = map[string]admin.Role{signin.Everybody: admin.RoleAdmin}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t)
			h := newHouse(t, p, func(o *signin.Options) { change(p, o) })
			b := h.browser(p.server.Certificate())
			if done := b.get(b.leave(signin.OIDCPath)); done.StatusCode != http.StatusSeeOther {
				t.Fatalf("%s %+v %s", done.Status, done.page, h.said)
			}
			if !b.signedIn() || h.shown().Caller.Role != admin.RoleAdmin || h.shown().Caller.Actor.Name != "operator:oidc:ada@example.com" {
				t.Errorf("signed in as %+v", h.shown())
			}
		})
	}
}

// TestAttacks holds what a provider, or somebody in between, may not get away with.
func TestAttacks(t *testing.T) {
	unsigned := func(claims map[string]any) string {
		body, _ := json.Marshal(claims)
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(body) + "."
	}
	claim := func(name string, value any) func(*provider) {
		return func(p *provider) { p.claims[name] = value }
	}
	query := func(f func(url.Values)) func(*provider) {
		return func(p *provider) { p.callback = f }
	}
	instead := func(path string, h http.HandlerFunc) func(*provider) {
		return func(p *provider) { p.answers[path] = h }
	}
	huge := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"keys":[],"canary":"` + strings.Repeat("x", 2<<20) + `"}`))
	}
	for _, test := range []struct {
		name   string
		change func(*provider)
		code   string
		reason string // in the log
	}{
		{"wrong state", query(func(q url.Values) { q.Set("state", strings.Repeat("A", 43)) }), signin.CodeStateUnknown, ""},
		{"no state", query(func(q url.Values) { q.Del("state") }), signin.CodeStateUnknown, ""},
		{"two states", query(func(q url.Values) { q.Add("state", "x") }), signin.CodeStateUnknown, ""},
		{"two codes", query(func(q url.Values) { q.Add("code", "x") }), signin.CodeStateUnknown, ""},
		{"iss of another", query(func(q url.Values) { q.Set("iss", "https://evil.example") }), signin.CodeIdentityInvalid, "(iss)"},
		{"iss is missing", func(p *provider) {
			p.document = map[string]any{"authorization_response_iss_parameter_supported": true}
			p.callback = func(q url.Values) { q.Del("iss") }
		}, signin.CodeIdentityInvalid, "(iss)"},
		{"the person says no", query(func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }), signin.CodeProviderRefused, "access_denied"},
		{"an error that is made up", query(func(q url.Values) { q.Del("code"); q.Set("error", "canary") }), signin.CodeProviderRefused, "without a standard code"},
		{"no code", query(func(q url.Values) { q.Del("code") }), signin.CodeProviderRefused, "no code"},
		{"a code that nobody gave", query(func(q url.Values) { q.Set("code", "canary-guessed") }), signin.CodeProviderRefused, "invalid_grant"},

		{"wrong nonce", claim("nonce", "canary"), signin.CodeIdentityInvalid, "nonce"},
		{"no nonce", claim("nonce", ""), signin.CodeIdentityInvalid, "nonce"},
		{"wrong aud", claim("aud", "canary"), signin.CodeIdentityInvalid, "(aud)"},
		{"wrong iss", claim("iss", "https://canary.example"), signin.CodeIdentityInvalid, "(iss)"},
		{"wrong azp", claim("azp", "canary"), signin.CodeIdentityInvalid, "(azp)"},
		{"azp is no text", claim("azp", []string{clientID}), signin.CodeIdentityInvalid, "(azp)"},
		{"several audiences, no azp", claim("aud", []string{clientID, "canary"}), signin.CodeIdentityInvalid, "(azp)"},
		{"expired", claim("exp", time.Now().Add(-time.Minute).Unix()), signin.CodeIdentityInvalid, "expired"},
		{"no exp", claim("exp", nil), signin.CodeIdentityInvalid, "can't be read"},
		{"not valid yet", claim("nbf", time.Now().Add(time.Hour).Unix()), signin.CodeIdentityInvalid, "(nbf)"},
		{"no sub", claim("sub", ""), signin.CodeIdentityInvalid, "sub"},
		{"long sub", claim("sub", strings.Repeat("s", 256)), signin.CodeIdentityInvalid, "sub"},
		{"not signed", func(p *provider) { p.sign = unsigned }, signin.CodeIdentityInvalid, "algorithm"},
		{"signed by the client secret", func(p *provider) {
			p.sign = func(c map[string]any) string { return p.signed(jose.HS256, []byte(clientSecret), p.kid, c) }
		}, signin.CodeIdentityInvalid, "algorithm"},
		{"signed by a foreign key", func(p *provider) {
			key := newKey(p.t)
			p.sign = func(c map[string]any) string { return p.signed(jose.ES256, key, p.kid, c) }
		}, signin.CodeIdentityInvalid, "not signed by a key"},
		{"no token at all", func(p *provider) { p.sign = func(map[string]any) string { return "canary" } }, signin.CodeIdentityInvalid, "can't be read"},
		{"no ID token", instead("/token", func(w http.ResponseWriter, _ *http.Request) {
			reply(w, map[string]any{"access_token": accessToken})
		}), signin.CodeIdentityInvalid, "no ID token"},
		{"the secret is wrong", instead("/token", func(w http.ResponseWriter, _ *http.Request) { refuse(w, "invalid_client") }), signin.CodeProviderUnavailable, "invalid_client"},
		{"an error that tells too much", instead("/token", func(w http.ResponseWriter, _ *http.Request) { refuse(w, "canary") }), signin.CodeProviderUnavailable, "status 400"},
		{"the token endpoint redirects", instead("/token", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}), signin.CodeProviderUnavailable, "status 307"},
		{"huge keys", instead("/keys", huge), signin.CodeIdentityInvalid, "no answer"},
		{"huge token answer", instead("/token", huge), signin.CodeProviderUnavailable, "1 MiB"},
		{"the keys aren't there", instead("/keys", http.NotFound), signin.CodeIdentityInvalid, "no answer"},

		{"userinfo of somebody else", func(p *provider) {
			delete(p.claims, "roles")
			p.userInfo = map[string]any{"sub": "canary", "roles": "jira-admins"}
		}, signin.CodeIdentityInvalid, "userinfo"},
		{"userinfo fails", func(p *provider) {
			delete(p.claims, "roles")
			p.userInfo = map[string]any{}
			p.answers["/userinfo"] = http.NotFound
		}, signin.CodeProviderUnavailable, "userinfo"},
		{"no roles", func(p *provider) { delete(p.claims, "roles") }, signin.CodeNoRole, ""},
		{"others' roles", claim("roles", []any{"jira-admin", "JIRA-ADMINS", "*", "", 1, nil, map[string]any{"jira-admins": 1}}), signin.CodeNoRole, ""},
		{"roles in one text", claim("roles", "staff jira-admins"), signin.CodeNoRole, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(t)
			test.change(p)
			h := newHouse(t, p)
			b := h.browser(p.server.Certificate())
			done := b.get(b.leave(signin.OIDCPath + "?to=/console/policy"))
			if done.page.Code != test.code || done.StatusCode != done.page.Status || done.StatusCode < 400 || done.page.Problem == "" || done.page.Hint == "" {
				t.Fatalf("%s %+v", done.Status, done.page)
			}
			if b.signedIn() {
				t.Fatal("signed in")
			}
			if test.code != signin.CodeStateUnknown && done.page.To != "/console/policy" {
				t.Errorf("the page leads to %s", done.page.To)
			}
			if said := h.said.String(); !strings.Contains(said, test.reason) || !strings.Contains(said, "code="+test.code) {
				t.Errorf("the log says %s", said)
			}
			all := h.records()
			if len(all) != 1 || all[0].Operation != "admin.signin" || all[0].Decision != "deny" || all[0].Code != test.code {
				t.Fatalf("records %+v", all)
			}
			who := "operator:unknown"
			if test.code == signin.CodeNoRole {
				who = "operator:oidc:ada@example.com"
			}
			if all[0].Client != who {
				t.Errorf("the record is about %q", all[0].Client)
			}
			written, _ := json.Marshal(all)
			if strings.Contains(h.said.String()+string(written)+done.body, canary) {
				t.Errorf("a secret shows in\n%s\n%s\n%s", h.said, written, done.body)
			}
		})
	}
}

func TestStateIsForOneBrowserOnce(t *testing.T) {
	p := newProvider(t)
	h := newHouse(t, p)
	ada, eve := h.browser(p.server.Certificate()), h.browser(p.server.Certificate())

	// Eve gives Ada a link that would sign Ada in as Eve, or brings what she has seen
	// of Ada's.
	eves := eve.leave(signin.OIDCPath)
	ada.get(signin.Path) // Ada's browser has a cookie of its own
	if a := ada.get(eves); a.page.Code != signin.CodeStateUnknown || ada.signedIn() {
		t.Errorf("Eve's callback in Ada's browser: %s %+v", a.Status, a.page)
	}
	if a := eve.get(eves); a.page.Code != signin.CodeStateUnknown {
		t.Errorf("it was used up: %s", a.Status)
	}
	adas := ada.leave(signin.OIDCPath)
	if a := h.browser().get(adas); a.page.Code != signin.CodeStateUnknown {
		t.Errorf("Ada's callback in a browser without cookies: %s", a.Status)
	}
	adas = ada.leave(signin.OIDCPath)
	first := ada.get(adas)
	if first.StatusCode != http.StatusSeeOther || !ada.signedIn() {
		t.Fatalf("Ada's own: %s", first.Status)
	}
	if a := ada.get(adas); a.page.Code != signin.CodeStateUnknown {
		t.Errorf("a second time: %s", a.Status)
	}

	// A code that was used, with a state of its own that is good.
	used, _ := url.Parse(adas)
	fresh, _ := url.Parse(ada.leave(signin.OIDCPath))
	q := fresh.Query()
	q.Set("code", used.Query().Get("code"))
	fresh.RawQuery = q.Encode()
	if a := ada.get(fresh.String()); a.page.Code != signin.CodeProviderRefused {
		t.Errorf("a used code: %s %+v", a.Status, a.page)
	}

	// A code that Eve got for herself, in Ada's browser: the verifier doesn't fit.
	eves = eve.leave(signin.OIDCPath)
	stolen, _ := url.Parse(eves)
	fresh, _ = url.Parse(ada.leave(signin.OIDCPath))
	q.Set("state", fresh.Query().Get("state"))
	q.Set("code", stolen.Query().Get("code"))
	fresh.RawQuery = q.Encode()
	if a := ada.get(fresh.String()); a.page.Code != signin.CodeProviderRefused {
		t.Errorf("an injected code: %s %+v", a.Status, a.page)
	}
}

func TestStateIsGoodForTenMinutes(t *testing.T) {
	for after, want := range map[time.Duration]int{9 * time.Minute: http.StatusSeeOther, 10 * time.Minute: http.StatusForbidden} {
		p := newProvider(t)
		p.claims["exp"] = time.Now().Add(time.Hour).Unix()
		h := newHouse(t, p)
		b := h.browser(p.server.Certificate())
		back := b.leave(signin.OIDCPath)
		h.clock.advance(after)
		if a := b.get(back); a.StatusCode != want {
			t.Errorf("after %s: %s %+v", after, a.Status, a.page)
		}
	}
}

func TestHeadUsesNoStateUp(t *testing.T) {
	p := newProvider(t)
	h := newHouse(t, p)
	b := h.browser(p.server.Certificate())
	back := b.leave(signin.OIDCPath)
	req, _ := http.NewRequest(http.MethodHead, back, nil)
	if a := b.do(req); a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("HEAD: %s", a.Status)
	}
	if a := b.get(back); a.StatusCode != http.StatusSeeOther {
		t.Errorf("GET: %s", a.Status)
	}
}

// The gateway starts without its provider, and asks it again at each sign-in until
// there is an answer; then it knows.
func TestProviderThatIsDown(t *testing.T) {
	p := newProvider(t)
	h := newHouse(t, p)
	b := h.browser(p.server.Certificate())
	const document = "/.well-known/openid-configuration"
	if p.requests(document) != 0 {
		t.Error("the provider was asked before anybody signed in")
	}
	p.answers[document] = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "canary", http.StatusServiceUnavailable) }
	a := b.get(signin.OIDCPath + "?to=/console/policy")
	if a.page.Code != signin.CodeProviderUnavailable || a.page.To != "/console/policy" || a.StatusCode != http.StatusBadGateway {
		t.Fatalf("%s %+v", a.Status, a.page)
	}
	if strings.Contains(h.said.String()+a.body, canary) {
		t.Errorf("what the provider said is quoted: %s %s", h.said, a.body)
	}
	delete(p.answers, document)
	for range 3 {
		b.leave(signin.OIDCPath)
	}
	if n := p.requests(document); n != 2 {
		t.Errorf("the provider was asked %d times what it is", n)
	}
	h.clock.advance(2 * time.Hour)
	b.leave(signin.OIDCPath)
	if n := p.requests(document); n != 3 {
		t.Errorf("after hours, the provider was asked %d times what it is", n)
	}
}

func TestDiscoveryIsNotTakenOnTrust(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*provider, *signin.Options)
		reason string
	}{
		"another issuer": {func(p *provider, _ *signin.Options) { p.document = map[string]any{"issuer": "https://evil.example"} }, "evil.example"},
		"token endpoint http": {func(p *provider, _ *signin.Options) {
			p.document = map[string]any{"token_endpoint": "http://evil.example/token"}
		}, "token_endpoint"},
		"keys without https": {func(p *provider, _ *signin.Options) { p.document = map[string]any{"jwks_uri": "http://192.0.2.1/keys"} }, "jwks_uri"},
		"pages that are code": {func(p *provider, _ *signin.Options) {
			p.document = map[string]any{"authorization_endpoint": "javascript:alert(1)"}
		}, "authorization_endpoint"},
		"userinfo elsewhere": {func(p *provider, _ *signin.Options) {
			p.document = map[string]any{"userinfo_endpoint": "ftp://evil.example"}
		}, "userinfo_endpoint"},
		"unknown authority": {func(_ *provider, o *signin.Options) { o.Provider.Roots = x509.NewCertPool() }, "certificate"},
		"nobody listens":    {func(p *provider, _ *signin.Options) { p.server.Close() }, "can't be connected to"},
		"huge":              {func(p *provider, _ *signin.Options) { p.document = map[string]any{"x": strings.Repeat("x", 2<<20)} }, "1 MiB"},
		"redirect": {func(p *provider, _ *signin.Options) {
			p.answers["/.well-known/openid-configuration"] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) }
		}, "is an error"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t)
			h := newHouse(t, p, func(o *signin.Options) { test.change(p, o) })
			a := h.browser().get(signin.OIDCPath)
			if a.page.Code != signin.CodeProviderUnavailable || !strings.Contains(h.said.String(), test.reason) {
				t.Errorf("%s %+v, the log says %s", a.Status, a.page, h.said)
			}
		})
	}
}

// Keys that a provider has changed are fetched when a token has a new one.
func TestProviderChangesItsKey(t *testing.T) {
	p := newProvider(t)
	h := newHouse(t, p)
	for _, kid := range []string{"first", "second"} {
		p.key, p.kid = newKey(t), kid
		b := h.browser(p.server.Certificate())
		if a := b.get(b.leave(signin.OIDCPath)); a.StatusCode != http.StatusSeeOther {
			t.Errorf("with the %s key: %s %s", kid, a.Status, h.said)
		}
	}
}

// Strangers who try tokens keep nobody's refusal out of the records whom the provider
// knows.
func TestCrowdsHideNobody(t *testing.T) {
	p := newProvider(t)
	p.claims["roles"] = "none"
	h := newHouse(t, p)
	b := h.browser(p.server.Certificate())
	b.token("wrong")
	b.token("wrong")
	b.get(b.leave(signin.OIDCPath))
	all := h.records()
	if len(all) != 2 || all[0].Client != "operator:unknown" || all[1].Client != "operator:oidc:ada@example.com" || all[1].Code != signin.CodeNoRole {
		t.Errorf("records %+v", all)
	}
}
