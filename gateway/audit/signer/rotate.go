package signer

import (
	"fmt"
	"slices"
	"time"
)

// Rotate makes a new key, which signs from now on, and returns its verifier. The
// keys before it verify what they have signed; the newest of them vouches for the
// new one, in what [Key.Successions] returns.
//
// A call of [Key.Sign] on its way may still sign with the key before. A crash or
// an error leaves the file as it was or with the new key and its succession,
// whole; nothing is signed with a key that is not on disk. It fails with
// [ErrChanged] if the file has got other keys since it was opened, or is being
// changed at this moment. A file holds
// 120 keys at most; where those are there, it fails with [ErrFull].
func (k *Key) Rotate() (verifier string, err error) { return k.rotate(k.Name()) }

// rotate is Rotate to a key of the given name.
func (k *Key) rotate(name string) (verifier string, err error) {
	k.changing.Lock()
	defer k.changing.Unlock()
	entries, sum, err := read(k.path)
	if err == nil {
		err = k.checkSame(entries)
	}
	if err != nil {
		return "", fmt.Errorf("signer: rotate the signing key in %s: %w", k.path, err)
	}
	next, err := successor(entries, name, k.sealer, k.now())
	if err != nil {
		return "", fmt.Errorf("signer: rotate the signing key in %s: %w", k.path, err)
	}
	entries = append(entries, next)
	if err := store(k.path, sum, entries, true); err != nil {
		return "", fmt.Errorf("signer: store a new signing key in %s: %w", k.path, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.entries = entries
	return next.text, nil
}

// successor makes a key of the given name that follows the last of entries.
func successor(entries []entry, name string, sealer Sealer, now time.Time) (entry, error) {
	if len(entries) >= maxKeys {
		return entry{}, fmt.Errorf("%w: it holds %d, and the newest one goes on signing", ErrFull, maxKeys)
	}
	last := entries[len(entries)-1]
	older, err := last.unseal(last.sealed, sealer)
	if err != nil {
		return entry{}, err
	}
	defer older.clear()
	newer, err := generate(name)
	if err != nil {
		return entry{}, err
	}
	defer newer.clear()
	sealed, err := newer.sealTried(sealer)
	if err != nil {
		return entry{}, err
	}
	succession, err := succeed(older, newer)
	if err != nil {
		return entry{}, err
	}
	return entry{newer.identity, now.UTC().Truncate(time.Second), sealed, succession}, nil
}

// checkSame tells whether the file has the keys that are in use here.
func (k *Key) checkSame(entries []entry) error {
	if !slices.Equal(texts(entries), k.Verifiers()) {
		return fmt.Errorf("%w: it holds other keys than those in use: restart", ErrChanged)
	}
	return nil
}
