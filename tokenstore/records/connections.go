package records

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"jiragate/tokenstore"
)

// AddConnection stores a new connection with its credential.
func (s *Store) AddConnection(ctx context.Context, c tokenstore.Connection, cred tokenstore.Credential) error {
	if err := newConnection(&c, &cred); err != nil {
		return err
	}
	return s.update(ctx, addingConnection(&c), func(t *Change) error { return t.addConnection(&c, &cred) })
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

func (t *Change) addConnection(c *tokenstore.Connection, cred *tokenstore.Credential) error {
	if there, err := t.Has(Connections, c.ID); err != nil {
		return err
	} else if there {
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

// errMoved: the connection was changed after it was handed to edit.
var errMoved = errors.New("the connection was changed meanwhile")

// UpdateConnection lets edit change a copy of the connection, and stores it. If
// it leads elsewhere now, the credential is sealed anew, bound to the new place
// and incarnation, and the published issues go.
func (s *Store) UpdateConnection(ctx context.Context, id string, edit func(*tokenstore.Connection) error) error {
	for {
		err := s.updateConnection(ctx, id, edit)
		if !errors.Is(err, errMoved) {
			return err
		}
	}
}

func (s *Store) updateConnection(ctx context.Context, id string, edit func(*tokenstore.Connection) error) error {
	action := "updating connection " + id
	var present *connectionRecord
	err := s.view(ctx, action, func(tx Reader) (err error) {
		present, err = readConnection(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	// Outside of a transaction, so that a panic of edit stays a panic of edit.
	c := present.connection()
	c.Scopes = slices.Clone(c.Scopes)
	if err := edit(&c); err != nil {
		return err
	}
	if err := present.mayBecome(&c); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return s.update(ctx, action, func(t *Change) error {
		old, err := t.connection(id)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(old, present) {
			return errMoved
		}
		return t.updateConnection(old, c)
	})
}

// mayBecome says whether a connection may be changed to that.
func (r *connectionRecord) mayBecome(c *tokenstore.Connection) error {
	present := r.connection()
	switch {
	case c.ID != present.ID || c.Edition != present.Edition || c.CredentialKind != present.CredentialKind:
		return invalidf("id, edition and kind of credential are for ever: add a new connection")
	case c.Incarnation != present.Incarnation:
		return invalidf("incarnations are numbered by the store")
	case c.State != present.State || c.StateReason != present.StateReason || !c.StateSince.Equal(present.StateSince):
		return invalidf("the state is changed by SetState")
	case !c.CreatedAt.Equal(present.CreatedAt):
		return invalidf("the time of its making can't change")
	}
	return c.Validate()
}

func (t *Change) updateConnection(old *connectionRecord, c tokenstore.Connection) error {
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
	if err := t.forgetIssues(r.ID); err != nil {
		return err
	}
	if err := t.carryRotation(r.ID, r.Generation); err != nil {
		return err
	}
	if err := t.putConnection(r); err != nil {
		return err
	}
	return t.putCredential(r, &cred)
}

// firstGeneration begins an incarnation. The bucket's sequence is not the number
// of its records: it stays when they go, and is in the file and its copies.
func (t *Change) firstGeneration() (uint64, error) {
	incarnation, err := t.NextSequence(Connections)
	return tokenstore.FirstGeneration(incarnation), err
}

// RemoveConnection removes a connection and all that hangs on it.
func (s *Store) RemoveConnection(ctx context.Context, id string, incarnation uint64) error {
	return s.update(ctx, "removing connection "+id, func(t *Change) error {
		c, err := t.connection(id)
		if err != nil {
			return err
		}
		if stored := tokenstore.Incarnation(c.Generation); stored != incarnation {
			return fmt.Errorf("%w: the change is meant for incarnation %d of the connection, but %d is stored: look at it again", tokenstore.ErrConflict, incarnation, stored)
		}
		t.directory, t.shreds = true, true
		t.touch(id)
		for _, b := range []Bucket{Connections, DataKeys, Credentials, Rotations, Invitations, Announcements} {
			if err := t.Delete(b, id); err != nil {
				return err
			}
		}
		if err := t.dropClaim(id); err != nil {
			return err
		}
		if err := t.revokeAll(id); err != nil {
			return err
		}
		return t.forgetIssues(id)
	})
}

func (t *Change) connection(id string) (*connectionRecord, error) {
	return readConnection(t, id)
}

func readConnection(tx Reader, id string) (*connectionRecord, error) {
	v, err := tx.Get(Connections, id)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, notFound("connection", id)
	}
	return decodeConnection([]byte(id), v)
}

func (t *Change) putConnection(r *connectionRecord) error {
	t.directory = true
	t.touch(r.ID)
	return t.put(Connections, r.ID, r)
}
