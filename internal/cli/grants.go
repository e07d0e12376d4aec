package cli

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"

	"jiragate/gateway"
	"jiragate/gateway/egress"
	"jiragate/tokenstore"
	"jiragate/tokenstore/oauth"
	"jiragate/tokenstore/secret"
)

// newGrants makes what keeps grants alive and asks for consents. o brings the
// store, the client secret, the way out, and where it reports to.
func newGrants(c Config, o oauth.Options) *oauth.Manager {
	o.AuthURL, o.APIURL = string(c.AtlassianAuthURL), string(c.AtlassianAPIURL)
	o.ClientID, o.RedirectURL = c.OAuthClientID, string(c.OAuthRedirectURL)
	o.Serves = func(connection *tokenstore.Connection) bool { return connection.Region == c.Region }
	return oauth.New(o)
}

// grantTransport is for one request to an authorization server: they are an
// hour apart, so a kept connection would only be in the way.
func grantTransport(e *egress.Egress, c *tokenstore.Connection, roots *x509.CertPool) http.RoundTripper {
	t, err := gateway.NewTransport(e, c, roots)
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

// readSettingSecret reads the file that a variable names, without line breaks at
// its end; nothing where it names none.
func readSettingSecret(variable, file string) (secret.Secret, error) {
	if file == "" {
		return secret.Secret{}, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("%s%s: %w", envPrefix, variable, err)
	}
	s := secret.New(strings.TrimRight(string(b), "\r\n"))
	if s.IsZero() {
		return s, fmt.Errorf("%s%s: %s is empty", envPrefix, variable, file)
	}
	return s, nil
}
