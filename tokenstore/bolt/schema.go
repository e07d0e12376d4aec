package bolt

import (
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
	"go.etcd.io/bbolt"

	"jiragate/tokenstore/records"
)

// A migration brings a store from one schema to the next.
type migration func(tx *bbolt.Tx, a tink.AEAD) error

// schema is a version of the layout of the file, with the way to it.
type schema struct {
	version int
	// migrations[i] leads from version i+1 to i+2, so there are version-1.
	migrations []migration
	// marked: who opens it moves it.
	marked bool
}

// currentSchema is what this program reads and writes.
func currentSchema() schema {
	return schema{version: records.Schema, migrations: []migration{toDataKeys}}
}

// prepare fills an empty file.
func (s schema) prepare(db *bbolt.DB, a tink.AEAD) error {
	return db.Update(func(tx *bbolt.Tx) error {
		for _, b := range records.Buckets() {
			if _, err := tx.CreateBucketIfNotExists([]byte(b)); err != nil {
				return err
			}
		}
		return records.Prepare(transaction{tx}, a, s.version)
	})
}

// accept reads the version of the store and opens the canary. It returns the
// version, which is not above that of s.
func (s schema) accept(tx *bbolt.Tx, a tink.AEAD) (int, error) {
	if tx.Bucket([]byte(records.Meta)) == nil {
		return 0, corruptf("it is a bbolt file, but not a store of jiragate")
	}
	if s.marked {
		return records.AcceptMarked(transaction{tx}, a, s.version)
	}
	return records.Accept(transaction{tx}, a, s.version)
}

// migrate brings the store up to the version of s, in one transaction.
func (s schema) migrate(db *bbolt.DB, a tink.AEAD, from int) error {
	if from == s.version {
		return nil
	}
	return db.Update(func(tx *bbolt.Tx) error {
		for v := from; v < s.version; v++ {
			if err := s.migrations[v-1](tx, a); err != nil {
				return fmt.Errorf("migrating from schema %d to %d (nothing was changed): %w", v, v+1, err)
			}
		}
		return records.PutSchema(transaction{tx}, s.version)
	})
}

// toDataKeys leads from schema 1 to 2. The old ciphertexts are overwritten once the store is
// open.
func toDataKeys(tx *bbolt.Tx, a tink.AEAD) error {
	for _, b := range []records.Bucket{records.DataKeys, records.Rotations, records.Invitations, records.Announcements} {
		if _, err := tx.CreateBucket([]byte(b)); err != nil {
			return err
		}
	}
	return records.ToDataKeys(records.NewChange(transaction{tx}, a, time.Time{}, nil, nil))
}
