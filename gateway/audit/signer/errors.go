package signer

import "errors"

// The errors that callers tell apart. Match them with [errors.Is]: they come
// wrapped with the file concerned and with what to do.
var (
	// ErrWrongSealer: a private key does not open with the [Sealer] given: another
	// keyset, or a damaged file.
	ErrWrongSealer = errors.New("sealed signing key does not open")

	// ErrUnsigned: none of the given verifiers has signed the note.
	ErrUnsigned = errors.New("not signed by any of the given keys")

	// ErrFull: the file holds as many keys as fit.
	ErrFull = errors.New("no more signing keys fit")

	// ErrChanged: the file no longer holds what was read from it.
	ErrChanged = errors.New("the file of the signing key was changed by another process")
)
