package records

import (
	"context"
	"errors"
)

// Engine is what keeps the records: buckets of keys and values, with transactions.
// Its methods may be called from several goroutines at once. The action is what is
// attempted, for the errors.
type Engine interface {
	// View calls fn with a picture of one moment, that of its beginning or later. fn
	// may be called again if it could not be had as a whole.
	View(ctx context.Context, action string, fn func(r Reader) error) error
	// Update calls fn with a transaction, made with [NewChange], that is carried
	// through if fn returns nil, and stored by the time that Update returns; the
	// directory shows it then. If fn returns [ErrUnchanged] nothing is written, and
	// there is no error. fn may be called again if somebody else was faster: what it
	// sets outside of itself, it must set each time.
	Update(ctx context.Context, action string, fn func(t *Change) error) error
	// Usable says why what is known of the store may not be used any more: then no
	// credential is handed out, even if it could be read, since it would go with grants and
	// states that nobody has confirmed. It costs next to nothing.
	Usable() error
	// Batch is how many records one change may seal anew.
	Batch() int
}

// Reader reads in a transaction.
type Reader interface {
	// Get returns the value of a key, or nil. It is not to be changed, nor used after the
	// transaction.
	Get(b Bucket, key string) ([]byte, error)
	// Has reports whether there is a key, whatever its value is or becomes.
	Has(b Bucket, key string) (bool, error)
	// Prefetch says which keys will be asked for, as far as that is known.
	Prefetch(b Bucket, keys []string) error
	// Each calls fn with the keys that begin with prefix, sorted, and their values, for
	// which the same holds. The transaction is not changed meanwhile.
	Each(b Bucket, prefix string, fn func(key, value []byte) error) error
	// Sequence returns the number that NextSequence gave last, or 0.
	Sequence(b Bucket) (uint64, error)
}

// Writer changes things in a transaction, which sees its own changes.
type Writer interface {
	Reader
	Put(b Bucket, key string, value []byte) error
	Delete(b Bucket, key string) error
	// DeleteAll deletes the keys that begin with prefix.
	DeleteAll(b Bucket, prefix string) error
	// NextSequence returns a number that is one more than the last one of that bucket,
	// whatever became of what that one was for.
	NextSequence(b Bucket) (uint64, error)
}

// ErrUnchanged ends a transaction that has nothing to write.
var ErrUnchanged = errors.New("nothing to change")
