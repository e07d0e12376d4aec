package bolt

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
)

// AddConnection stores a new connection with its credential.
func (s *Store) AddConnection(ctx context.Context, c tokenstore.Connection, cred tokenstore.Credential) error {
	if err := newConnection(&c, &cred); err != nil {
		return err
	}
	return s.update(ctx, addingConnection(&c), func(t *change) error { return t.addConnection(&c, &cred) })
}

func addingConnection(c *tokenstore.Connection) string { return "adding connection " + c.ID }

// newConnection gives a new connection its state, and says whether it may be added.
func newConnection(c *tokenstore.Connection, cred *tokenstore.Credential) error {
	switch {
	case c.State != "":
	case cred.Consented():
		c.State = tokenstore.StateActive
	default:
		c.State, c.StateReason = tokenstore.StateNeedsReauthorisation, tokenstore.ReasonAwaitsConsent
	}
	if err := c.Validate(); err != nil {
		return fmt.Errorf("adding a connection: %w", err)
	}
	if err := validFor(c.CredentialKind, cred); err != nil {
		return fmt.Errorf("%s: %w", addingConnection(c), err)
	}
	if c.State.Callable() && !cred.Consented() {
		return fmt.Errorf("%s: %w", addingConnection(c), awaitsConsent(c.State))
	}
	return nil
}

func (t *change) addConnection(c *tokenstore.Connection, cred *tokenstore.Credential) error {
	if t.Bucket(bucketConnections).Get([]byte(c.ID)) != nil {
		return exists("connection", c.ID)
	}
	c.CreatedAt, c.UpdatedAt, c.StateSince = t.now, t.now, t.now
	generation, err := t.firstGeneration()
	if err != nil {
		return err
	}
	r := newConnectionRecord(c, generation)
	if err := t.renewDataKey(r); err != nil {
		return err
	}
	if err := t.putConnection(r); err != nil {
		return err
	}
	return t.putCredential(r, cred)
}

// UpdateConnection lets edit change a copy of the connection, and stores it. If
// it leads elsewhere now, the credential is sealed anew, bound to the new place
// and incarnation, and the published issues go.
func (s *Store) UpdateConnection(ctx context.Context, id string, edit func(*tokenstore.Connection) error) error {
	action := "updating connection " + id
	s.mu.Lock()
	defer s.mu.Unlock()

	// While the lock is held the directory is what the file says. Outside of the
	// transaction, so that a panic of edit stays a panic of edit.
	present, ok := s.Directory().Connection(id)
	if !ok {
		return fmt.Errorf("%s: %w", action, notFound("connection", id))
	}
	c := *present
	c.Scopes = slices.Clone(c.Scopes)
	if err := edit(&c); err != nil {
		return err
	}
	if c.ID != present.ID || c.Edition != present.Edition || c.CredentialKind != present.CredentialKind {
		return fmt.Errorf("%s: %w", action, invalidf("id, edition and kind of credential are for ever: add a new connection"))
	}
	if c.Incarnation != present.Incarnation {
		return fmt.Errorf("%s: %w", action, invalidf("incarnations are numbered by the store"))
	}
	if c.State != present.State || c.StateReason != present.StateReason || !c.StateSince.Equal(present.StateSince) {
		return fmt.Errorf("%s: %w", action, invalidf("the state is changed by SetState"))
	}
	if !c.CreatedAt.Equal(present.CreatedAt) {
		return fmt.Errorf("%s: %w", action, invalidf("the time of its making can't change"))
	}
	if err := c.Validate(); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return s.updateLocked(ctx, action, func(t *change) error {
		old, err := t.connection(id)
		if err != nil {
			return err
		}
		c.UpdatedAt = t.now
		r := newConnectionRecord(&c, old.Generation)
		if bytes.Equal(credentialFacts(old), credentialFacts(r)) {
			return t.putConnection(r)
		}
		cred, err := t.credential(old)
		if err != nil {
			return err
		}
		if r.Generation, err = t.firstGeneration(); err != nil {
			return err
		}
		if err := t.forgetIssues(id); err != nil {
			return err
		}
		if err := t.carryRotation(id, r.Generation); err != nil {
			return err
		}
		if err := t.putConnection(r); err != nil {
			return err
		}
		return t.putCredential(r, &cred)
	})
}

// firstGeneration begins an incarnation. The bucket's sequence is not the number
// of its records: it stays when they go, and is in the file and its copies.
func (t *change) firstGeneration() (uint64, error) {
	incarnation, err := t.Bucket(bucketConnections).NextSequence()
	return tokenstore.FirstGeneration(incarnation), err
}

// RemoveConnection removes a connection and all that hangs on it, and overwrites
// what the file still holds of it.
func (s *Store) RemoveConnection(ctx context.Context, id string, incarnation uint64) error {
	action := "removing connection " + id
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.updateLocked(ctx, action, func(t *change) error {
		c, err := t.connection(id)
		if err != nil {
			return err
		}
		if stored := tokenstore.Incarnation(c.Generation); stored != incarnation {
			return fmt.Errorf("%w: the change is meant for incarnation %d of the connection, but %d is stored: look at it again", tokenstore.ErrConflict, incarnation, stored)
		}
		t.directory = true
		t.touch(id)
		for _, bucket := range [][]byte{
			bucketConnections, bucketDataKeys, bucketCredentials,
			bucketRotations, bucketInvitations, bucketAnnouncements,
		} {
			if err := t.Bucket(bucket).Delete([]byte(id)); err != nil {
				return err
			}
		}
		if err := t.revokeAll(id); err != nil {
			return err
		}
		return t.forgetIssues(id)
	})
	if err != nil {
		return err
	}
	if err := s.scrub(); err != nil {
		return fmt.Errorf("%s: it is removed, but its data key is not shredded yet; opening the store again tries again: %w", action, err)
	}
	return nil
}

func (t *change) connection(id string) (*connectionRecord, error) {
	return readConnection(t.Tx, id)
}

func readConnection(tx *bbolt.Tx, id string) (*connectionRecord, error) {
	v := tx.Bucket(bucketConnections).Get([]byte(id))
	if v == nil {
		return nil, notFound("connection", id)
	}
	return decodeConnection([]byte(id), v)
}

func (t *change) putConnection(r *connectionRecord) error {
	t.directory = true
	t.touch(r.ID)
	return t.put(bucketConnections, r.ID, r)
}

// deletePrefix deletes all keys that begin with prefix.
func deletePrefix(b *bbolt.Bucket, prefix []byte) error {
	var keys [][]byte // deleting moves a cursor, so collect first
	c := b.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
