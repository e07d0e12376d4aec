package keyset

import (
	"context"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
)

// A prepared key is an enabled one that comes after the primary key in the keyset.
//
// Its place is enough to know it by. Tink's manager adds keys at the end, and neither
// making one primary nor deleting one moves the others; both of its forms, in clear and
// encrypted, are lists. A key becomes primary here either at once, when it is the last,
// or later, by [Keyset.promote], which goes forward only. So a key after the primary one
// has never been primary in this copy of the keyset, and this copy has sealed nothing
// under it. The place goes wherever the keyset is copied to, which a note beside it
// wouldn't.
//
// Another gateway, whose copy is newer, may have made it primary already. Then it is
// right here, too, to do so, and never to drop it. The same holds for a keyset whose owner
// has gone back to an older primary key by Tink's own tools.
func (k *Keyset) prepared() []uint32 {
	var ids []uint32
	after := false
	for _, i := range k.handle.KeysetInfo().GetKeyInfo() {
		switch {
		case i.GetKeyId() == k.primary:
			after = true
		case after && enabled(i):
			ids = append(ids, i.GetKeyId())
		}
	}
	return ids
}

// add returns a keyset that has one more key, which seals nothing, and its id.
func (k *Keyset) add() (*Keyset, uint32, error) {
	m := tinkkeyset.NewManagerFromHandle(k.handle)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, 0, fmt.Errorf("adding a key: %w", err)
	}
	handle, err := m.Handle()
	if err != nil {
		return nil, 0, fmt.Errorf("adding a key: %w", err)
	}
	next, err := fromHandle(handle)
	return next, id, err
}

// prepare is add, where no key is prepared yet.
func (k *Keyset) prepare() (*Keyset, error) {
	if len(k.prepared()) > 0 {
		return k, nil
	}
	next, _, err := k.add()
	return next, err
}

// promote returns a keyset whose primary key is the prepared one. If there are several,
// it is the oldest: other gateways are the likeliest to have that.
func (k *Keyset) promote() (*Keyset, error) {
	ids := k.prepared()
	if len(ids) == 0 {
		return nil, ErrNotPrepared
	}
	return k.withPrimary(ids[0])
}

func (k *Keyset) withPrimary(id uint32) (*Keyset, error) {
	m := tinkkeyset.NewManagerFromHandle(k.handle)
	if err := m.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("making key %d primary: %w", id, err)
	}
	handle, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("making key %d primary: %w", id, err)
	}
	return fromHandle(handle)
}

// Prepare adds a key that opens, but doesn't seal until it is promoted, and returns its
// id. So a keyset can be brought to every gateway that shares a store before the first
// of them seals under the new key. Where a key is prepared already, that is the answer,
// and nothing changes.
//
// Errors are as with [Live.Rotate].
func (l *Live) Prepare(ctx context.Context) (id uint32, err error) {
	next, err := l.change(ctx, (*Keyset).prepare)
	if err != nil {
		return 0, fmt.Errorf("preparing a key: %w", err)
	}
	return next.prepared()[0], nil
}

// Promote makes the prepared key the primary one, and returns its id. The error matches
// [ErrNotPrepared] where there is none, and else is as with [Live.Rotate].
func (l *Live) Promote(ctx context.Context) (primary uint32, err error) {
	next, err := l.change(ctx, (*Keyset).promote)
	if err != nil {
		return 0, fmt.Errorf("rotating the keyset: %w", err)
	}
	return next.primary, nil
}
