package jirasim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// How long a grant of Atlassian's lasts, as its staff state it for rotating
// refresh tokens (community.developer.atlassian.com/t/54172).
const (
	cloudIdleLimit     = 90 * 24 * time.Hour
	cloudAbsoluteLimit = 365 * 24 * time.Hour
	cloudCodeLifetime  = time.Minute // not published; short, to be strict
)

// provider is an OAuth 2.0 authorization server with its one client: Atlassian's,
// or the one inside Data Center.
type provider struct {
	*grants
	clientID, clientSecret string
	redirectURLs           []string // none: any
	page                   string   // path of the consent page
	site                   string   // what the consent page asks access to
	scopesKnown            []string // nil: any
}

func newCloudProvider(o Options) *provider {
	return &provider{
		grants: newGrants(o, grantRules{
			code: cloudCodeLifetime, access: o.TokenLifetime, leeway: o.ReuseLeeway,
			idle: cloudIdleLimit, absolute: cloudAbsoluteLimit, offline: "offline_access",
		}),
		clientID: o.ClientID, clientSecret: o.ClientSecret, redirectURLs: o.RedirectURLs,
		page: "/authorize", site: o.SiteURL,
	}
}

// serveAuth is Cloud's authorization server, auth.atlassian.com.
func (s *Sim) serveAuth(c *call) reply {
	switch {
	case c.path == "/authorize" && c.method == http.MethodGet:
		return s.authorize(c, s.oauth, c.query)
	case c.path == "/authorize" && c.method == http.MethodPost:
		form, _ := url.ParseQuery(string(c.body))
		return s.oauth.consented(c, form)
	case c.path == "/oauth/token" && c.method == http.MethodPost:
		return s.token(c)
	case c.path == "/oauth/token":
		p := oauthFailure(http.StatusMethodNotAllowed, "invalid_request", "Use POST.")
		p.header.Set("Allow", http.MethodPost)
		return p
	}
	return htmlReply(http.StatusNotFound, "Not found", "<h1>Not found</h1>")
}

// authorize shows the consent page, or decides at once if [Sim.SetConsent] says so
// (https://developer.atlassian.com/cloud/jira/software/oauth-2-3lo-apps/).
func (s *Sim) authorize(c *call, a *provider, q url.Values) reply {
	if p := a.badAuthorization(q); p != nil {
		return *p
	}
	if d := s.decision(); d != "" {
		q.Set("decision", d)
		return a.consented(c, q)
	}
	var hidden strings.Builder
	for _, name := range []string{"client_id", "scope", "redirect_uri", "state", "response_type", "code_challenge", "code_challenge_method"} {
		fmt.Fprintf(&hidden, `<input type="hidden" name="%s" value="%s">`, name, html.EscapeString(q.Get(name)))
	}
	var scopes strings.Builder
	for _, scope := range strings.Fields(q.Get("scope")) {
		fmt.Fprintf(&scopes, "<li><code>%s</code></li>", html.EscapeString(scope))
	}
	p := htmlReply(http.StatusOK, "Authorise app (simulated)", fmt.Sprintf(
		`<h1>An app asks for access to your Atlassian account</h1><p>Use app on <b>%s</b></p><ul>%s</ul>`+
			`<form method="post" action="%s">%s<button name="decision" value="accept">Accept</button> <button name="decision" value="deny">Cancel</button></form>`,
		html.EscapeString(a.site), scopes.String(), html.EscapeString(a.page), hidden.String()))
	p.header.Set("Cache-Control", "no-store")
	return p
}

// badAuthorization refuses what must not be answered by a redirect, for the
// redirect itself cannot be trusted, and answers the rest by one (RFC 6749
// section 4.1.2.1).
func (a *provider) badAuthorization(q url.Values) *reply {
	redirect, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case q.Get("client_id") != a.clientID:
		return new(htmlReply(http.StatusBadRequest, "Something went wrong", "<p>Unknown client_id.</p>"))
	case err != nil || redirect.Host == "" || redirect.Fragment != "" || redirect.Scheme != "https" && redirect.Scheme != "http",
		len(a.redirectURLs) > 0 && !slices.Contains(a.redirectURLs, q.Get("redirect_uri")):
		return new(htmlReply(http.StatusBadRequest, "Something went wrong", "<p>redirect_uri is not registered for client.</p>"))
	case q.Get("response_type") != "code":
		return new(authorizationRedirect(q, url.Values{"error": {"unsupported_response_type"}}))
	case !a.knowsScopes(strings.Fields(q.Get("scope"))):
		return new(authorizationRedirect(q, url.Values{"error": {"invalid_scope"}}))
	case !slices.Contains([]string{"", "plain", "S256"}, q.Get("code_challenge_method")):
		return new(authorizationRedirect(q, url.Values{"error": {"invalid_request"}, "error_description": {"Unknown code_challenge_method"}}))
	}
	return nil
}

// knowsScopes says whether a consent can be given to scopes.
func (a *provider) knowsScopes(scopes []string) bool {
	for _, scope := range scopes {
		if a.scopesKnown != nil && !slices.Contains(a.scopesKnown, scope) {
			return false
		}
	}
	return len(scopes) > 0
}

// consented carries out the decision of whoever sees the consent page. The page's
// form can be sent by anybody, so it is checked like the request that led to it.
func (a *provider) consented(c *call, form url.Values) reply {
	if p := a.badAuthorization(form); p != nil {
		return *p
	}
	if form.Get("decision") != "accept" {
		return authorizationRedirect(form, url.Values{"error": {"access_denied"}, "error_description": {"User did not authorize the request"}})
	}
	c.accepted = true
	method := form.Get("code_challenge_method")
	code := a.authorise(authorisation{
		scopes:      strings.Fields(form.Get("scope")),
		redirectURI: form.Get("redirect_uri"),
		challenge:   form.Get("code_challenge"),
		method:      method,
	})
	return authorizationRedirect(form, url.Values{"code": {code}})
}

// authorizationRedirect sends the browser back to the application.
func authorizationRedirect(q, answer url.Values) reply {
	target, err := url.Parse(q.Get("redirect_uri"))
	if err != nil {
		return htmlReply(http.StatusBadRequest, "Something went wrong", "<p>redirect_uri is malformed.</p>")
	}
	values := target.Query()
	for name := range answer {
		values.Set(name, answer.Get(name))
	}
	if q.Has("state") {
		values.Set("state", q.Get("state"))
	}
	target.RawQuery = values.Encode()
	return redirectReply(http.StatusFound, target.String())
}

// token is the token endpoint. It takes JSON, as Atlassian documents, and the
// form of RFC 6749.
func (s *Sim) token(c *call) reply {
	s.oauth.note(func(t *TokenStats) { t.Requests++ })
	in, ok := tokenRequest(c)
	if !ok {
		return oauthFailure(http.StatusBadRequest, "invalid_request", "The body must be JSON or a form.")
	}
	id, secret := in["client_id"], in["client_secret"]
	if user, password, ok := basicAuth(c.header); ok {
		// RFC 6749 section 2.3.1 has both form-encoded first.
		id, _ = url.QueryUnescape(user)
		secret, _ = url.QueryUnescape(password)
	}
	if id != s.oauth.clientID || secret != s.oauth.clientSecret {
		s.oauth.note(func(t *TokenStats) { t.BadClient++ })
		return oauthFailure(http.StatusUnauthorized, "invalid_client", "Unknown client or wrong client secret.")
	}

	var tokens Tokens
	var err error
	switch in["grant_type"] {
	case "authorization_code":
		tokens, err = s.oauth.exchange(in["code"], in["redirect_uri"], in["code_verifier"])
	case "refresh_token":
		tokens, err = s.oauth.rotate(in["refresh_token"], "")
	default:
		return oauthFailure(http.StatusBadRequest, "unsupported_grant_type", "Unsupported grant type: "+in["grant_type"])
	}
	if err != nil {
		return oauthFailure(http.StatusForbidden, "invalid_grant", err.Error())
	}
	c.accepted = true
	out := obj{
		"access_token": tokens.AccessToken,
		"expires_in":   int(s.o.TokenLifetime.Seconds()),
		"scope":        tokens.Scope,
		"token_type":   "Bearer",
	}
	if tokens.RefreshToken != "" {
		out["refresh_token"] = tokens.RefreshToken
	}
	return tokenReply(out)
}

// tokenReply is an answer with tokens in it (RFC 6749 section 5.1).
func tokenReply(out obj) reply {
	p := jsonReply(http.StatusOK, out)
	p.header.Set("Cache-Control", "no-store")
	p.header.Set("Pragma", "no-cache")
	return p
}

func tokenRequest(c *call) (map[string]string, bool) {
	mediaType, _, err := mime.ParseMediaType(c.header.Get("Content-Type"))
	if err != nil {
		return nil, false
	}
	in := make(map[string]string)
	switch mediaType {
	case "application/json":
		return in, json.NewDecoder(bytes.NewReader(c.body)).Decode(&in) == nil
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(c.body))
		for name := range form {
			in[name] = form.Get(name)
		}
		return in, err == nil
	}
	return nil, false
}

// basicAuth reads the credentials of RFC 7617.
func basicAuth(h http.Header) (user, password string, ok bool) {
	return (&http.Request{Header: h}).BasicAuth()
}
