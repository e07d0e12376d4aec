package tokenstore

import (
	"crypto/sha256"
	"time"
)

// Rotation is the note that a refresh token was, or is about to be, sent to the
// authorization server. While it stands, the answer may be lost: the server may
// have replaced the token by one that nobody here knows.
type Rotation struct {
	Connection string
	// Generation is that of the credential whose refresh token was sent.
	Generation uint64
	// Since is when it was sent for the first time.
	Since time.Time
}

// Invitation lets whoever has its token consent for a connection. Of the token
// only the digest is stored.
type Invitation struct {
	Connection string
	// TokenSHA256 is the digest of the token in the link.
	TokenSHA256 [sha256.Size]byte
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// Announcement says which state of a connection the product was told of last.
type Announcement struct {
	Connection  string
	Incarnation uint64
	State       State
	Since       time.Time
}
