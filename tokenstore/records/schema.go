package records

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"

	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/tokenstore"
)

// Schema is the version of the records that this package reads and writes.
const Schema = 2

// SchemaKey is the key in [Meta] of the schema. There is no store without it.
const SchemaKey = "schema"

const (
	keyCanary    = "canary"
	keyCanarySum = "canary_sha256"
)

// canaryText is sealed in every store, so that a wrong keyset shows when the
// store is opened and not at the first call.
const canaryText = "jiragate"

const canarySchema = 1

func canaryFacts() []byte { return associate(string(Meta), keyCanary) }

// Prepare fills an empty store: with what tells its schema, and whether a keyset fits.
func Prepare(w Writer, a tink.AEAD, schema int) error {
	if err := putCanary(w, a); err != nil {
		return err
	}
	return PutSchema(w, schema)
}

func putCanary(w Writer, a tink.AEAD) error {
	sealed, err := seal(a, canarySchema, []byte(canaryText), canaryFacts())
	if err != nil {
		return err
	}
	sum := sha256.Sum256(sealed)
	if err := w.Put(Meta, keyCanary, sealed); err != nil {
		return err
	}
	return w.Put(Meta, keyCanarySum, sum[:])
}

// PutSchema notes the schema of a store.
func PutSchema(w Writer, schema int) error {
	return w.Put(Meta, SchemaKey, []byte(strconv.Itoa(schema)))
}

// Accept reads the schema of a store, which may be up to known, and opens its canary.
// Errors: tokenstore.ErrMoved and ErrMoving, see [Mark]; ErrSchemaTooNew, ErrWrongKey,
// ErrCorrupt.
func Accept(tx Reader, a tink.AEAD, known int) (schema int, err error) {
	mark, err := ReadMark(tx)
	if err != nil {
		return 0, err
	}
	if err := mark.Err(); err != nil {
		return 0, err
	}
	return AcceptMarked(tx, a, known)
}

// AcceptMarked is Accept for who moves the store, or has looked for a mark: one is no error.
func AcceptMarked(tx Reader, a tink.AEAD, known int) (schema int, err error) {
	v, err := tx.Get(Meta, SchemaKey)
	if err != nil {
		return 0, err
	}
	schema, err = strconv.Atoi(string(v))
	if err != nil || schema < 1 {
		return 0, corruptf("its schema version is missing or damaged")
	}
	if schema > known {
		return 0, fmt.Errorf("%w: it has schema %d, and this version of jiragate knows schemas up to %d: use the jiragate that wrote it, or a newer one",
			tokenstore.ErrSchemaTooNew, schema, known)
	}
	return schema, openCanary(tx, a)
}

// openCanary tells a wrong keyset from a damaged canary by the canary's digest.
func openCanary(tx Reader, a tink.AEAD) error {
	sealed, err := tx.Get(Meta, keyCanary)
	if err != nil {
		return err
	}
	digest, err := tx.Get(Meta, keyCanarySum)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(sealed)
	if !bytes.Equal(sum[:], digest) {
		return corruptf("the record that tells whether the keyset fits is damaged")
	}
	text, err := unseal(a, canarySchema, sealed, canaryFacts())
	if unknown, ok := errors.AsType[*unknownKeyError](err); ok {
		return fmt.Errorf("%w: %w; or check JIRAGATE_KEY_URI, and that the keyset belongs to this store", tokenstore.ErrWrongKey, unknown.err)
	}
	if err != nil || string(text) != canaryText {
		return fmt.Errorf("%w: it was sealed under another one: check JIRAGATE_KEY_URI, and that the keyset belongs to this store", tokenstore.ErrWrongKey)
	}
	return nil
}
