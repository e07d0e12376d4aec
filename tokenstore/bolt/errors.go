package bolt

import (
	"fmt"

	"jiragate/tokenstore"
)

// corruptf returns an error that matches tokenstore.ErrCorrupt.
func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", tokenstore.ErrCorrupt, fmt.Errorf(format, args...))
}
