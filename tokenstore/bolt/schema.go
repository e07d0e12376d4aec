package bolt

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/tink-crypto/tink-go/v2/tink"
	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
)

var (
	keySchema    = []byte("schema")
	keyCanary    = []byte("canary")
	keyCanarySum = []byte("canary_sha256")
)

// canaryText is sealed in every store, so that a wrong keyset shows when the
// store is opened and not at the first call.
const canaryText = "jiragate"

// A migration brings a store from one schema to the next.
type migration func(tx *bbolt.Tx, a tink.AEAD) error

// schema is a version of the layout of the file, with the way to it.
type schema struct {
	version int
	// migrations[i] leads from version i+1 to i+2, so there are version-1.
	migrations []migration
}

// currentSchema is what this program reads and writes.
func currentSchema() schema {
	return schema{version: 2, migrations: []migration{toDataKeys}}
}

// prepare fills an empty file.
func (s schema) prepare(db *bbolt.DB, a tink.AEAD) error {
	return db.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets() {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		if err := putCanary(tx, a); err != nil {
			return err
		}
		return putVersion(tx, s.version)
	})
}

const canarySchema = 1

func canaryFacts() []byte { return associate(string(bucketMeta), string(keyCanary)) }

func putCanary(tx *bbolt.Tx, a tink.AEAD) error {
	sealed, err := seal(a, canarySchema, []byte(canaryText), canaryFacts())
	if err != nil {
		return err
	}
	sum := sha256.Sum256(sealed)
	meta := tx.Bucket(bucketMeta)
	if err := meta.Put(keyCanary, sealed); err != nil {
		return err
	}
	return meta.Put(keyCanarySum, sum[:])
}

// accept reads the version of the store and opens the canary. It returns the
// version, which is not above that of s.
func (s schema) accept(tx *bbolt.Tx, a tink.AEAD) (int, error) {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return 0, corruptf("it is a bbolt file, but not a store of jiragate")
	}
	version, err := strconv.Atoi(string(meta.Get(keySchema)))
	if err != nil || version < 1 {
		return 0, corruptf("its schema version is missing or damaged")
	}
	if version > s.version {
		return 0, fmt.Errorf("%w: it has schema %d, and this version of jiragate knows schemas up to %d: use the jiragate that wrote it, or a newer one",
			tokenstore.ErrSchemaTooNew, version, s.version)
	}
	return version, openCanary(meta, a)
}

// openCanary tells a wrong keyset from a damaged canary by the canary's digest.
func openCanary(meta *bbolt.Bucket, a tink.AEAD) error {
	sealed := meta.Get(keyCanary)
	sum := sha256.Sum256(sealed)
	if !bytes.Equal(sum[:], meta.Get(keyCanarySum)) {
		return corruptf("the record that tells whether the keyset fits is damaged")
	}
	text, err := unseal(a, canarySchema, sealed, canaryFacts())
	if err != nil || string(text) != canaryText {
		return fmt.Errorf("%w: it was sealed under another one: check JIRAGATE_KEY_URI, and that the keyset belongs to this data directory", tokenstore.ErrWrongKey)
	}
	return nil
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
		return putVersion(tx, s.version)
	})
}

func putVersion(tx *bbolt.Tx, version int) error {
	return tx.Bucket(bucketMeta).Put(keySchema, []byte(strconv.Itoa(version)))
}
