package tokenstore

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"jiragate/tokenstore/secret"
)

// Credential is what is injected into the calls of a connection. Which fields
// are set depends on Kind. Its secrets print redacted.
type Credential struct {
	Kind CredentialKind

	// Username and Password belong to basic credentials.
	Username string
	Password secret.Secret

	// Token is a personal access token (pat), or the access token of an application
	// link (oauth1), which is empty until somebody has consented.
	Token secret.Secret

	// AccessToken, RefreshToken, Expiry and Scopes belong to oauth2 credentials.
	// One of the tokens may be empty, and both until somebody has consented. Expiry
	// is the end of the access token; zero means that it is not known.
	AccessToken  secret.Secret
	RefreshToken secret.Secret
	Expiry       time.Time
	Scopes       []string

	// ClientID, ClientSecret and RedirectURL are the OAuth 2.0 client that was
	// registered with one Data Center (oauth2). Cloud has one for all connections,
	// which is not stored with them.
	ClientID     string
	ClientSecret secret.Secret
	RedirectURL  string

	// ConsumerKey and PrivateKey, an RSA key in PEM, are the gateway's side of an
	// application link (oauth1).
	ConsumerKey string
	PrivateKey  secret.Secret

	// ConsentedAt is when a person consented; zero where that isn't known. LapsesAt
	// is when the refresh token lapses if it is not used until then, EndsAt when the
	// grant ends whatever is done; zero means that it doesn't, or that it isn't
	// known. They belong to oauth2 and oauth1.
	ConsentedAt time.Time
	LapsesAt    time.Time
	EndsAt      time.Time

	// Generation tells this credential from all others that the connection's id
	// ever had. The store sets it: its upper 32 bits are the connection's
	// incarnation, its lower 32 count the replacements since that began, from 1.
	Generation uint64
}

// rotationBits of a generation count replacements. At one each second they, and
// the incarnations in the other half, last for 136 years: nobody checks them for
// an overflow.
const rotationBits = 32

// FirstGeneration returns the generation of the first credential of an
// incarnation.
func FirstGeneration(incarnation uint64) uint64 { return incarnation<<rotationBits | 1 }

// Incarnation returns the incarnation that a generation belongs to.
func Incarnation(generation uint64) uint64 { return generation >> rotationBits }

// Incarnation returns that of the connection which the credential belongs to:
// see [Connection.Incarnation].
func (c *Credential) Incarnation() uint64 { return Incarnation(c.Generation) }

// Consented reports whether the credential holds what calls are authorised by,
// or only what is needed to ask for consent.
func (c *Credential) Consented() bool {
	switch c.Kind {
	case KindOAuth2:
		return !c.AccessToken.IsZero() || !c.RefreshToken.IsZero()
	case KindOAuth1:
		return !c.Token.IsZero()
	}
	return true
}

// How long before its end a grant is announced to end. A consent takes an
// administrator of the customer's; a refresh token lapses only where refreshing
// has failed for a long time.
const (
	endNotice   = 30 * 24 * time.Hour
	lapseNotice = 14 * 24 * time.Hour
)

// Ending returns why and when the credential will need a new consent, if that is
// soon: one line for people. It returns "" if nothing is due yet.
func (c *Credential) Ending(now time.Time) string {
	switch {
	case !c.EndsAt.IsZero() && !now.Before(c.EndsAt.Add(-endNotice)):
		return fmt.Sprintf("the grant ends at %s whatever is done: an administrator must consent anew before", c.EndsAt.UTC().Format(time.RFC3339))
	case !c.LapsesAt.IsZero() && !now.Before(c.LapsesAt.Add(-lapseNotice)):
		return fmt.Sprintf("the refresh token lapses at %s if it cannot be used until then", c.LapsesAt.UTC().Format(time.RFC3339))
	}
	return ""
}

// Limits of what is stored, in bytes. They are far above what Jira hands out
// (Atlassian's access tokens are JWTs of 2 to 4 KiB) and low enough that a
// header built from one value passes the header limits of common servers.
const (
	maxUsername = 255
	maxPassword = 4 << 10
	maxToken    = 16 << 10
	maxClientID = 255
	maxKey      = 16 << 10
)

// Validate reports what keeps the credential from being used: fields that its
// kind doesn't have or misses, and values that can't be sent in a header
// without being quoted or cut there. The error never quotes a secret.
func (c *Credential) Validate() error {
	if err := c.validateKind(); err != nil {
		return &invalidError{what: "credential of kind " + printable(string(c.Kind)), err: err}
	}
	return nil
}

func (c *Credential) validateKind() error {
	var (
		basic  = c.Username != "" || !c.Password.IsZero()
		token  = !c.Token.IsZero()
		oauth2 = !c.AccessToken.IsZero() || !c.RefreshToken.IsZero() || !c.Expiry.IsZero() || len(c.Scopes) > 0 ||
			c.ClientID != "" || !c.ClientSecret.IsZero() || c.RedirectURL != "" || !c.LapsesAt.IsZero()
		oauth1 = c.ConsumerKey != "" || !c.PrivateKey.IsZero()
		grant  = !c.ConsentedAt.IsZero() || !c.EndsAt.IsZero()
	)
	switch c.Kind {
	case KindBasic:
		if token || oauth2 || oauth1 || grant {
			return errors.New("it has a user name and a password and nothing else")
		}
		if err := validUsername(c.Username); err != nil {
			return err
		}
		return validPassword(c.Password)
	case KindPAT:
		if basic || oauth2 || oauth1 || grant {
			return errors.New("it has a token and nothing else")
		}
		if c.Token.IsZero() {
			return errors.New("the token is empty")
		}
		return validToken("token", c.Token)
	case KindOAuth2:
		if basic || token || oauth1 {
			return errors.New("it has access and refresh token, expiry, scopes, a client and the times of its grant, and nothing else")
		}
		return c.validateOAuth2()
	case KindOAuth1:
		if basic || oauth2 {
			return errors.New("it has a consumer key, a private key, a token and the times of its grant, and nothing else")
		}
		return c.validateOAuth1()
	}
	return fmt.Errorf("the kind is unknown: use %q, %q, %q or %q", KindOAuth2, KindOAuth1, KindBasic, KindPAT)
}

func (c *Credential) validateOAuth2() error {
	if err := validToken("access token", c.AccessToken); err != nil {
		return err
	}
	if err := validToken("refresh token", c.RefreshToken); err != nil {
		return err
	}
	if err := validScopes(c.Scopes); err != nil {
		return err
	}
	if !c.Consented() && (!c.Expiry.IsZero() || len(c.Scopes) > 0 || !c.ConsentedAt.IsZero() || !c.LapsesAt.IsZero() || !c.EndsAt.IsZero()) {
		return errors.New("both the access token and the refresh token are empty, but there is an expiry, a scope or the time of a grant")
	}
	if c.ClientID == "" && c.ClientSecret.IsZero() && c.RedirectURL == "" {
		return nil
	}
	if err := validClientID("client id", c.ClientID); err != nil {
		return err
	}
	// A public client of RFC 6749 section 2.1 has no secret, and Jira's has one.
	if c.ClientSecret.IsZero() {
		return errors.New("the client secret is empty")
	}
	if err := validToken("client secret", c.ClientSecret); err != nil {
		return err
	}
	if len(c.RedirectURL) > maxURL || !isText(c.RedirectURL) {
		return fmt.Errorf("the redirect URL is longer than %d bytes or not plain text", maxURL)
	}
	return nil
}

func (c *Credential) validateOAuth1() error {
	if err := validClientID("consumer key", c.ConsumerKey); err != nil {
		return err
	}
	switch key := c.PrivateKey.Reveal(); {
	case key == "":
		return errors.New("the private key is empty")
	case len(key) > maxKey:
		return fmt.Errorf("the private key is longer than %d bytes", maxKey)
	}
	return validToken("token", c.Token)
}

// validClientID accepts visible ASCII (RFC 6749 appendix A.1 has spaces too, which
// nobody uses).
func validClientID(name, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("the %s is empty", name)
	case len(s) > maxClientID:
		return fmt.Errorf("the %s is longer than %d bytes", name, maxClientID)
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("the %s contains something other than visible ASCII characters", name)
	}
	return nil
}

// validUsername follows RFC 7617 section 2: no colon, which would end it, and
// no control characters.
func validUsername(s string) error {
	switch {
	case s == "":
		return errors.New("the user name is empty")
	case len(s) > maxUsername:
		return fmt.Errorf("the user name is longer than %d bytes", maxUsername)
	case strings.Contains(s, ":"):
		return errors.New("the user name contains a colon, which basic authentication can't transport")
	case !isText(s):
		return errors.New("the user name contains control characters or is not UTF-8")
	}
	return nil
}

// validPassword follows RFC 7617 section 2: any text without control
// characters. A trailing line break is the usual mistake, from a file.
func validPassword(p secret.Secret) error {
	s := p.Reveal()
	switch {
	case s == "":
		return errors.New("the password is empty")
	case len(s) > maxPassword:
		return fmt.Errorf("the password is longer than %d bytes", maxPassword)
	case !isText(s):
		return errors.New("the password contains control characters (a line break at its end?) or is not UTF-8")
	}
	return nil
}

// validToken accepts visible ASCII, which includes what RFC 6750 section 2.1
// allows for a bearer token. An empty token passes.
func validToken(name string, t secret.Secret) error {
	s := t.Reveal()
	if len(s) > maxToken {
		return fmt.Errorf("the %s is longer than %d bytes", name, maxToken)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return fmt.Errorf("the %s contains something other than visible ASCII characters (a line break at its end?)", name)
		}
	}
	return nil
}

// isText reports whether s is UTF-8 without C0, C1 and DEL characters.
func isText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return false
		}
	}
	return true
}
