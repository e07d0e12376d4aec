package signer

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
)

// Sealer encrypts and authenticates a few hundred bytes together with associated
// data, as Tink's AEAD does. Decrypt must fail where the key, the ciphertext or
// the associated data is not the one of Encrypt; what it returns is cleared after
// use, so it must not be kept. It is called for each signature, from several
// goroutines at once if need be, and must be safe for that.
type Sealer interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// associatedData binds a sealed key to its purpose, to the version of the format
// and to its public half with its name, so that neither another secret of the
// keyset nor another signing key passes for it.
func (id identity) associatedData() []byte {
	return append([]byte("jiragate audit signing-key v1\x00"), id.text...)
}

// private is a key that is open for a moment. It is a [note.Signer].
type private struct {
	identity
	key ed25519.PrivateKey
}

func generate(name string) (private, error) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return private{}, err
	}
	id, err := newIdentity(name, public)
	return private{id, key}, err
}

// clear wipes the key, which cannot sign then.
func (p private) clear() { clear(p.key) }

// Sign returns the bare signature.
func (p private) Sign(text []byte) ([]byte, error) { return ed25519.Sign(p.key, text), nil }

// seal seals the key's text form, which is made here instead of by
// note.GenerateKey since a string cannot be cleared.
func (p private) seal(sealer Sealer) ([]byte, error) {
	typed := append([]byte{algEd25519}, p.key[:ed25519.SeedSize]...)
	defer clear(typed)
	prefix := p.secretPrefix()
	text := make([]byte, 0, len(prefix)+base64.StdEncoding.EncodedLen(len(typed))) // never moved
	text = base64.StdEncoding.AppendEncode(append(text, prefix...), typed)
	defer clear(text[:cap(text)])
	sealed, err := sealer.Encrypt(text, p.associatedData())
	if err != nil {
		return nil, fmt.Errorf("seal the signing key %s: %w", p.text, err)
	}
	return sealed, nil
}

// sealTried is seal with the certainty that what was sealed opens again: nothing
// is ever signed with a key that doesn't.
func (p private) sealTried(sealer Sealer) ([]byte, error) {
	sealed, err := p.seal(sealer)
	if err != nil {
		return nil, err
	}
	again, err := p.unseal(sealed, sealer)
	if err != nil {
		return nil, fmt.Errorf("try what was sealed: %w", err)
	}
	again.clear()
	return sealed, nil
}

// unseal opens a key. The caller clears it after use.
func (id identity) unseal(sealed []byte, sealer Sealer) (private, error) {
	text, err := sealer.Decrypt(sealed, id.associatedData())
	if err != nil {
		return private{}, fmt.Errorf("%w: %s was sealed under another keyset or is damaged: use the keyset of this data directory, or restore both from one backup: %w",
			ErrWrongSealer, id.text, err)
	}
	defer clear(text)
	// No error below is wrapped or quotes anything: it would be of the secret.
	typed := make([]byte, 1+ed25519.SeedSize)
	defer clear(typed)
	encoded, ok := bytes.CutPrefix(text, []byte(id.secretPrefix()))
	if ok = ok && len(encoded) == base64.StdEncoding.EncodedLen(len(typed)); ok {
		n, err := base64.StdEncoding.Strict().Decode(typed, encoded)
		ok = err == nil && n == len(typed) && typed[0] == algEd25519
	}
	if !ok {
		return private{}, fmt.Errorf("what is sealed for %s is not the text form of its private key: restore the file from a backup", id.text)
	}
	p := private{id, ed25519.NewKeyFromSeed(typed[1:])}
	if !id.public.Equal(p.key.Public()) {
		p.clear()
		return private{}, errors.New("the private key sealed for " + id.text + " is that of another: restore the file from a backup")
	}
	return p, nil
}
