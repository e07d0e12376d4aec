package tokenstore

import (
	"errors"
	"strconv"
)

// Errors of opening a store.
var (
	// ErrLocked: another process has the store open.
	ErrLocked = errors.New("the store is in use by another process")
	// ErrWrongKey: the store was sealed under another keyset.
	ErrWrongKey = errors.New("the keyset does not open this store")
	// ErrSchemaTooNew: the store was written by a newer version of the program.
	ErrSchemaTooNew = errors.New("the store was written by a newer version")
	// ErrCorrupt: the store, or a record in it, is not as it was written. Any
	// operation can return it.
	ErrCorrupt = errors.New("the store is damaged")
	// ErrMoved: the store is somewhere else now. What is left here is not to be used: its
	// refresh tokens may have been replaced since.
	ErrMoved = errors.New("the store was moved")
	// ErrMoving: the store is being moved, from here or to here. The wrapping error says by
	// which command.
	ErrMoving = errors.New("the store is being moved")
)

// Errors of a store that several gateways share.
var (
	// ErrUnavailable: the store can't be reached, or was not confirmed for longer than what
	// is remembered of it may be used. It passes.
	ErrUnavailable = errors.New("the store is not available")
)

// Errors of reading and changing records.
var (
	// ErrNotFound: there is no such connection, client or grant, or no longer.
	ErrNotFound = errors.New("not found")
	// ErrExists: there is a record of that name, or a client with that token.
	ErrExists = errors.New("exists already")
	// ErrConflict: the credential, or the connection, was replaced since it was read.
	ErrConflict = errors.New("changed in the meantime")
	// ErrClaimed: another process of the fleet has the claim of the rotation. Wait
	// with [Store.AwaitRotation].
	ErrClaimed = errors.New("another gateway is renewing it")
	// ErrLapsed: the claim of a rotation has lapsed, and another process has taken
	// it, or may have.
	ErrLapsed = errors.New("the claim of the rotation has lapsed")
	// ErrInvalid: what should be stored is not in the form it must have. The
	// wrapped error says which form that is.
	ErrInvalid = errors.New("not valid")
)

// invalidError is what all Validate methods return. It matches [ErrInvalid].
type invalidError struct {
	what string // the record, for instance `connection "acme"`
	err  error  // what is wrong with it, and the form to use
}

func (e *invalidError) Error() string        { return e.what + ": " + e.err.Error() }
func (e *invalidError) Is(target error) bool { return target == ErrInvalid }
func (e *invalidError) Unwrap() error        { return e.err }

// printable quotes text of unknown origin for an error, cut at a length that
// names and ids never have.
func printable(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
