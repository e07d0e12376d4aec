package bolt

import (
	"errors"
	"fmt"

	"jiragate/tokenstore"
)

// errUnchanged ends a transaction that has nothing to write.
var errUnchanged = errors.New("nothing to change")

// corruptf returns an error that matches tokenstore.ErrCorrupt.
func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", tokenstore.ErrCorrupt, fmt.Errorf(format, args...))
}

// invalidf returns an error that matches tokenstore.ErrInvalid.
func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", tokenstore.ErrInvalid, fmt.Errorf(format, args...))
}

func notFound(what, name string) error {
	return fmt.Errorf("%s %q: %w", what, name, tokenstore.ErrNotFound)
}

func exists(what, name string) error {
	return fmt.Errorf("%s %q: %w", what, name, tokenstore.ErrExists)
}
