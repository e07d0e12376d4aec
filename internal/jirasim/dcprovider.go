package jirasim

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Data Center as an OAuth 2.0 provider, which is what an incoming application link
// of Jira 8.22 and later makes it
// (https://confluence.atlassian.com/adminjiraserver101/jira-oauth-2-0-provider-api-1455427907.html).
//
// Not in that documentation, and therefore simulated on the strict side: that a
// refresh must repeat the redirect URI (https://mrrefactoring.github.io/jira.js,
// refreshServerOAuth2Token), that a replaced refresh token is no good at once, and
// that a READ token which changes something is answered with 403.

const dcProviderPath = "/rest/oauth2/latest/"

const (
	// dcCodeLifetime is the default of atlassian.oauth2.provider.max.client.delay.seconds
	// as Atlassian documents it for its other products.
	dcCodeLifetime = 10 * time.Second
	// dcIdleLimit is the default of atlassian.oauth2.provider.refresh.token.expiration.seconds.
	// Each refresh gives a new token, so it is counted from the last one. No limit
	// to the life of a grant that is in use is known.
	dcIdleLimit = 90 * 24 * time.Hour
)

func newDataCenterProvider(o Options) *provider {
	leeway := o.DCReuseLeeway
	if leeway == 0 {
		leeway = -1
	}
	return &provider{
		grants: newGrants(o, grantRules{
			prefix: "dc-", code: dcCodeLifetime, access: o.DCTokenLifetime, leeway: leeway, idle: dcIdleLimit, bound: true,
		}),
		clientID: o.DCClientID, clientSecret: o.DCClientSecret, redirectURLs: o.DCRedirectURLs,
		page: o.ContextPath + dcProviderPath + "authorize", site: "this Jira",
		scopesKnown: []string{"READ", "WRITE", "ADMIN", "SYSTEM_ADMIN"},
	}
}

// serveProvider answers what is below /rest/oauth2/latest/. The consent page
// stands where Jira redirects to one that asks for a login first.
func (s *Sim) serveProvider(c *call) reply {
	form, formErr := url.ParseQuery(string(c.body))
	mediaType, _, _ := mime.ParseMediaType(c.header.Get("Content-Type"))
	isForm := formErr == nil && mediaType == "application/x-www-form-urlencoded"
	endpoint := c.path[len(dcProviderPath):]
	switch {
	case endpoint == "authorize" && c.method == http.MethodGet:
		return s.authorize(c, s.dcOAuth, c.query)
	case c.method != http.MethodPost || !slices.Contains([]string{"authorize", "token", "revoke"}, endpoint):
		return noRoute(nil)
	case !isForm:
		return failure(http.StatusUnsupportedMediaType, "HTTP 415 Unsupported Media Type")
	case endpoint == "token":
		return s.dcOAuth.dataCenterToken(c, form)
	case endpoint == "revoke":
		return s.dcOAuth.dataCenterRevoke(c, form)
	}
	return s.dcOAuth.consented(c, form)
}

// dataCenterToken is the token endpoint. It takes nothing but a form, with the
// client's credentials in it, and names no scopes in its answer.
func (a *provider) dataCenterToken(c *call, form url.Values) reply {
	a.note(func(t *TokenStats) { t.Requests++ })
	if p := a.refuseClient(form); p != nil {
		return *p
	}
	var tokens Tokens
	var err error
	switch form.Get("grant_type") {
	case "authorization_code":
		tokens, err = a.exchange(form.Get("code"), form.Get("redirect_uri"), form.Get("code_verifier"))
	case "refresh_token":
		redirectURI := form.Get("redirect_uri")
		if len(a.redirectURLs) > 0 && !slices.Contains(a.redirectURLs, redirectURI) {
			redirectURI = ""
		}
		tokens, err = a.rotate(form.Get("refresh_token"), redirectURI)
	default:
		return oauthFailure(http.StatusBadRequest, "unsupported_grant_type", "The grant type is not supported.")
	}
	if err != nil {
		return oauthFailure(http.StatusBadRequest, "invalid_grant", err.Error())
	}
	c.accepted = true
	return tokenReply(obj{
		"access_token":  tokens.AccessToken,
		"refresh_token": tokens.RefreshToken,
		"token_type":    "bearer",
		"expires_in":    int(a.rules.access.Seconds()),
		"created_at":    a.now().Unix(),
	})
}

// dataCenterRevoke is the revocation endpoint (RFC 7009): a token of either kind
// ends the grant, and one that is unknown is no error. Atlassian's page on the
// provider does not tell of it. Its existence and form are known from the names
// in Atlassian's provider plugin only, and were not tried against a Jira.
func (a *provider) dataCenterRevoke(c *call, form url.Values) reply {
	if p := a.refuseClient(form); p != nil {
		return *p
	}
	if form.Get("token") == "" {
		return oauthFailure(http.StatusBadRequest, "invalid_request", "There is no token.")
	}
	c.accepted = true
	if a.revoke(form.Get("token")) {
		a.note(func(t *TokenStats) { t.Revoked++ })
	}
	return empty(http.StatusOK)
}

func (a *provider) refuseClient(form url.Values) *reply {
	if form.Get("client_id") == a.clientID && form.Get("client_secret") == a.clientSecret {
		return nil
	}
	a.note(func(t *TokenStats) { t.BadClient++ })
	return new(oauthFailure(http.StatusUnauthorized, "invalid_client", "Unknown client or wrong client secret."))
}

// mayChange says whether a grant's scopes go beyond reading.
func mayChange(scopes []string) bool {
	return slices.ContainsFunc(scopes, func(scope string) bool { return scope != "READ" })
}
