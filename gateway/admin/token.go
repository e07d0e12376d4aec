package admin

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	"jiragate/tokenstore/secret"
)

// MinToken and MaxToken bound a token that somebody brings, in characters.
// The upper one keeps a Proxy-Authorization field well inside the limits of
// proxies and clients.
const (
	MinToken = 32
	MaxToken = 512
)

// NewToken makes a bearer token for the admin API: 256 random bits, as "jga_"
// and base64url. The prefix lets secret scanners recognise it. Tokens of
// clients are made by tokenstore.NewToken.
func NewToken() secret.Secret {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return secret.New(tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:]))
}

const tokenPrefix = "jga_"

// made reports whether t looks like one of NewToken: nobody guesses those.
func made(t secret.Secret) bool {
	random, ok := strings.CutPrefix(t.Reveal(), tokenPrefix)
	b, err := base64.RawURLEncoding.Strict().DecodeString(random)
	return ok && err == nil && len(b) == 32
}

// CheckToken says whether t can serve as a token: MinToken to MaxToken
// characters, each visible ASCII, so that it fits a header field as it is
// (RFC 9110 section 5.5). The error does not quote it.
func CheckToken(t secret.Secret) error {
	s := t.Reveal()
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return fmt.Errorf("the token has a character at position %d that cannot stand in a header: use visible ASCII without spaces", i+1)
		}
	}
	if len(s) < MinToken || len(s) > MaxToken {
		return fmt.Errorf("the token has %d characters: use %d to %d", len(s), MinToken, MaxToken)
	}
	return nil
}
