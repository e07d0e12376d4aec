package records

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/subtle/random"
	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/tokenstore"
)

// Each connection has a data key of its own, under which nothing but its
// credential is sealed. It is kept apart from that, wrapped: sealed under the
// keyset. Destroying it destroys all that was ever sealed under it.
//
// It is a bare AES-256-GCM key with random nonces of 96 bits: a Tink keyset of
// its own would only add a prefix and the means to rotate it, and this one is
// replaced as a whole. The form is that of Tink without a prefix: nonce, ciphertext,
// tag. At one replacement each second the 2^32 seals that NIST
// SP 800-38D section 8.3 allows last for 136 years.
const (
	dataKeySize   = 32
	dataKeySchema = 1
)

// dataKey is an unwrapped data key.
type dataKey struct {
	cipher.AEAD // with nonces of its own
	// wrapped is the SHA-256 of the wrapped key, which names it: what is sealed
	// under the key opens beside that very record only.
	wrapped [sha256.Size]byte
}

// dataKeyFacts says what a data key is bound to: the making of a connection. What
// that leads to, and the generation, the credential itself is bound to.
func dataKeyFacts(r *connectionRecord) []byte {
	return associate(string(DataKeys), r.ID, r.CreatedAt.Format(time.RFC3339Nano))
}

// renewDataKey gives a connection a new data key. What is sealed under the one
// before is lost, unless it has been opened.
func (t *Change) renewDataKey(r *connectionRecord) error {
	wrapped, err := seal(t.aead, dataKeySchema, random.GetRandomBytes(dataKeySize), dataKeyFacts(r))
	if err != nil {
		return err
	}
	t.touch(r.ID)
	return t.Put(DataKeys, r.ID, wrapped)
}

// Encrypt and Decrypt make it a [tink.AEAD].
func (k *dataKey) Encrypt(plaintext, associated []byte) ([]byte, error) {
	return k.Seal(nil, nil, plaintext, associated), nil
}

func (k *dataKey) Decrypt(ciphertext, associated []byte) ([]byte, error) {
	return k.Open(nil, nil, ciphertext, associated)
}

// readDataKey unwraps the data key of a connection.
func readDataKey(tx Reader, a tink.AEAD, r *connectionRecord) (*dataKey, error) {
	wrapped, err := tx.Get(DataKeys, r.ID)
	if err != nil {
		return nil, err
	}
	id, err := keyID(wrapped)
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	key, err := unseal(a, dataKeySchema, wrapped, dataKeyFacts(r))
	switch {
	case errors.Is(err, tokenstore.ErrWrongKey):
		return nil, fmt.Errorf("data key: %w", err)
	case err != nil:
		return nil, fmt.Errorf("data key: %w, or the keyset has lost key %d", err, id)
	}
	defer clear(key)
	if len(key) != dataKeySize {
		return nil, corruptf("a sealed record opens but is not a data key")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	return &dataKey{AEAD: gcm, wrapped: sha256.Sum256(wrapped)}, nil
}

// keyID returns which key of the keyset a record is sealed under.
func keyID(sealed []byte) (uint32, error) {
	if len(sealed) < sealHeader+tinkPrefix || sealed[sealHeader] != tinkStart {
		return 0, corruptf("a sealed record is cut short, or was never sealed under a keyset")
	}
	return binary.BigEndian.Uint32(sealed[sealHeader+1:]), nil
}
