package consent

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

const (
	// tokenBytes is the length of each random value here.
	tokenBytes = 32
	// invitationPrefix lets secret scanners recognise a link that was pasted
	// somewhere.
	invitationPrefix = "jgi_"
	// invitationMark stands between a connection's id, which can't have one, and the
	// token.
	invitationMark = "~"
	// maxInvitation is more than an id of 63 characters and a token need.
	maxInvitation = 128
)

// NewInvitation makes an invitation to consent for a connection, to be stored, and
// the link that is good for it until it expires. The link is secret: it goes to the
// customer, and isn't kept. redirectURL is the one of [Options].
func NewInvitation(redirectURL, connection string, expires time.Time) (tokenstore.Invitation, secret.Secret) {
	token := invitationPrefix + randomToken()
	link := strings.TrimSuffix(redirectURL, lastElement) + "start?invitation=" + connection + invitationMark + token
	return tokenstore.Invitation{
		Connection:  connection,
		TokenSHA256: sha256.Sum256([]byte(token)),
		ExpiresAt:   expires,
	}, secret.New(link)
}

// parseInvitation splits what a link holds. What it accepts has the form of an
// invitation; whether it is one, the store knows.
func parseInvitation(s string) (connection string, token [sha256.Size]byte, ok bool) {
	if len(s) > maxInvitation {
		return "", token, false
	}
	connection, t, found := strings.Cut(s, invitationMark)
	random, prefixed := strings.CutPrefix(t, invitationPrefix)
	if !found || !prefixed || !isToken(random) || tokenstore.ValidConnectionID(connection) != nil {
		return "", token, false
	}
	return connection, sha256.Sum256([]byte(t)), true
}

// randomToken returns 256 random bits in base64url.
func randomToken() string {
	var b [tokenBytes]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// isToken reports whether s has the form of a randomToken.
func isToken(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == tokenBytes && base64.RawURLEncoding.EncodeToString(b) == s
}
