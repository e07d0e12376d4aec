package certs

import "errors"

// The errors that callers tell apart. Match them with [errors.Is]: they come
// wrapped with the file or host concerned and with what to do.
var (
	// ErrHostNotPermitted: a certificate was asked for a host outside the set
	// of [Authority.SetHosts].
	ErrHostNotPermitted = errors.New("host belongs to no connection")

	// ErrTooMany: more certificates were asked for at once than are made.
	ErrTooMany = errors.New("too many certificates are being made")

	// ErrRootNotValid: the root has expired, or the clock stands before its
	// first day.
	ErrRootNotValid = errors.New("root certificate is not valid now")

	// ErrWrongSealer: the sealed key does not open with the [Sealer] given:
	// another keyset, or a damaged file.
	ErrWrongSealer = errors.New("sealed root key does not open")

	// ErrFilesDisagree: one of the root's two files is missing or they hold
	// different roots.
	ErrFilesDisagree = errors.New("root files do not belong together")

	// ErrRootExists: [Import] would overwrite a root.
	ErrRootExists = errors.New("a root exists already")

	// ErrBrought: the root was brought by its operator, so that the one after it is
	// theirs to make.
	ErrBrought = errors.New("the root is one that was brought, and none is made to follow it")

	// ErrNotPrepared: there is no root that could take the present one's place.
	ErrNotPrepared = errors.New("no root is prepared")

	// ErrUnfinished: the next root signs, and something that comes after that has failed.
	ErrUnfinished = errors.New("the root is rotated, but something is left to do")
)
