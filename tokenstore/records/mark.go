package records

import (
	"fmt"
	"strconv"

	"jiragate/tokenstore"
)

// MarkKey is the key in [Meta] of a [Mark]. A store that has one is not opened, so that no two
// stores are alive that have the same refresh tokens: using one that was replaced in the other
// can end the whole grant.
const MarkKey = "moving"

// OriginKey is the key in [Meta] of the id of the migration that has brought the store here.
// It tells one that was finished from a store that somebody else has made.
const OriginKey = "moved_from"

// MarkState says how far a migration is.
type MarkState string

// The states, in their order.
const (
	// Copying: the store is read. The mark goes with the command that does it.
	Copying MarkState = "copying"
	// Filling is that of the new store until it has all.
	Filling MarkState = "filling"
	// Leaving: the new store has all, and may have been opened.
	Leaving MarkState = "leaving"
	// Moved: the new store is open to all.
	Moved MarkState = "moved"
)

// Mark says that a store is being moved or was. Its zero value is that of a store that isn't.
type Mark struct {
	State MarkState `json:"state"`
	// ID is that of the migration; a [Copying] mark has none.
	ID string `json:"id,omitempty"`
	// From and To are addresses in the form of JIRAGATE_STORE, which has no secrets in it.
	From string `json:"from"`
	To   string `json:"to"`
	// Digest is that of the records which are moved, see [Digest].
	Digest string `json:"digest,omitempty"`
	// What was copied last, in the order of [Buckets] and of keys, and how many records were.
	Bucket Bucket `json:"bucket,omitempty"`
	Key    []byte `json:"key,omitempty"`
	Copied int    `json:"copied,omitempty"`
	// Nonce is another one each time that the mark is written.
	Nonce string `json:"nonce,omitempty"`
}

// Err says why a store with that mark is not opened; nil where there is no mark.
func (m *Mark) Err() error {
	switch m.State {
	case "":
		return nil
	case Moved:
		return fmt.Errorf("%w to %s: set JIRAGATE_STORE=%[2]s", tokenstore.ErrMoved, m.To)
	case Copying:
		return fmt.Errorf("%w to %s: wait until the command that does it has ended; one that was killed counts as at work for some seconds", tokenstore.ErrMoving, m.To)
	case Filling:
		return fmt.Errorf("%w, and not all of it is here: run jiragate store migrate --from %s --to %s again, which goes on with it", tokenstore.ErrMoving, m.From, m.To)
	default:
		return fmt.Errorf("%w to %s, which was interrupted at its end: run jiragate store migrate --from %s --to %[2]s again", tokenstore.ErrMoving, m.To, m.From)
	}
}

// Encode returns the record.
func (m *Mark) Encode() ([]byte, error) { return encode(m) }

// ReadMark returns the mark of a store; the zero value where there is none.
func ReadMark(r Reader) (Mark, error) {
	v, err := r.Get(Meta, MarkKey)
	if err != nil || v == nil {
		return Mark{}, err
	}
	return DecodeMark(v)
}

// DecodeMark reads the record.
func DecodeMark(v []byte) (m Mark, err error) {
	if err := decode(v, &m); err != nil {
		return Mark{}, corruptf("the record of where it is moved: %v", err)
	}
	if m.State == "" {
		return Mark{}, corruptf("the record of where it is moved has no state")
	}
	return m, nil
}

// Copied reports whether a record goes along when the store is copied: all do that say nothing
// of where it is.
func Copied[K string | []byte](b Bucket, key K) bool {
	return b != Meta || string(key) != MarkKey && string(key) != OriginKey
}

// Name names a record in errors. Digests of tokens are not shown.
func Name[K string | []byte](b Bucket, key K) string {
	if b == ClientTokens {
		return "a record of " + string(b)
	}
	return "record " + strconv.QuoteToASCII(string(key)) + " of " + string(b)
}
