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

	// Token is a personal access token (pat).
	Token secret.Secret

	// AccessToken, RefreshToken, Expiry and Scopes belong to oauth2 credentials.
	// One of the tokens may be empty. Expiry is the end of the access token; zero
	// means that it is not known.
	AccessToken  secret.Secret
	RefreshToken secret.Secret
	Expiry       time.Time
	Scopes       []string

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

// Limits of what is stored, in bytes. They are far above what Jira hands out
// (Atlassian's access tokens are JWTs of 2 to 4 KiB) and low enough that a
// header built from one value passes the header limits of common servers.
const (
	maxUsername = 255
	maxPassword = 4 << 10
	maxToken    = 16 << 10
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
		basic = c.Username != "" || !c.Password.IsZero()
		pat   = !c.Token.IsZero()
		oauth = !c.AccessToken.IsZero() || !c.RefreshToken.IsZero() || !c.Expiry.IsZero() || len(c.Scopes) > 0
	)
	switch c.Kind {
	case KindBasic:
		if pat || oauth {
			return errors.New("it has a user name and a password and nothing else")
		}
		if err := validUsername(c.Username); err != nil {
			return err
		}
		return validPassword(c.Password)
	case KindPAT:
		if basic || oauth {
			return errors.New("it has a token and nothing else")
		}
		if c.Token.IsZero() {
			return errors.New("the token is empty")
		}
		return validToken("token", c.Token)
	case KindOAuth2:
		if basic || pat {
			return errors.New("it has access and refresh token, expiry and scopes and nothing else")
		}
		if c.AccessToken.IsZero() && c.RefreshToken.IsZero() {
			return errors.New("both the access token and the refresh token are empty")
		}
		if err := validToken("access token", c.AccessToken); err != nil {
			return err
		}
		if err := validToken("refresh token", c.RefreshToken); err != nil {
			return err
		}
		return validScopes(c.Scopes)
	}
	return fmt.Errorf("the kind is unknown: use %q, %q or %q", KindOAuth2, KindBasic, KindPAT)
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
