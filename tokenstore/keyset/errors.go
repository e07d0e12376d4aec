package keyset

import "errors"

// The errors that callers tell apart. Match them with [errors.Is]: they come
// wrapped with what was attempted and with what to do.
var (
	// ErrReadOnly: the keyset can't be changed where it is kept.
	ErrReadOnly = errors.New("the keyset can't be changed where it is kept")

	// ErrNotPrepared: no key waits to become the primary one.
	ErrNotPrepared = errors.New("no key of the keyset is prepared")

	// ErrChanged: the file of the keyset is no longer what was read from it.
	ErrChanged = errors.New("the file of the keyset was changed by another process")
)
