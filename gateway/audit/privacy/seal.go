package privacy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"

	"jiragate/internal/privatefile"
)

// The errors that callers tell apart. Match them with [errors.Is]: they come wrapped
// with the file concerned and with what to do.
var (
	// ErrWrongSealer: the key does not open with the [Sealer] given: another keyset,
	// or a damaged file.
	ErrWrongSealer = errors.New("sealed key of pseudonyms does not open")

	// ErrChanged: the file no longer holds what was read from it.
	ErrChanged = errors.New("the file of the key of pseudonyms was changed by another process")
)

// Sealer encrypts and authenticates a few bytes together with associated data, as
// Tink's AEAD does. Decrypt must fail where the key, the ciphertext or the associated
// data is not the one of Encrypt.
type Sealer interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// associatedData binds the sealed key to its purpose and to the version of the
// format, so that no other secret of the keyset passes for it.
const associatedData = "jiragate audit pseudonym-key v1\x00"

// tinkPrefix is the length of what Tink's ciphertexts begin with: 0x01 and the id of
// the key, big endian.
// https://developers.google.com/tink/wire-format#crypto_output_prefix
const tinkPrefix = 5

// seal seals a key, and makes sure that it opens again: what nothing opens must not
// be kept, nor take the place of what opens.
func seal(secret []byte, sealer Sealer) ([]byte, error) {
	sealed, err := sealer.Encrypt(secret, []byte(associatedData))
	if err != nil {
		return nil, fmt.Errorf("seal the key of pseudonyms: %w", err)
	}
	again, err := entry{sealed: sealed}.unseal(sealer)
	if err != nil {
		return nil, fmt.Errorf("try what was sealed: %w", err)
	}
	defer clear(again)
	if !bytes.Equal(again, secret) {
		return nil, errors.New("try what was sealed: another key came out")
	}
	return sealed, nil
}

func (e entry) unseal(sealer Sealer) ([]byte, error) {
	secret, err := sealer.Decrypt(e.sealed, []byte(associatedData))
	if err != nil {
		return nil, fmt.Errorf("%w: it was sealed under another keyset or is damaged: use the keyset of this data directory, or restore both from one backup: %w", ErrWrongSealer, err)
	}
	if len(secret) != keySize {
		clear(secret)
		return nil, fmt.Errorf("what is sealed is not a key of %d bytes: %w", keySize, errRestore)
	}
	return secret, nil
}

// Reseal seals the key again, under what the sealer encrypts with now. It reports
// false where it is sealed under that already. Maskers that are open go on as they
// are. Where there is no file, it fails with [io/fs.ErrNotExist], and with
// [ErrChanged] if the file is being changed at this moment.
//
// A crash or an error leaves the file as it was or sealed anew, whole; the sealer
// must open both until Reseal has succeeded.
func Reseal(path string, sealer Sealer) (changed bool, err error) {
	fail := func(err error) (bool, error) {
		return false, fmt.Errorf("privacy: seal the key of pseudonyms in %s again: %w", path, err)
	}
	e, sum, err := read(path)
	if err != nil {
		return fail(err)
	}
	secret, err := e.unseal(sealer)
	if err != nil {
		return fail(err)
	}
	defer clear(secret)
	sealed, err := seal(secret, sealer)
	if err != nil {
		return fail(err)
	}
	before, known := sealedUnder(e.sealed)
	if now, ok := sealedUnder(sealed); ok && known && now == before {
		// An earlier attempt may have failed after it had put the file in place.
		return false, privatefile.SyncDir(filepath.Dir(path))
	}
	e.sealed = sealed
	content, err := encode(e)
	if err != nil {
		return fail(err)
	}
	err = privatefile.Replace(path, sum, content)
	if errors.Is(err, privatefile.ErrChanged) {
		err = fmt.Errorf("%w: %w: try again", ErrChanged, err)
	}
	if err != nil {
		return fail(err)
	}
	return true, nil
}

// SealedUnder tells under which key of a Tink keyset the key in the file is sealed;
// ok is false if it is not in Tink's form. It needs no sealer, and proves nothing:
// that the key opens is for [OpenKey] to say. Where there is no file, it fails with
// [io/fs.ErrNotExist].
func SealedUnder(path string) (keyID uint32, ok bool, err error) {
	e, _, err := read(path)
	if err != nil {
		return 0, false, fmt.Errorf("privacy: %w", err)
	}
	keyID, ok = sealedUnder(e.sealed)
	return keyID, ok, nil
}

func sealedUnder(ciphertext []byte) (keyID uint32, ok bool) {
	if len(ciphertext) < tinkPrefix || ciphertext[0] != 1 {
		return 0, false
	}
	return binary.BigEndian.Uint32(ciphertext[1:tinkPrefix]), true
}
