package keyset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/internal/privatefile"
)

// Live is the keyset in use, which can be changed while the program runs. It is
// safe for concurrent use, and prints without its keys.
type Live struct {
	place    *place // nil: read only
	keys     atomic.Pointer[Keyset]
	version  atomic.Uint64 // of keys
	changing sync.Mutex
	stored   privatefile.Sum // of the file; guarded by changing
	logger   *slog.Logger

	looking sync.Mutex
	looked  time.Time // for a key that was not known; guarded by looking
}

var _ tink.AEAD = (*Live)(nil)

// KeyInfo tells of a key what is no secret.
type KeyInfo struct {
	ID       uint32 // with which its ciphertexts begin, after a byte 0x01, big endian
	Primary  bool   // it seals
	Prepared bool   // it opens, and is to be the primary one next: see [Live.Prepare]
	Status   string // enabled, disabled or destroyed; only the first opens anything
}

// Encrypt implements [tink.AEAD], under the primary key.
func (l *Live) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	return l.keys.Load().Encrypt(plaintext, associatedData)
}

// Decrypt implements [tink.AEAD], under whichever key it was encrypted. If that is not in
// the keyset, the file: of the keyset is read again where it has changed, at most once a
// second; and if it isn't in that either, the error is an [UnknownKeyError].
func (l *Live) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	k := l.keys.Load()
	plaintext, err := k.Decrypt(ciphertext, associatedData)
	if err == nil {
		return plaintext, nil
	}
	if id, lacks := k.lacks(ciphertext); lacks {
		return l.decryptUnknown(k, id, ciphertext, associatedData)
	}
	return nil, err
}

// PrimaryKeyID returns the id of the key that seals.
func (l *Live) PrimaryKeyID() uint32 { return l.keys.Load().primary }

// KeyIDs returns the ids of all keys, the oldest first.
func (l *Live) KeyIDs() []uint32 { return l.keys.Load().ids() }

// Keys describes all keys, the oldest first.
func (l *Live) Keys() []KeyInfo { return l.keys.Load().keys() }

// Stored returns when the keyset was stored last: as it was made, and whenever it was
// rotated, a key was prepared, keys were dropped or its file was put back. No key is younger; how old they
// are, a keyset does not say. ok is false where it comes from an environment variable
// or its file can't be looked at.
func (l *Live) Stored() (at time.Time, ok bool) {
	if l.place == nil {
		return time.Time{}, false
	}
	info, err := os.Lstat(l.place.path)
	if err != nil {
		return time.Time{}, false
	}
	return info.ModTime().UTC(), true
}

// Rotate makes another key the primary one, the prepared one or else a new one, and
// returns its id. The old keys stay, for reading. The keyset is on disk before the new
// key seals anything. Where gateways share a store, use [Live.Promote]: what is sealed
// under a key that was not prepared they can't open until they have the keyset.
//
// After an error the keyset in use is the one before. The file then holds that
// one or the new one, whole, and either opens everything. The errors match
// [ErrReadOnly] where the keyset can't be stored, and [ErrChanged] where its file
// is no longer the one that was read: [Live.Reload] reads it again. What the file holds
// already, since the same was done to it elsewhere, is no error.
func (l *Live) Rotate(ctx context.Context) (primary uint32, err error) {
	next, err := l.change(ctx, (*Keyset).Rotate)
	if err != nil {
		return 0, fmt.Errorf("rotating the keyset: %w", err)
	}
	return next.primary, nil
}

// Drop removes keys, of which none is the primary one. The keyset is on disk
// without them before they are gone from memory. The caller has made sure that
// nothing is sealed under them any more, backups that are to be kept included:
// that can't be opened again.
//
// Errors are as with [Live.Rotate]. Nothing is dropped where one of the ids can't be.
func (l *Live) Drop(ctx context.Context, ids ...uint32) error {
	if len(ids) == 0 {
		return nil
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	_, err := l.change(ctx, func(k *Keyset) (*Keyset, error) { return k.without(ids) })
	if err != nil {
		return fmt.Errorf("dropping keys: %w", err)
	}
	return nil
}

func (l *Live) change(ctx context.Context, f func(*Keyset) (*Keyset, error)) (*Keyset, error) {
	if l.place == nil {
		return nil, fmt.Errorf("%w: it comes from an environment variable; put the JSON into a file of mode 0600, do it again with the key URI file:PATH, and set the variable to the JSON that is in the file then", ErrReadOnly)
	}
	l.changing.Lock()
	defer l.changing.Unlock()
	next, err := f(l.keys.Load())
	if err != nil {
		return nil, err
	}
	if next == l.keys.Load() {
		return next, nil
	}
	stored, err := l.place.replace(ctx, l.stored, next)
	if errors.Is(err, ErrChanged) {
		// The file may be that of another gateway, on which the same was done before.
		if there, sum, readErr := l.place.read(ctx); readErr == nil && slices.Equal(there.keys(), next.keys()) {
			next, stored, err = there, sum, nil
		}
	}
	if err != nil {
		return nil, err
	}
	l.stored = stored
	l.put(next)
	return next, nil
}

// put puts a keyset in use.
func (l *Live) put(next *Keyset) {
	l.keys.Store(next)
	l.version.Add(1) // second, so that what is done by an old keyset has an old version
}

// Version is another one after each change of the keyset: who asks for it before
// opening something knows later whether that is still to be opened.
func (l *Live) Version() uint64 { return l.version.Load() }

// Reload reads the keyset again, which somebody may have brought from elsewhere. It
// must have each key of the one in use, enabled: what is sealed under a key that is
// not there would be lost. put, which is nil where nothing has changed, puts it in
// use; until then, and after an error, nothing has changed. The error matches
// [ErrReadOnly] where the keyset can't be read again.
func (l *Live) Reload(ctx context.Context) (put func(), err error) {
	if l.place == nil {
		return nil, fmt.Errorf("%w: it comes from an environment variable, which is read at the start only", ErrReadOnly)
	}
	l.changing.Lock()
	defer l.changing.Unlock()
	// First by its sum: a key management service is called for what has changed only.
	sum, err := l.place.sum()
	if err != nil {
		return nil, fmt.Errorf("reading the keyset again: %w", err)
	}
	if sum == l.stored {
		return nil, nil
	}
	next, sum, err := l.place.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the keyset again: %w", err)
	}
	present := l.keys.Load()
	for _, k := range present.keys() {
		if !slices.ContainsFunc(next.keys(), func(n KeyInfo) bool { return n.ID == k.ID && n.Status == k.Status }) {
			return nil, fmt.Errorf("reading the keyset again: file %s has no key %d as the one in use has it: put the keyset back, or add that key to it; keys are dropped with jiragate key rewrap --drop-old-keys", l.place.path, k.ID)
		}
	}
	return func() {
		l.changing.Lock()
		defer l.changing.Unlock()
		if l.keys.Load() == present { // otherwise the file has changed back and been rotated since
			l.put(next)
			l.stored = sum
		}
	}, nil
}

// Format implements [fmt.Formatter], as that of [Keyset].
func (l *Live) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, l.String())
}

// String returns the number of keys and the id of the primary key.
func (l *Live) String() string { return l.keys.Load().String() }
