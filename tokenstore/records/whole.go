package records

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// Digest returns the SHA-256 of all records that go along when a store is copied, and of the
// sequences, in hex.
func Digest(ctx context.Context, r Reader) (string, error) {
	h := sha256.New()
	var size []byte
	add := func(b []byte) {
		size = binary.AppendUvarint(size[:0], uint64(len(b)))
		h.Write(size)
		h.Write(b)
	}
	for _, b := range Buckets() {
		add([]byte(b))
		sequence, err := r.Sequence(b)
		if err != nil {
			return "", err
		}
		add(binary.AppendUvarint(nil, sequence))
		err = r.Each(b, "", func(key, value []byte) error {
			if !Copied(b, key) {
				return ctx.Err()
			}
			add(key)
			add(value)
			return ctx.Err()
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Examine checks a whole store, as [Store.Check] does, that may have a mark. Errors are those of
// [AcceptMarked].
func Examine(ctx context.Context, r Reader, a tink.AEAD) error {
	schema, err := AcceptMarked(r, a, Schema)
	if err != nil {
		return err
	}
	if schema != Schema {
		return fmt.Errorf("it has schema %d, not %d: open it with this version first", schema, Schema)
	}
	if _, err := LoadDirectory(r); err != nil {
		return err
	}
	var f Findings
	// Nothing of it needs an engine.
	if err := New(nil, a).Check(ctx, r, &f); err != nil {
		return err
	}
	return f.Err()
}
