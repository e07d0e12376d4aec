package etcd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"jiragate/tokenstore/records"
)

// Source is a store that is moved away. Once it is held no gateway opens it, nor changes
// anything in it, until it is closed.
type Source struct {
	store *Store
	marked
	prefix string
	stop   context.CancelFunc
}

// OpenSource opens a store that is to be moved. Errors are those of [Open], but that one that was
// moved opens, and fs.ErrNotExist.
func OpenSource(ctx context.Context, o Options) (*Source, error) {
	s, err := openSource(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("opening the store in etcd, below %s: %w", o.Prefix, err)
	}
	return s, nil
}

func openSource(ctx context.Context, o Options) (*Source, error) {
	store, err := newStore(o)
	if err != nil {
		return nil, explained(ctx, o, err)
	}
	s := &Source{store: store, marked: marked{client: store.client, keys: store.keys}, prefix: o.Prefix}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(explained(ctx, o, err), s.Close())
	}
	return s, nil
}

func (s *Source) start(ctx context.Context) error {
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := s.store.session.open(opening); err != nil {
		return err
	}
	if _, _, err := s.look(opening); err != nil {
		return err
	}
	t := newTx(opening, s.client, s.keys)
	schema, err := t.Get(records.Meta, records.SchemaKey)
	switch {
	case err != nil:
		return err
	case schema == nil && s.mark.State != "":
		return s.mark.Err()
	case schema == nil:
		return fmt.Errorf("there is no store: %w", fs.ErrNotExist)
	}
	if _, err := records.AcceptMarked(t, s.store.aead, records.Schema); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.store.running.Go(func() { s.store.session.run(running) })
	return nil
}

// Mark is the mark that it has.
func (s *Source) Mark() records.Mark { return s.mark }

// Hold writes a mark that goes with the command, if no gateway has the store open; otherwise the
// error matches tokenstore.ErrLocked.
func (s *Source) Hold(ctx context.Context, m records.Mark) error {
	err := s.hold(ctx, m)
	if err != nil {
		return fmt.Errorf("holding the store in etcd, below %s: %w", s.prefix, err)
	}
	return nil
}

func (s *Source) hold(ctx context.Context, m records.Mark) error {
	l, err := s.store.session.held(ctx)
	if err != nil {
		return err
	}
	err = s.write(ctx, m, l.id, s.atRest())
	if !errors.Is(err, errMeanwhile) {
		return err
	}
	if _, _, err := s.look(ctx); err != nil {
		return err
	}
	if s.mark.State != "" {
		return s.mark.Err()
	}
	return s.busy(ctx)
}

// Read calls fn with all there is, as of one revision. It is in memory meanwhile.
func (s *Source) Read(ctx context.Context, fn func(records.Reader) error) error {
	t, err := s.whole(ctx)
	if err != nil {
		return fmt.Errorf("reading the store in etcd, below %s: %w", s.prefix, err)
	}
	return fn(t)
}

// SetMark replaces the mark that was found, or that Hold has written, for good.
func (s *Source) SetMark(ctx context.Context, m records.Mark) error {
	err := s.write(ctx, m, 0, nil)
	if errors.Is(err, errMeanwhile) {
		err = errors.New("etcd has ended the lease of this command, so the store was not held all the time: run the command again")
	}
	if err != nil {
		return fmt.Errorf("marking the store in etcd, below %s: %w", s.prefix, err)
	}
	return nil
}

// Close gives the lease back, and with it the mark that Hold has written.
func (s *Source) Close() error {
	if s.stop != nil {
		s.stop()
	}
	return s.store.Close()
}
