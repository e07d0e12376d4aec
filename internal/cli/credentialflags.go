package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"jiragate/policy"
	"jiragate/tokenstore"
)

// authFlags say where a credential is.
type authFlags struct {
	method         string
	username       string
	secretFile     string
	oauthTokenFile string
	clientID       string
	consumerKey    string
}

func (f *authFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.oauthTokenFile, "oauth-token-file", "", "OAuth token file (Cloud), or - for standard input")
	flags.StringVar(&f.method, "auth", "", "basic, or pat: a personal access token (Data Center)")
	flags.StringVar(&f.username, "username", "", "user name, for --auth basic")
	flags.StringVar(&f.secretFile, "secret-file", "", "holds the password or the token, or - for standard input")
}

// addClientTo adds the flags of credentials that somebody consents to.
func (f *authFlags) addClientTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Lookup("auth").Usage = "basic, pat (personal access token), oauth2 or oauth1 (application link); Data Center"
	flags.Lookup("secret-file").Usage = "holds the password, the token, the client secret (oauth2) or, if you bring one, the private key (oauth1); - for standard input"
	flags.StringVar(&f.clientID, "client-id", "", "client id that Jira shows for its incoming link, for --auth oauth2")
	flags.StringVar(&f.consumerKey, "consumer-key", "", "consumer key of the application link, for --auth oauth1")
}

// any reports whether anything but the method is given.
func (f *authFlags) any() bool {
	return f.username != "" || f.secretFile != "" || f.clientID != "" || f.consumerKey != ""
}

// readNewCredential reads the credential of a new connection, or what is needed to
// ask for consent.
func (a *app) readNewCredential(edition policy.Edition, f authFlags) (tokenstore.Credential, error) {
	c := tokenstore.Credential{Kind: tokenstore.CredentialKind(f.method)}
	var err error
	switch {
	case f.oauthTokenFile != "":
		return a.readCredential(f)
	case edition == policy.Cloud:
		return tokenstore.Credential{Kind: tokenstore.KindOAuth2}, nil
	case c.Kind == tokenstore.KindOAuth2:
		if f.clientID == "" || f.secretFile == "" || f.username != "" || f.consumerKey != "" {
			return c, usage("--auth oauth2 needs --client-id and --secret-file, and nothing else")
		}
		c.ClientID = f.clientID
		c.ClientSecret, err = a.readSecret(f.secretFile)
		return c, err
	case c.Kind == tokenstore.KindOAuth1:
		if f.consumerKey == "" || f.username != "" || f.clientID != "" {
			return c, usage("--auth oauth1 needs --consumer-key, may have --secret-file, and nothing else")
		}
		c.ConsumerKey = f.consumerKey
		if f.secretFile != "" {
			c.PrivateKey, err = a.readSecret(f.secretFile)
		}
		return c, err
	case f.clientID != "" || f.consumerKey != "":
		return c, usage("--client-id belongs to --auth oauth2, --consumer-key to --auth oauth1")
	}
	return a.readCredential(f)
}

func (a *app) readCredential(f authFlags) (tokenstore.Credential, error) {
	var none tokenstore.Credential
	if f.oauthTokenFile != "" {
		if f.method != "" || f.username != "" || f.secretFile != "" {
			return none, usage("--oauth-token-file goes without --auth, --username and --secret-file")
		}
		b, err := a.readSecretFile(f.oauthTokenFile)
		if err != nil {
			return none, err
		}
		c, err := parseOAuthToken(b)
		if err != nil {
			return none, fmt.Errorf("OAuth token file %s: %w", f.oauthTokenFile, err)
		}
		if c.RefreshToken.IsZero() {
			a.warn(fmt.Sprintf("there is no refresh token: the connection works until %s and then needs a new credential", timeText(c.Expiry)))
		}
		return c, nil
	}
	c := tokenstore.Credential{Kind: tokenstore.CredentialKind(f.method), Username: f.username}
	switch {
	case f.method == "":
		return none, usage("a credential is needed: --oauth-token-file, or --auth with --secret-file")
	case c.Kind != tokenstore.KindBasic && c.Kind != tokenstore.KindPAT:
		return none, usage("--auth %q is unknown here: use basic or pat", f.method)
	case c.Kind == tokenstore.KindBasic && f.username == "":
		return none, usage("--auth basic needs --username")
	case c.Kind == tokenstore.KindPAT && f.username != "":
		return none, usage("--auth pat goes without --username")
	case f.secretFile == "":
		return none, usage("--auth %s needs --secret-file", f.method)
	}
	value, err := a.readSecret(f.secretFile)
	if err != nil {
		return none, err
	}
	if c.Kind == tokenstore.KindBasic {
		c.Password = value
	} else {
		c.Token = value
	}
	if err := c.Validate(); err != nil {
		return none, err
	}
	return c, nil
}
