package records

import (
	"fmt"

	"jiragate/tokenstore"
)

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

// conflict is what a change says that was meant for another generation.
func conflict(meant, stored uint64) error {
	return fmt.Errorf("%w: the change is meant for generation %d of the credential, but %d is stored: read it again", tokenstore.ErrConflict, meant, stored)
}
