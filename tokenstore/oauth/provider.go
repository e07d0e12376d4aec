package oauth

import (
	"fmt"
	"time"

	"golang.org/x/oauth2"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// scopesAskedFor are the four of the integration with Cloud, and demanded of a
// consent: no fewer, no more.
func scopesAskedFor() []string {
	return []string{"read:jira-work", "write:jira-work", "read:jira-user", "offline_access"}
}

// dataCenterScope includes READ
// (https://confluence.atlassian.com/adminjiraserver101/jira-oauth-2-0-provider-api-1455427907.html).
const dataCenterScope = "WRITE"

// provider is an authorization server, and the client that one connection is to
// it: Atlassian, with the one app of all Cloud connections, or the Jira of a Data
// Center connection, where the gateway is an incoming application link.
type provider struct {
	party        string // who it is, in messages
	remedy       string // what to compare if it doesn't accept the client
	clientID     string
	clientSecret secret.Secret
	redirectURL  string
	endpoint     oauth2.Endpoint
	scopes       []string
	extra        []oauth2.AuthCodeOption // of the authorization request

	// json: token requests are JSON objects, as Atlassian documents, and not forms.
	json bool
	// repeatRedirect: a refresh names the redirect URL too. Jira answers
	// invalid_grant without it (https://mrrefactoring.github.io/jira.js,
	// refreshServerOAuth2Token).
	repeatRedirect bool
	// leeway is how long a refresh token that was replaced is accepted again; 0
	// where that isn't documented.
	leeway time.Duration
	life   life
}

// provider returns that of a connection. Without a client to be it is
// ErrNotConfigured.
func (m *Manager) provider(c *tokenstore.Connection, cred *tokenstore.Credential) (provider, error) {
	if c.Edition == policy.Cloud {
		if m.clientID == "" || m.clientSecret.Load().IsZero() {
			return provider{}, errMissingClient
		}
		return provider{
			party:  "Atlassian",
			remedy: "compare JIRAGATE_OAUTH_CLIENT_ID and JIRAGATE_OAUTH_CLIENT_SECRET_FILE with the app registered there",

			clientID: m.clientID, clientSecret: *m.clientSecret.Load(), redirectURL: m.redirectURL,
			endpoint: endpoint(m.authURL+"/authorize", m.authURL+"/oauth/token"),
			scopes:   scopesAskedFor(),
			extra: []oauth2.AuthCodeOption{
				oauth2.SetAuthURLParam("audience", "api.atlassian.com"), oauth2.SetAuthURLParam("prompt", "consent"),
			},
			json: true, leeway: cloudLeeway, life: life{idle: idleLife, absolute: cloudGrantLife},
		}, nil
	}
	if cred.ClientID == "" || cred.ClientSecret.IsZero() {
		return provider{}, errMissingLink
	}
	p := provider{
		party:  "Jira",
		remedy: "compare the client id and secret of the connection with those of the incoming application link in Jira",

		clientID: cred.ClientID, clientSecret: cred.ClientSecret, redirectURL: cred.RedirectURL,
		endpoint: endpoint(dataCenterURL(c, "authorize"), dataCenterURL(c, "token")),
		scopes:   []string{dataCenterScope},

		repeatRedirect: true, life: life{idle: idleLife},
	}
	if p.redirectURL == "" {
		p.redirectURL = m.redirectURL
	}
	return p, nil
}

func dataCenterURL(c *tokenstore.Connection, name string) string {
	return c.BaseURL + "/rest/oauth2/latest/" + name
}

func endpoint(authURL, tokenURL string) oauth2.Endpoint {
	return oauth2.Endpoint{
		AuthURL:  authURL,
		TokenURL: tokenURL,
		// Left to itself, x/oauth2 tries both styles, and sends a refresh token that
		// rotates twice.
		AuthStyle: oauth2.AuthStyleInParams,
	}
}

// config is p for x/oauth2. It holds the client secret in the clear.
func (p *provider) config() *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.clientID, ClientSecret: p.clientSecret.Reveal(),
		Endpoint: p.endpoint, RedirectURL: p.redirectURL, Scopes: p.scopes,
	}
}

func (p *provider) errRefusedClient() error {
	return fmt.Errorf("%w, %w by %s: %s", ErrNotConfigured, ErrClientRejected, p.party, p.remedy)
}

// errDeadGrant says what the end of a grant has to do with a refresh whose answer
// was lost, if it has: the note is that of its first attempt, of whichever gateway.
func (p *provider) errDeadGrant(claim *tokenstore.Claim, now time.Time) error {
	dead := fmt.Errorf("%w by %s (invalid_grant)", errDeadGrant, p.party)
	since := claim.Since.UTC().Format(time.RFC3339)
	switch {
	case claim.Stood && p.leeway == 0:
		return fmt.Errorf("%w: the answer to a refresh at %s was lost, and a token that was replaced is not accepted again", dead, since)
	case claim.Stood && now.Sub(claim.Since) > p.leeway:
		return fmt.Errorf("%w: the answer to a refresh at %s was lost for longer than the %s in which a token that was replaced is accepted again", dead, since, p.leeway)
	}
	return dead
}
