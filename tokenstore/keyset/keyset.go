package keyset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/tokenstore/secret"
)

// Keyset is a set of AES-256-GCM keys. It is immutable and safe for concurrent
// use, and prints without its keys.
type Keyset struct {
	handle  *tinkkeyset.Handle
	aead    tink.AEAD
	primary uint32
}

// New makes a keyset of one new key.
func New() (*Keyset, error) {
	handle, err := tinkkeyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("making a keyset: %w", err)
	}
	return fromHandle(handle)
}

// Parse reads a keyset in Tink's JSON form, in clear. Every enabled key must be
// of 256 bits for AES-GCM and write its id before its ciphertexts
// (Tink's template AES256_GCM). The error quotes nothing of the keyset.
func Parse(json secret.Secret) (*Keyset, error) {
	handle, err := insecurecleartextkeyset.Read(tinkkeyset.NewJSONReader(strings.NewReader(json.Reveal())))
	if err != nil {
		// The cause is left out: parsers like to quote what they don't understand.
		return nil, errors.New("it is not a Tink keyset in JSON, in clear")
	}
	return fromHandle(handle)
}

func fromHandle(handle *tinkkeyset.Handle) (*Keyset, error) {
	for i := range handle.Len() {
		entry, err := handle.Entry(i)
		if err != nil {
			return nil, fmt.Errorf("key #%d of the keyset: %w", i+1, err)
		}
		p, ok := entry.Key().Parameters().(*aesgcm.Parameters)
		if !ok || p.KeySizeInBytes() != 32 || p.Variant() != aesgcm.VariantTink {
			return nil, fmt.Errorf("key %d of the keyset is not of the kind AES256_GCM", entry.KeyID())
		}
	}
	primary, err := handle.Primary()
	if err != nil {
		return nil, fmt.Errorf("the keyset has no primary key: %w", err)
	}
	a, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("using the keyset: %w", err)
	}
	return &Keyset{handle: handle, aead: a, primary: primary.KeyID()}, nil
}

var _ tink.AEAD = (*Keyset)(nil)

// Encrypt implements [tink.AEAD], under the primary key.
func (k *Keyset) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	return k.aead.Encrypt(plaintext, associatedData)
}

// Decrypt implements [tink.AEAD], under whichever key it was encrypted.
func (k *Keyset) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	return k.aead.Decrypt(ciphertext, associatedData)
}

// PrimaryKeyID returns the id of the key that seals. It is no secret: every
// ciphertext begins with it.
func (k *Keyset) PrimaryKeyID() uint32 { return k.primary }

// Rotate returns a keyset that has another primary key, the prepared one or else a new
// one, beside all keys of k. It stores nothing.
func (k *Keyset) Rotate() (*Keyset, error) {
	if len(k.prepared()) > 0 {
		return k.promote()
	}
	next, id, err := k.add()
	if err != nil {
		return nil, err
	}
	return next.withPrimary(id)
}

// without returns a keyset that lacks the keys of these ids. The primary key can't
// be among them, nor what is not in the keyset.
func (k *Keyset) without(ids []uint32) (*Keyset, error) {
	m := tinkkeyset.NewManagerFromHandle(k.handle)
	for _, id := range ids {
		if id == k.primary {
			return nil, fmt.Errorf("key %d is the primary key, under which everything new is sealed: rotate first", id)
		}
		if !slices.Contains(k.ids(), id) {
			return nil, fmt.Errorf("key %d is not in the keyset", id)
		}
		if err := m.Delete(id); err != nil {
			return nil, fmt.Errorf("dropping key %d: %w", id, err)
		}
	}
	handle, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("dropping keys: %w", err)
	}
	return fromHandle(handle)
}

func (k *Keyset) ids() []uint32 {
	ids := make([]uint32, 0, k.handle.Len())
	for _, i := range k.keys() {
		ids = append(ids, i.ID)
	}
	return ids
}

func (k *Keyset) keys() []KeyInfo {
	infos := make([]KeyInfo, 0, k.handle.Len())
	prepared := k.prepared()
	for _, i := range k.handle.KeysetInfo().GetKeyInfo() {
		infos = append(infos, KeyInfo{
			ID:       i.GetKeyId(),
			Primary:  i.GetKeyId() == k.primary,
			Prepared: slices.Contains(prepared, i.GetKeyId()),
			Status:   strings.ToLower(i.GetStatus().String()),
		})
	}
	return infos
}

// JSON returns the keyset in the form that [Parse] reads, keys in clear.
func (k *Keyset) JSON() (secret.Secret, error) {
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(k.handle, tinkkeyset.NewJSONWriter(&b)); err != nil {
		return secret.Secret{}, fmt.Errorf("writing the keyset as JSON: %w", err)
	}
	return secret.New(b.String()), nil
}

// Format implements [fmt.Formatter]: every verb prints the number of keys and
// the id of the primary key.
func (k *Keyset) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, k.String())
}

// String returns the number of keys and the id of the primary key.
func (k *Keyset) String() string {
	return fmt.Sprintf("keyset(%d keys, primary %d)", k.handle.Len(), k.primary)
}
