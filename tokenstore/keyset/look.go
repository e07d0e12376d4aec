package keyset

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

// A ciphertext of Tink begins with this byte and the id of its key, big endian.
const (
	tinkStart  = 0x01
	tinkPrefix = 5 // bytes
)

// lookPause is the least time between two looks at the file of the keyset for a key that
// isn't known.
const lookPause = time.Second

// UnknownKeyError says that something is sealed under a key that the keyset doesn't have,
// as one that another gateway has made, or that was dropped.
type UnknownKeyError struct {
	ID  uint32 // of the key
	err error  // why the file could not be read again; nil if it was not, or has no more
}

// Error says what to do.
func (e *UnknownKeyError) Error() string {
	s := fmt.Sprintf("it is sealed under key %d, which the keyset does not have: bring the keyset here that has it, from the gateway on which it was made, and jiragate reload", e.ID)
	if e.err != nil {
		s += " (" + e.err.Error() + ")"
	}
	return s
}

// Unwrap returns why the keyset could not be read again.
func (e *UnknownKeyError) Unwrap() error { return e.err }

// UnknownKey returns the id of the key, for those who don't know this package.
func (e *UnknownKeyError) UnknownKey() uint32 { return e.ID }

func enabled(i *tinkpb.KeysetInfo_KeyInfo) bool {
	return i.GetStatus() == tinkpb.KeyStatusType_ENABLED
}

// lacks reports whether a ciphertext names a key that is not in the keyset, or not enabled.
func (k *Keyset) lacks(ciphertext []byte) (id uint32, ok bool) {
	if len(ciphertext) < tinkPrefix || ciphertext[0] != tinkStart {
		return 0, false
	}
	id = binary.BigEndian.Uint32(ciphertext[1:])
	for _, i := range k.handle.KeysetInfo().GetKeyInfo() {
		if i.GetKeyId() == id && enabled(i) {
			return 0, false
		}
	}
	return id, true
}

// decryptUnknown is Decrypt once k has failed for want of a key: the keyset that has it may
// lie in the file already.
func (l *Live) decryptUnknown(k *Keyset, id uint32, ciphertext, associatedData []byte) ([]byte, error) {
	err := l.look(k)
	if next := l.keys.Load(); next != k {
		if _, lacks := next.lacks(ciphertext); !lacks {
			return next.Decrypt(ciphertext, associatedData)
		}
	}
	return nil, &UnknownKeyError{ID: id, err: err}
}

// look reads the file again in the place of an operator who has brought it and not
// reloaded yet. It doesn't where a service would have to be called: whoever opens
// something may hold a lock, and has no context.
func (l *Live) look(k *Keyset) error {
	if l.place == nil || l.place.kms != nil {
		return nil
	}
	l.looking.Lock()
	defer l.looking.Unlock()
	if l.keys.Load() != k || !l.looked.IsZero() && time.Since(l.looked) < lookPause {
		return nil
	}
	l.looked = time.Now()
	put, err := l.Reload(context.Background())
	if err != nil || put == nil {
		return err
	}
	put()
	l.logger.Info("the file of the keyset was read again, for a key that was not known", "keyset", l.String())
	return nil
}
