package records

import (
	"context"
	"fmt"
	"time"

	"jiragate/tokenstore"
)

// rotationRecord is the note that a refresh token is about to be sent.
type rotationRecord struct {
	Connection string    `json:"connection"`
	Generation uint64    `json:"generation"`
	Since      time.Time `json:"since"`
	// Fence is that of the claim that was taken last, where several processes share the store.
	Fence uint64 `json:"fence,omitempty"`
}

func (r *rotationRecord) rotation() tokenstore.Rotation {
	return tokenstore.Rotation{Connection: r.Connection, Generation: r.Generation, Since: r.Since}
}

func decodeRotation(key, value []byte) (*rotationRecord, error) {
	var r rotationRecord
	if err := decode(value, &r); err != nil {
		return nil, corruptf("rotation of connection %q: %v", key, err)
	}
	if r.Connection != string(key) {
		return nil, corruptf("rotation of connection %q holds the record of another one", key)
	}
	return &r, nil
}

// BeginRotation notes that a refresh token is about to be sent, and takes the claim.
func (s *Store) BeginRotation(ctx context.Context, id string, generation uint64) (tokenstore.Claim, error) {
	var claim tokenstore.Claim
	err := s.update(ctx, "noting a rotation of connection "+id, func(t *Change) error {
		c, err := t.connection(id)
		if err != nil {
			return err
		}
		if c.Generation != generation {
			return conflict(generation, c.Generation)
		}
		if err := t.unclaimed(id); err != nil {
			return err
		}
		r, err := readRotation(t, id)
		if err != nil {
			return err
		}
		stood := r != nil && r.Generation == generation
		if !stood {
			r = &rotationRecord{Connection: id, Generation: generation, Since: t.now}
		}
		if claim, err = t.takeClaim(r, stood); err != nil {
			return err
		}
		if stood && t.fleet == nil {
			return ErrUnchanged
		}
		return t.put(Rotations, id, r)
	})
	if err != nil {
		return tokenstore.Claim{}, err
	}
	return claim, nil
}

// FinishRotation stores the credential that has come of a rotation. A claim of another
// generation ends, too.
func (s *Store) FinishRotation(ctx context.Context, claim tokenstore.Claim, c tokenstore.Credential) error {
	id := claim.Connection
	var stale error
	err := s.update(ctx, "replacing the credential of connection "+id, func(t *Change) error {
		stale = nil
		r, err := t.connection(id)
		if err != nil {
			return err
		}
		follows, err := t.follows(&claim)
		switch {
		case err != nil:
			return err
		case r.Generation != claim.Generation:
			stale = conflict(claim.Generation, r.Generation)
			if follows || t.fleet == nil {
				return ErrUnchanged
			}
			return t.dropClaim(id)
		case follows:
			return fmt.Errorf("%w: another gateway has gone on with it", tokenstore.ErrLapsed)
		}
		return t.replaceCredential(r, &c)
	})
	if err != nil {
		return err
	}
	if stale != nil {
		return fmt.Errorf("replacing the credential of connection %s: %w", id, stale)
	}
	return nil
}

// EndRotation takes the note of the claim's generation back.
func (s *Store) EndRotation(ctx context.Context, claim tokenstore.Claim) error {
	return s.update(ctx, "ending a rotation of connection "+claim.Connection, func(t *Change) error {
		if err := t.yield(&claim); err != nil {
			return err
		}
		r, err := readRotation(t, claim.Connection)
		if err != nil {
			return err
		}
		if r == nil || r.Generation != claim.Generation {
			return t.unlessFleet()
		}
		return t.endRotation(claim.Connection)
	})
}

// YieldRotation leaves the note.
func (s *Store) YieldRotation(ctx context.Context, claim tokenstore.Claim) error {
	return s.update(ctx, "yielding a rotation of connection "+claim.Connection, func(t *Change) error {
		if err := t.yield(&claim); err != nil {
			return err
		}
		return t.unlessFleet()
	})
}

// yield gives a claim up. It is ErrUnchanged if there was another one since.
func (t *Change) yield(claim *tokenstore.Claim) error {
	follows, err := t.follows(claim)
	if err != nil {
		return err
	}
	if follows {
		return ErrUnchanged
	}
	return t.dropClaim(claim.Connection)
}

// unlessFleet is ErrUnchanged where there are no claims that were given up.
func (t *Change) unlessFleet() error {
	if t.fleet == nil {
		return ErrUnchanged
	}
	return nil
}

// Rotations returns the notes that stand. The keys of a bucket are sorted.
func (s *Store) Rotations(ctx context.Context) ([]tokenstore.Rotation, error) {
	var rotations []tokenstore.Rotation
	err := s.view(ctx, "reading the rotations", func(tx Reader) error {
		rotations = nil
		return tx.Each(Rotations, "", func(k, v []byte) error {
			r, err := decodeRotation(k, v)
			if err != nil {
				return err
			}
			rotations = append(rotations, r.rotation())
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return rotations, nil
}

// endRotation removes the note of a connection, if there is one.
func (t *Change) endRotation(id string) error {
	return t.Delete(Rotations, id)
}

// carryRotation makes the note of a connection, if there is one, that of its
// credential's new generation: it is the same refresh token.
func (t *Change) carryRotation(id string, generation uint64) error {
	r, err := readRotation(t, id)
	if r == nil || err != nil {
		return err
	}
	r.Generation = generation
	return t.put(Rotations, id, r)
}

// readRotation returns the note of a connection, or nil.
func readRotation(tx Reader, id string) (*rotationRecord, error) {
	v, err := tx.Get(Rotations, id)
	if v == nil || err != nil {
		return nil, err
	}
	return decodeRotation([]byte(id), v)
}
