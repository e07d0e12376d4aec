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
)

// serveAuth is the authorization server, auth.atlassian.com.
func (s *Sim) serveAuth(c *call) reply {
	switch {
	case c.path == "/authorize" && c.method == http.MethodGet:
		return s.authorize(c, c.query)
	case c.path == "/authorize" && c.method == http.MethodPost:
		form, _ := url.ParseQuery(string(c.body))
		return s.consented(c, form)
	case c.path == "/oauth/token" && c.method == http.MethodPost:
		return s.token(c)
	case c.path == "/oauth/token":
		p := oauthFailure(http.StatusMethodNotAllowed, "invalid_request", "Use POST.")
		p.header.Set("Allow", http.MethodPost)
		return p
	}
	return htmlReply(http.StatusNotFound, "Not found", "<h1>Not found</h1>")
}

// authorize shows the consent page, or agrees at once under AutoApprove
// (https://developer.atlassian.com/cloud/jira/software/oauth-2-3lo-apps/).
func (s *Sim) authorize(c *call, q url.Values) reply {
	if p := s.badAuthorization(q); p != nil {
		return *p
	}
	if s.o.AutoApprove {
		q.Set("decision", "accept")
		return s.consented(c, q)
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
			`<form method="post" action="/authorize">%s<button name="decision" value="accept">Accept</button> <button name="decision" value="deny">Cancel</button></form>`,
		html.EscapeString(s.o.SiteURL), scopes.String(), hidden.String()))
	p.header.Set("Cache-Control", "no-store")
	return p
}

// badAuthorization refuses what must not be answered by a redirect, for the
// redirect itself cannot be trusted, and answers the rest by one (RFC 6749
// section 4.1.2.1).
func (s *Sim) badAuthorization(q url.Values) *reply {
	redirect, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case q.Get("client_id") != s.o.ClientID:
		return new(htmlReply(http.StatusBadRequest, "Something went wrong", "<p>Unknown client_id.</p>"))
	case err != nil || redirect.Host == "" || redirect.Fragment != "" || redirect.Scheme != "https" && redirect.Scheme != "http",
		len(s.o.RedirectURLs) > 0 && !slices.Contains(s.o.RedirectURLs, q.Get("redirect_uri")):
		return new(htmlReply(http.StatusBadRequest, "Something went wrong", "<p>redirect_uri is not registered for client.</p>"))
	case q.Get("response_type") != "code":
		return new(authorizationRedirect(q, url.Values{"error": {"unsupported_response_type"}}))
	case strings.TrimSpace(q.Get("scope")) == "":
		return new(authorizationRedirect(q, url.Values{"error": {"invalid_scope"}}))
	case !slices.Contains([]string{"", "plain", "S256"}, q.Get("code_challenge_method")):
		return new(authorizationRedirect(q, url.Values{"error": {"invalid_request"}, "error_description": {"Unknown code_challenge_method"}}))
	}
	return nil
}

// consented is the decision of whoever sees the consent page.
func (s *Sim) consented(c *call, form url.Values) reply {
	if p := s.badAuthorization(form); p != nil {
		return *p
	}
	if form.Get("decision") != "accept" {
		return authorizationRedirect(form, url.Values{"error": {"access_denied"}, "error_description": {"User did not authorize the request"}})
	}
	c.accepted = true
	method := form.Get("code_challenge_method")
	code := s.oauth.authorise(consent{
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
	s.oauth.mu.Lock()
	s.oauth.stats.Requests++
	s.oauth.mu.Unlock()

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
	if id != s.o.ClientID || secret != s.o.ClientSecret {
		s.oauth.mu.Lock()
		s.oauth.stats.BadClient++
		s.oauth.mu.Unlock()
		return oauthFailure(http.StatusUnauthorized, "invalid_client", "Unknown client or wrong client secret.")
	}

	var tokens Tokens
	var err error
	switch in["grant_type"] {
	case "authorization_code":
		tokens, err = s.oauth.exchange(in["code"], in["redirect_uri"], in["code_verifier"])
	case "refresh_token":
		tokens, err = s.oauth.rotate(in["refresh_token"])
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
