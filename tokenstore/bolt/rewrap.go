package bolt

import (
	"context"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/tink"
	"go.etcd.io/bbolt"
)

// KeyUse counts the records that are sealed under the keyset: the data keys,
// each of which stands for a credential, and the canary.
func (s *Store) KeyUse(ctx context.Context) (map[uint32]int, error) {
	use := make(map[uint32]int)
	err := s.view(ctx, "counting the records under each key", func(tx *bbolt.Tx) error {
		return forEachSealed(tx, func(_ string, key uint32) { use[key]++ })
	})
	if err != nil {
		return nil, err
	}
	return use, nil
}

// forEachSealed calls fn with the connection of each data key, and with none for
// the canary, and the key that it is sealed under.
func forEachSealed(tx *bbolt.Tx, fn func(connection string, key uint32)) error {
	key, err := keyID(tx.Bucket(bucketMeta).Get(keyCanary))
	if err != nil {
		return fmt.Errorf("the record that tells whether the keyset fits: %w", err)
	}
	fn("", key)
	return tx.Bucket(bucketDataKeys).ForEach(func(k, v []byte) error {
		key, err := keyID(v)
		if err != nil {
			return fmt.Errorf("data key of connection %q: %w", k, err)
		}
		fn(string(k), key)
		return nil
	})
}

// Rewrap seals records anew that are not under the primary key. A record that
// does not open is left out, and is in the error, after all others.
func (s *Store) Rewrap(ctx context.Context, limit int) (left int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const action = "sealing records anew"
	var damaged findings
	sealed := 0
	err = s.updateLocked(ctx, action, func(t *change) error {
		stale, err := t.staleSeals()
		if err != nil {
			return err
		}
		for _, connection := range stale {
			if sealed == limit {
				break
			}
			if err := t.reseal(connection); err != nil {
				damaged.add("%q: %w", connection, err)
				continue
			}
			sealed++
		}
		// Once more, since the keyset may have been rotated meanwhile.
		if stale, err = t.staleSeals(); err != nil {
			return err
		}
		if left = len(stale); sealed == 0 {
			return errUnchanged
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if (sealed > 0 || s.unscrubbed) && left == damaged.count() {
		if err := s.scrub(); err != nil {
			return left, fmt.Errorf("%s: %w", action, err)
		}
	}
	if err := damaged.err(); err != nil {
		return left, fmt.Errorf("%s: %w", action, err)
	}
	return left, nil
}

// staleSeals returns the connections whose data keys are under another key of the
// keyset than the primary one, and the empty id for the canary.
func (t *change) staleSeals() ([]string, error) {
	primary, err := primaryKeyID(t.aead)
	if err != nil {
		return nil, err
	}
	var stale []string
	err = forEachSealed(t.Tx, func(connection string, key uint32) {
		if key != primary {
			stale = append(stale, connection)
		}
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
func (t *change) reseal(connection string) error {
	if connection == "" {
		return putCanary(t.Tx, t.aead)
	}
	r, err := t.connection(connection)
	if err != nil {
		return err
	}
	plaintext, err := unsealCredential(t.Tx, t.aead, r)
	if err != nil {
		return err
	}
	if err := t.renewDataKey(r); err != nil {
		return err
	}
	return t.sealCredential(r, plaintext)
}
