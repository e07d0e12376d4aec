package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"jiragate/tokenstore"
	"jiragate/tokenstore/records"
)

// engine is the store as its records see it.
type engine struct{ *Store }

var _ records.Engine = engine{}

// View reads in one transaction.
func (e engine) View(ctx context.Context, action string, fn func(records.Reader) error) error {
	return e.view(ctx, action, func(tx *bbolt.Tx) error { return fn(transaction{tx}) })
}

func (s *Store) view(ctx context.Context, action string, fn func(tx *bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	s.reading.RLock()
	defer s.reading.RUnlock()
	return s.run(action, func() error { return s.db.View(fn) })
}

// Update changes things in one transaction, which is on disk when it returns.
func (e engine) Update(ctx context.Context, action string, fn func(t *records.Change) error) error {
	s := e.Store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	if s.closed {
		return fmt.Errorf("%s: the store is closed: %w", action, fs.ErrClosed)
	}
	var (
		directory *tokenstore.Directory
		revision  uint64
		change    *records.Change
	)
	defer func() {
		if change == nil {
			return
		}
		for _, id := range change.Touched() {
			s.Changed(id)
		}
	}()
	err := s.run(action, func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			change = records.NewChange(transaction{tx}, s.aead, s.now(), s.Changing, nil)
			err := fn(change)
			if err != nil {
				return err
			}
			if revision, err = (transaction{tx}).NextSequence(records.Meta); err != nil {
				return err
			}
			directory, err = change.Directory(s.Directory())
			return err
		})
	})
	if errors.Is(err, records.ErrUnchanged) {
		return nil
	}
	if err != nil {
		return err
	}
	if directory != nil {
		s.directory.Store(directory)
	}
	s.revision.Store(revision)
	if change.Shreds() {
		s.unscrubbed = true
	}
	return nil
}

// AwaitRotation has nobody to wait for: no other process has the file.
func (s *Store) AwaitRotation(ctx context.Context, _ string, _ uint64) error { return ctx.Err() }

// Usable says that bbolt has broken down.
func (e engine) Usable() error {
	if broken := e.broken.Load(); broken != nil {
		return broken
	}
	return nil
}

// Batch is bound by nothing: it is one write to the disk, however many there are.
func (e engine) Batch() int { return 1 << 20 }

// run runs a transaction. After a panic in one the store is not used again:
// bbolt's state is unknown, and some of its locks may be held.
func (s *Store) run(action string, transaction func() error) error {
	if broken := s.broken.Load(); broken != nil {
		return fmt.Errorf("%s: %w", action, broken)
	}
	err := guarded(transaction)
	if pe, ok := errors.AsType[*pageError](err); ok {
		s.broken.CompareAndSwap(nil, pe)
	}
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		err = fmt.Errorf("the store is closed: %w", fs.ErrClosed)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return nil
}
