package records

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/tokenstore"
)

// A sealed record is two bytes, the version of this format and the schema of
// what is inside, and a ciphertext. Both bytes are bound as associated data too.
// The ciphertext of a keyset begins with the id of its key; that of a data key
// doesn't.
const (
	sealFormat = 1
	sealHeader = 2
	tinkStart  = 0x01
	tinkPrefix = 5 // tinkStart and the key id, big endian
)

// seal encrypts plaintext and wipes it.
func seal(a tink.AEAD, schema byte, plaintext, associated []byte) ([]byte, error) {
	defer clear(plaintext)
	ciphertext, err := a.Encrypt(plaintext, bound(sealFormat, schema, associated))
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return append([]byte{sealFormat, schema}, ciphertext...), nil
}

// unseal decrypts a sealed record. Its errors match tokenstore.ErrCorrupt.
func unseal(a tink.AEAD, schema byte, sealed, associated []byte) ([]byte, error) {
	if err := checkHeader(sealed, schema); err != nil {
		return nil, err
	}
	plaintext, err := a.Decrypt(sealed[sealHeader:], bound(sealed[0], sealed[1], associated))
	var unknown interface{ UnknownKey() uint32 }
	switch {
	case errors.As(err, &unknown):
		return nil, &unknownKeyError{err}
	case err != nil:
		return nil, errNotOpening()
	}
	return plaintext, nil
}

// unknownKeyError says that the keyset has no such key. It matches tokenstore.ErrCorrupt, since
// the key may be gone for good, but doesn't say so: another gateway may have it.
type unknownKeyError struct{ err error }

func (e *unknownKeyError) Error() string { return "a sealed record does not open: " + e.err.Error() }
func (e *unknownKeyError) Unwrap() error { return e.err }
func (e *unknownKeyError) Is(target error) bool {
	return target == tokenstore.ErrCorrupt || target == tokenstore.ErrWrongKey
}

func checkHeader(sealed []byte, schema byte) error {
	if len(sealed) < sealHeader {
		return corruptf("a sealed record is cut short")
	}
	if sealed[0] != sealFormat || sealed[1] != schema {
		return corruptf("a sealed record has format %d and schema %d, not %d and %d", sealed[0], sealed[1], sealFormat, schema)
	}
	return nil
}

func errNotOpening() error {
	return corruptf("a sealed record does not open: it was changed, belongs elsewhere or is an old one")
}

func bound(format, schema byte, associated []byte) []byte {
	return append([]byte{format, schema}, associated...)
}

// associate encodes the facts that a sealed record is bound to, each with its
// length, so that no two lists of facts look the same.
func associate(facts ...string) []byte {
	var b []byte
	for _, f := range facts {
		b = binary.AppendUvarint(b, uint64(len(f)))
		b = append(b, f...)
	}
	return b
}
