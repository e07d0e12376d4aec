package records

import (
	"context"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/tokenstore"
)

// KeyUse counts the records that are sealed under the keyset: the data keys,
// each of which stands for a credential, and the canary.
func (s *Store) KeyUse(ctx context.Context) (map[uint32]int, error) {
	use := make(map[uint32]int)
	err := s.view(ctx, "counting the records under each key", func(tx Reader) error {
		clear(use)
		return forEachSealed(tx, func(_ string, key uint32) { use[key]++ })
	})
	if err != nil {
		return nil, err
	}
	return use, nil
}

// forEachSealed calls fn with the connection of each data key, and with none for
// the canary, and the key that it is sealed under.
func forEachSealed(tx Reader, fn func(connection string, key uint32)) error {
	canary, err := tx.Get(Meta, keyCanary)
	if err != nil {
		return err
	}
	key, err := keyID(canary)
	if err != nil {
		return fmt.Errorf("the record that tells whether the keyset fits: %w", err)
	}
	fn("", key)
	return tx.Each(DataKeys, "", func(k, v []byte) error {
		key, err := keyID(v)
		if err != nil {
			return fmt.Errorf("data key of connection %q: %w", k, err)
		}
		fn(string(k), key)
		return nil
	})
}

// Reseal is Rewrap of tokenstore.Store, but for removing what was sealed before. Records
// that don't open are left out, after all others, and are the findings.
func (s *Store) Reseal(ctx context.Context, limit int) (left int, damaged Findings, err error) {
	const action = "sealing records anew"
	stale, err := s.staleSeals(ctx, action)
	if err != nil {
		return 0, damaged, err
	}
	for sealed := 0; sealed < limit && len(stale) > 0; {
		batch := stale[:min(len(stale), limit-sealed, s.engine.Batch())]
		stale = stale[len(batch):]
		n, found, err := s.resealAll(ctx, action, batch)
		if err != nil {
			return 0, damaged, err
		}
		sealed += n
		damaged.join(found)
	}
	// Once more, since the keyset may have been rotated meanwhile.
	stale, err = s.staleSeals(ctx, action)
	return len(stale), damaged, err
}

// resealAll seals the records of these connections anew, in one change.
func (s *Store) resealAll(ctx context.Context, action string, connections []string) (sealed int, damaged Findings, err error) {
	err = s.update(ctx, action, func(t *Change) error {
		sealed, damaged = 0, Findings{}
		for _, connection := range connections {
			switch err := t.reseal(connection); {
			case errors.Is(err, tokenstore.ErrCorrupt):
				damaged.Add("%q: %w", connection, err)
			case errors.Is(err, tokenstore.ErrNotFound): // removed meanwhile
			case err != nil:
				return err
			default:
				sealed++
			}
		}
		if sealed == 0 {
			return ErrUnchanged
		}
		t.shreds = true
		return nil
	})
	return sealed, damaged, err
}

// staleSeals returns the connections whose data keys are under another key of the
// keyset than the primary one, and the empty id for the canary.
func (s *Store) staleSeals(ctx context.Context, action string) (stale []string, err error) {
	primary, err := primaryKeyID(s.aead)
	if err != nil {
		return nil, err
	}
	err = s.view(ctx, action, func(tx Reader) error {
		stale = nil
		return forEachSealed(tx, func(connection string, key uint32) {
			if key != primary {
				stale = append(stale, connection)
			}
		})
	})
	return stale, err
}

// primaryKeyID asks the keyset which key it seals under.
func primaryKeyID(a tink.AEAD) (uint32, error) {
	probe, err := seal(a, 0, nil, nil)
	if err != nil {
		return 0, err
	}
	return keyID(probe)
}

// reseal gives a connection a new data key, and leaves its generation: it is the
// same credential. An empty id stands for the canary.
func (t *Change) reseal(connection string) error {
	if connection == "" {
		return putCanary(t, t.aead)
	}
	r, err := t.connection(connection)
	if err != nil {
		return err
	}
	plaintext, err := unsealCredential(t, t.aead, r)
	if err != nil {
		return err
	}
	if err := t.renewDataKey(r); err != nil {
		return err
	}
	return t.sealCredential(r, plaintext)
}
