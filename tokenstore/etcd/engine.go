package etcd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/records"
)

const (
	// changeTimeout bounds a change, with all its attempts.
	changeTimeout = 10 * time.Second
	// looks is how often a view is begun anew of which etcd has forgotten the revision.
	looks = 3
	// maxConflictPause bounds the pause before a change is tried again that met another one.
	maxConflictPause = 200 * time.Millisecond
)

// engine is the store as its records see it.
type engine struct{ *Store }

var _ records.Engine = engine{}

// View reads as of one revision, that of its beginning, which a majority of the members has
// confirmed.
func (e engine) View(ctx context.Context, action string, fn func(records.Reader) error) error {
	s := e.Store
	leave, err := s.enter(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	defer leave()
	for range looks {
		if err = fn(newTx(ctx, s.client, s.keys)); !errors.Is(err, errMeanwhile) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return nil
}

// Update changes things in one transaction. When it returns, the picture of this gateway shows
// it, and that of any other within moments.
func (e engine) Update(ctx context.Context, action string, fn func(t *records.Change) error) error {
	s := e.Store
	leave, err := s.enter(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	defer leave()
	// Once begun it is carried through.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTimeout)
	defer cancel()
	slot, err := take(ctx, s.slots)
	if err != nil {
		return fmt.Errorf("%s: %w: too many changes are under way: %w", action, tokenstore.ErrUnavailable, err)
	}
	defer func() { s.slots <- slot }()
	for attempt := 0; ; attempt++ {
		if attempt == 1 {
			// Those of one gateway that meet one another don't go on doing so.
			s.again.Lock()
			defer s.again.Unlock()
		}
		revision, err := s.attempt(ctx, slot, fn)
		switch {
		case err == nil:
			return s.shown(ctx, action, revision)
		case errors.Is(err, records.ErrUnchanged):
			return nil
		case !errors.Is(err, errMeanwhile):
			// What it ran into the caller will look at.
			if revision > s.picture.revision() {
				err = errors.Join(err, s.shown(ctx, action, revision))
			}
			return fmt.Errorf("%s: %w", action, err)
		}
		if pause(ctx, conflictPause(attempt)); ctx.Err() != nil {
			return fmt.Errorf("%s: %w: others have changed the same again and again: %w", action, tokenstore.ErrUnavailable, ctx.Err())
		}
	}
}

// attempt reads, decides and writes once. The revision is that of the change, or the one in
// which fn has found what it doesn't like.
func (s *Store) attempt(ctx context.Context, slot *slot, fn func(t *records.Change) error) (revision int64, err error) {
	l, err := s.session.held(ctx)
	if err != nil {
		return 0, err
	}
	t := newTx(ctx, s.client, s.keys)
	change := records.NewChange(t, s.aead, s.now(), nil, member{t, l, s.node})
	if err := fn(change); err != nil {
		return t.revision, err
	}
	if len(t.writes) == 0 && len(t.erased) == 0 {
		return t.revision, nil
	}
	return t.commit(l, slot)
}

// member is this gateway among those that share the store.
type member struct {
	t    *tx
	l    *lease
	node string
}

func (m member) Session() string         { return m.l.name() }
func (m member) Node() string            { return m.node }
func (m member) Lease() tokenstore.Lease { return m.l }

// Fence is the revision that the transaction reads: whoever has claimed the same before has
// read an earlier one.
func (m member) Fence() uint64 { return uint64(m.t.revision) }

// shown returns when the picture has a change.
func (s *Store) shown(ctx context.Context, action string, revision int64) error {
	if s.picture.revision() < revision {
		// What was changed may be nothing that is followed.
		go func() { _ = s.progress(ctx) }()
	}
	if err := s.picture.await(ctx, revision); err != nil {
		return fmt.Errorf("%s: %w: this gateway does not see yet what has happened: %w", action, tokenstore.ErrUnavailable, err)
	}
	return nil
}

func conflictPause(attempt int) time.Duration {
	return rand.N(min(time.Millisecond<<min(attempt, 10), maxConflictPause) + 1)
}

// enter is ready, and keeps the store from being closed until leave is called.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	s.use.RLock()
	if err := s.ready(ctx); err != nil {
		s.use.RUnlock()
		return nil, err
	}
	return s.use.RUnlock, nil
}

// ready says why nothing can be asked of etcd, without asking.
func (s *Store) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return fmt.Errorf("the store is closed: %w", fs.ErrClosed)
	}
	if since, err := s.reach.away(); err != nil {
		if !errors.Is(err, tokenstore.ErrUnavailable) {
			err = fmt.Errorf("%w: %w", tokenstore.ErrUnavailable, err)
		}
		return fmt.Errorf("etcd has been away for %s: %w", s.now().Sub(since).Round(time.Second), err)
	}
	return nil
}

// Usable says how long ago the picture was confirmed, if that is too long. A clock that was set
// forward counts as well as one that stood still while the machine slept.
func (e engine) Usable() error {
	s := e.Store
	if s.closed.Load() {
		return fmt.Errorf("the store is closed: %w", fs.ErrClosed)
	}
	if s.picture.confirmed.Load() == nil {
		return fmt.Errorf("%w: it is being opened", tokenstore.ErrUnavailable)
	}
	confirmed, now := *s.picture.confirmed.Load(), s.now()
	if age := max(now.Sub(confirmed), now.Round(0).Sub(confirmed.Round(0))); age > s.staleness {
		return fmt.Errorf("%w: etcd was last heard of %s ago, and what is remembered may be used for %s: see that etcd's members are up and reachable",
			tokenstore.ErrUnavailable, age.Round(time.Second), s.staleness)
	}
	return nil
}

// Batch is how many records fit into one change, on which each depends by five.
func (e engine) Batch() int { return 10 }
