package tokenstore

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"jiragate/tokenstore/secret"
)

// Client is an internal service that may use the gateway, with its grants. It
// holds nothing secret: of its token only the digest is known.
type Client struct {
	// Name is chosen by the operator: [a-z0-9][a-z0-9._-]{0,62}. It never changes.
	Name string
	// TokenSHA256 is the SHA-256 of the client's token. All zero means that it has
	// none and identifies itself by certificate only.
	TokenSHA256 [sha256.Size]byte
	// CertificateSANs are the names in client certificates that stand for this
	// client: "dns:NAME" in lower case, or "uri:URI". "dns:" and its own name
	// always stands for it and need not be listed.
	CertificateSANs []string
	// Connections are the ids of the connections that the client may use, sorted
	// and without duplicates.
	Connections []string
	CreatedAt   time.Time
	// TokenRotatedAt is when the present token was set.
	TokenRotatedAt time.Time
}

// Granted reports whether the client may use the connection of that id. It
// counts on Connections being sorted, as a [Store] and a [Directory] return
// them; if they are not, it may say no, but never wrongly yes.
func (c *Client) Granted(connection string) bool {
	_, ok := slices.BinarySearch(c.Connections, connection)
	return ok
}

// tokenPrefix lets secret scanners recognise a client token that was committed
// or pasted somewhere.
const tokenPrefix = "jgc_"

// NewToken returns a new client token, 256 random bits as "jgc_" and base64url
// without padding, and its digest. Only the digest is to be stored.
func NewToken() (secret.Secret, [sha256.Size]byte) {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	token := tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	return secret.New(token), TokenSHA256(token)
}

// Made reports whether a token looks like one of [NewToken]: nobody guesses those.
func Made(token string) bool {
	random, ok := strings.CutPrefix(token, tokenPrefix)
	b, err := base64.RawURLEncoding.Strict().DecodeString(random)
	return ok && err == nil && len(b) == 32
}

// TokenSHA256 returns the digest under which a client token is stored and looked
// up. Tokens are long random values, so that a plain hash is enough, and finding
// them by digest tells by its timing nothing about any token.
func TokenSHA256(token string) [sha256.Size]byte {
	return sha256.Sum256([]byte(token))
}
