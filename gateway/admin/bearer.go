package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync/atomic"

	"jiragate/tokenstore/secret"
)

// tokens are the tokens that the network face takes now.
type tokens struct {
	admin   atomic.Pointer[tokenDigest]
	metrics atomic.Pointer[tokenDigest] // for /metrics alone; nil where there is none
}

// tokenDigest is what is kept of a token.
type tokenDigest struct {
	sum  [sha256.Size]byte
	made bool // it is one of NewToken
}

// digestOf is nil for the zero value, which no token is.
func digestOf(token secret.Secret) *tokenDigest {
	if token.IsZero() {
		return nil
	}
	return &tokenDigest{sha256.Sum256([]byte(token.Reveal())), made(token)}
}

// match is what a request showed for a token.
type match struct {
	right       bool
	unguessable bool // right, and of the gateway's own making
}

// matches compares digests, so that neither the token's length nor a common prefix
// shows in the time it takes.
func (d *tokenDigest) matches(r *http.Request) match {
	fields := r.Header.Values("Authorization")
	if d == nil || len(fields) != 1 {
		return match{}
	}
	scheme, token, _ := strings.Cut(fields[0], " ")
	got := sha256.Sum256([]byte(token))
	same := subtle.ConstantTimeCompare(got[:], d.sum[:]) == 1
	right := same && token != "" && strings.EqualFold(scheme, "Bearer")
	return match{right, right && d.made}
}
