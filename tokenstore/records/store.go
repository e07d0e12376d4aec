package records

import (
	"context"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// Store has the methods of tokenstore.Store that are the same whatever keeps the records.
// They are described there.
type Store struct {
	engine Engine
	aead   tink.AEAD
	recent *recent
}

// New returns a store of what the engine keeps. The AEAD wraps the data keys, under which
// credentials are sealed. As with every keyset of Tink, its ciphertexts tell their key: they
// begin with a byte 0x01 and the key id, big endian.
func New(e Engine, a tink.AEAD) *Store {
	return &Store{engine: e, aead: a, recent: newRecent()}
}

func (s *Store) view(ctx context.Context, action string, fn func(r Reader) error) error {
	return s.engine.View(ctx, action, fn)
}

func (s *Store) update(ctx context.Context, action string, fn func(t *Change) error) error {
	return s.engine.Update(ctx, action, fn)
}

// The following are for engines, which know when what was read last is no more.

// Changing keeps calls from using what is remembered of a connection, until Changed. It is
// called before any of its records is written to.
func (s *Store) Changing(id string) { s.recent.begin(id) }

// Changed follows Changing when the transaction has ended, whichever way. Once is enough.
func (s *Store) Changed(id string) { s.recent.end(id) }

// Forget drops all that is remembered, for good.
func (s *Store) Forget() { s.recent.close() }

// Remembers reports whether the credential of a connection can be had without the engine.
func (s *Store) Remembers(connection string) bool {
	return s.recent.get(connection, s.keysetVersion()) != nil
}
