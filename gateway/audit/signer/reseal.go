package signer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"jiragate/internal/privatefile"
)

// tinkPrefix is the length of what Tink's ciphertexts begin with: 0x01 and the id
// of the key, big endian.
// https://developers.google.com/tink/wire-format#crypto_output_prefix
const tinkPrefix = 5

// Reseal seals the private keys again, under what the sealer encrypts with now: in
// the file, then in memory. When it returns nil, the Key needs no older key of the
// sealer any more, calls of [Key.Sign] on their way included. It reports false
// where all are sealed under that one already.
//
// A crash or an error leaves the file as it was or sealed anew, whole; the sealer
// must open both until Reseal has succeeded. The signing keys stay what they are.
// It fails with [ErrChanged] if the file has got other keys since it was opened,
// or is being changed at this moment.
func (k *Key) Reseal() (changed bool, err error) {
	k.changing.Lock()
	defer k.changing.Unlock()
	entries, changed, err := reseal(k.path, k.sealer, k.checkSame)
	if err != nil {
		return false, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.entries = entries
	return changed, nil
}

// Reseal is [Key.Reseal] for a file of which no Key is open: one would go on with
// what it has in memory. Where there is no file, it fails with
// [io/fs.ErrNotExist].
func Reseal(path string, sealer Sealer) (changed bool, err error) {
	_, changed, err = reseal(path, sealer, func([]entry) error { return nil })
	return changed, err
}

// reseal returns what is in the file now.
func reseal(path string, sealer Sealer, check func([]entry) error) (_ []entry, changed bool, err error) {
	entries, sum, err := read(path)
	if err == nil {
		err = check(entries)
	}
	if err != nil {
		return nil, false, fmt.Errorf("signer: seal the signing keys in %s again: %w", path, err)
	}
	for i := range entries {
		one, err := entries[i].reseal(sealer)
		if err != nil {
			return nil, false, fmt.Errorf("signer: seal the signing keys in %s again: %w", path, err)
		}
		changed = changed || one
	}
	if err := store(path, sum, entries, changed); err != nil {
		return nil, false, fmt.Errorf("signer: store the signing keys sealed again: %w", err)
	}
	return entries, changed, nil
}

// reseal reports false where the key is sealed under the present one already, and
// leaves it alone then.
func (e *entry) reseal(sealer Sealer) (changed bool, err error) {
	p, err := e.unseal(e.sealed, sealer)
	if err != nil {
		return false, err
	}
	defer p.clear()
	sealed, err := p.seal(sealer)
	if err != nil {
		return false, err
	}
	before, known := sealedUnder(e.sealed)
	if now, ok := sealedUnder(sealed); ok && known && now == before {
		return false, nil
	}
	// A key that nothing opens must not take the place of one that opens.
	again, err := p.unseal(sealed, sealer)
	if err != nil {
		return false, fmt.Errorf("try what was sealed again: %w", err)
	}
	again.clear()
	e.sealed = sealed
	return true, nil
}

func store(path string, old privatefile.Sum, entries []entry, changed bool) error {
	if !changed {
		// An earlier attempt may have failed after it had put the file in place.
		return privatefile.SyncDir(filepath.Dir(path))
	}
	content, err := encode(entries)
	if err != nil {
		return err
	}
	err = privatefile.Replace(path, old, content)
	if errors.Is(err, privatefile.ErrChanged) {
		return fmt.Errorf("%w: %w: try again", ErrChanged, err)
	}
	return err
}

// SealedUnder tells under which keys of a Tink keyset the private keys in the file
// are sealed: each id once, in the order of the file, which is that of age. ok is
// false if one is not in Tink's form; the ids are those of the others then. It
// needs no sealer, and proves nothing: that the keys open is for [Open] to say.
// Where there is no file, it fails with [io/fs.ErrNotExist].
func SealedUnder(path string) (keyIDs []uint32, ok bool, err error) {
	entries, _, err := read(path)
	if err != nil {
		return nil, false, fmt.Errorf("signer: %w", err)
	}
	ok = true
	for _, e := range entries {
		id, known := sealedUnder(e.sealed)
		if ok = ok && known; known && !slices.Contains(keyIDs, id) {
			keyIDs = append(keyIDs, id)
		}
	}
	return keyIDs, ok, nil
}

func sealedUnder(ciphertext []byte) (keyID uint32, ok bool) {
	if len(ciphertext) < tinkPrefix || !bytes.HasPrefix(ciphertext, []byte{1}) {
		return 0, false
	}
	return binary.BigEndian.Uint32(ciphertext[1:tinkPrefix]), true
}
