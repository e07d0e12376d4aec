package records

import (
	"context"
	"time"

	"jiragate/tokenstore"
)

// rotationRecord is the note that a refresh token is about to be sent.
type rotationRecord struct {
	Connection string    `json:"connection"`
	Generation uint64    `json:"generation"`
	Since      time.Time `json:"since"`
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

// BeginRotation notes that a refresh token is about to be sent.
func (s *Store) BeginRotation(ctx context.Context, id string, generation uint64) (tokenstore.Rotation, error) {
	var noted tokenstore.Rotation
	err := s.update(ctx, "noting a rotation of connection "+id, func(t *Change) error {
		c, err := t.connection(id)
		if err != nil {
			return err
		}
		if c.Generation != generation {
			return conflict(generation, c.Generation)
		}
		r, err := readRotation(t, id)
		if err != nil {
			return err
		}
		if r != nil && r.Generation == generation {
			noted = r.rotation()
			return ErrUnchanged
		}
		r = &rotationRecord{Connection: id, Generation: generation, Since: t.now}
		noted = r.rotation()
		return t.put(Rotations, id, r)
	})
	if err != nil {
		return tokenstore.Rotation{}, err
	}
	return noted, nil
}

// EndRotation takes the note of that generation back.
func (s *Store) EndRotation(ctx context.Context, id string, generation uint64) error {
	return s.update(ctx, "ending a rotation of connection "+id, func(t *Change) error {
		r, err := readRotation(t, id)
		if err != nil {
			return err
		}
		if r == nil || r.Generation != generation {
			return ErrUnchanged
		}
		return t.endRotation(id)
	})
}

// Rotations returns the notes that stand. The keys of a bucket are sorted.
func (s *Store) Rotations(ctx context.Context) ([]tokenstore.Rotation, error) {
	var rotations []tokenstore.Rotation
	err := s.view(ctx, "reading the rotations", func(tx Reader) error {
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
