package bolt

import (
	"context"
	"fmt"
)

// RemoveConnection removes a connection and all that hangs on it, and overwrites
// what the file still holds of it.
func (s *Store) RemoveConnection(ctx context.Context, id string, incarnation uint64) error {
	if err := s.Store.RemoveConnection(ctx, id, incarnation); err != nil {
		return err
	}
	if err := s.shred(); err != nil {
		return fmt.Errorf("removing connection %s: it is removed, but its data key is not shredded yet; opening the store again tries again: %w", id, err)
	}
	return nil
}

// Rewrap seals records anew that are not under the primary key, all in one transaction. A
// record that does not open is left out, and is in the error, after all others.
func (s *Store) Rewrap(ctx context.Context, limit int) (left int, err error) {
	left, damaged, err := s.Reseal(ctx, limit)
	if err != nil {
		return 0, err
	}
	const action = "sealing records anew"
	if left == damaged.Count() {
		if err := s.shred(); err != nil {
			return left, fmt.Errorf("%s: %w", action, err)
		}
	}
	if err := damaged.Err(); err != nil {
		return left, fmt.Errorf("%s: %w", action, err)
	}
	return left, nil
}

// shred overwrites what a change has left in pages that are not in use. Where another call,
// or Close, has been faster, it is done.
func (s *Store) shred() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.unscrubbed || s.closed {
		return nil
	}
	return s.scrub()
}
