package records

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"time"

	"jiragate/tokenstore"
)

type invitationRecord struct {
	Connection  string    `json:"connection"`
	TokenSHA256 string    `json:"token_sha256"` // hex
	CreatedAt   time.Time `json:"created_at"`
	ExpiresAt   time.Time `json:"expires_at"`
}

func newInvitationRecord(i *tokenstore.Invitation) *invitationRecord {
	return &invitationRecord{
		Connection:  i.Connection,
		TokenSHA256: hex.EncodeToString(i.TokenSHA256[:]),
		CreatedAt:   utc(i.CreatedAt),
		ExpiresAt:   utc(i.ExpiresAt),
	}
}

func decodeInvitation(key, value []byte) (tokenstore.Invitation, error) {
	var r invitationRecord
	if err := decode(value, &r); err != nil {
		return tokenstore.Invitation{}, corruptf("invitation of connection %q: %v", key, err)
	}
	if r.Connection != string(key) {
		return tokenstore.Invitation{}, corruptf("invitation of connection %q holds the record of another one", key)
	}
	sum, err := hex.DecodeString(r.TokenSHA256)
	if err != nil || len(sum) != sha256.Size {
		return tokenstore.Invitation{}, corruptf("invitation of connection %q: the digest of its token is not one", key)
	}
	return tokenstore.Invitation{
		Connection:  r.Connection,
		TokenSHA256: [sha256.Size]byte(sum),
		CreatedAt:   r.CreatedAt,
		ExpiresAt:   r.ExpiresAt,
	}, nil
}

// Invite stores an invitation.
func (s *Store) Invite(ctx context.Context, i tokenstore.Invitation) error {
	if err := validInvitation(&i); err != nil {
		return fmt.Errorf("inviting: %w", err)
	}
	return s.update(ctx, "inviting to connection "+i.Connection, func(t *Change) error {
		if err := t.mustHave(i.Connection); err != nil {
			return err
		}
		i.CreatedAt = t.now
		return t.put(Invitations, i.Connection, newInvitationRecord(&i))
	})
}

func validInvitation(i *tokenstore.Invitation) error {
	if err := tokenstore.ValidConnectionID(i.Connection); err != nil {
		return err
	}
	switch {
	case i.TokenSHA256 == noToken || i.TokenSHA256 == tokenstore.TokenSHA256(""):
		return invalidf("invitation to connection %s: it has no token", i.Connection)
	case i.ExpiresAt.IsZero():
		return invalidf("invitation to connection %s: it never expires", i.Connection)
	}
	return nil
}

// Invitation returns the invitation of a connection.
func (s *Store) Invitation(ctx context.Context, connection string) (tokenstore.Invitation, error) {
	var i tokenstore.Invitation
	err := s.view(ctx, "reading the invitation to connection "+connection, func(tx Reader) error {
		var err error
		i, err = readInvitation(tx, connection)
		return err
	})
	if err != nil {
		return tokenstore.Invitation{}, err
	}
	return i, nil
}

// WithdrawInvitation removes an invitation, for one caller.
func (s *Store) WithdrawInvitation(ctx context.Context, connection string, token [sha256.Size]byte) error {
	return s.update(ctx, "withdrawing the invitation to connection "+connection, func(t *Change) error {
		i, err := readInvitation(t, connection)
		if err != nil {
			return err
		}
		if subtle.ConstantTimeCompare(i.TokenSHA256[:], token[:]) != 1 {
			return notFound("invitation to connection", connection)
		}
		return t.Delete(Invitations, connection)
	})
}

func readInvitation(tx Reader, connection string) (tokenstore.Invitation, error) {
	v, err := tx.Get(Invitations, connection)
	if err != nil {
		return tokenstore.Invitation{}, err
	}
	if v == nil {
		return tokenstore.Invitation{}, notFound("invitation to connection", connection)
	}
	return decodeInvitation([]byte(connection), v)
}
