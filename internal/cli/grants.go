package cli

import (
	"net/http"

	"jiragate/gateway"
	"jiragate/tokenstore"
	"jiragate/tokenstore/oauth"
)

// newGrants makes what keeps grants alive and asks for consents. o brings the
// store, the client secret, the way out, and where it reports to.
func newGrants(c Config, o oauth.Options) *oauth.Manager {
	o.AuthURL, o.APIURL = string(c.AtlassianAuthURL), string(c.AtlassianAPIURL)
	o.ClientID, o.RedirectURL = c.OAuthClientID, string(c.OAuthRedirectURL)
	o.Serves = func(connection *tokenstore.Connection) bool { return connection.Region == c.Region }
	return oauth.New(o)
}

// grants is for one request to an authorization server: they are an hour apart, so
// a kept connection would only be in the way.
func (w *wayOut) grants(c *tokenstore.Connection) http.RoundTripper {
	t, err := gateway.NewTransport(w.egress, c, w.roots.Load())
	if err != nil {
		return unusable{err}
	}
	t.DisableKeepAlives = true
	return t
}

// unusable is the transport of a connection whose CA certificates cannot be
// read.
type unusable struct{ err error }

func (t unusable) RoundTrip(*http.Request) (*http.Response, error) { return nil, t.err }
