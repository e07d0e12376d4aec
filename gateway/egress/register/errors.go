package register

import "errors"

// The errors that a caller tells apart. Any other error is that of the file, of
// the clock, or of a register that is full.
var (
	// ErrInvalid: the address or the time that was asked for can't be taken.
	ErrInvalid = errors.New("not acceptable")
	// ErrNoChange: it is so already.
	ErrNoChange = errors.New("nothing changes")
	// ErrUnknown: the address to retire is neither announced nor in use, and
	// never was in use.
	ErrUnknown = errors.New("unknown address")
	// ErrConflict: the file no longer holds what was read from it, or another
	// process is at work on it. Nothing was changed. The register must be opened
	// again.
	ErrConflict = errors.New("changed by another process")
)
