package bolt

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"jiragate/internal/privatefile"
	"jiragate/tokenstore"
	"jiragate/tokenstore/records"
)

// Source is a store that is moved away. Nobody else has the file until it is closed.
type Source struct {
	store *Store
	mark  records.Mark
}

// OpenSource opens a store that is to be moved. Errors are those of [Open], but that one that
// was moved opens, and fs.ErrNotExist.
func OpenSource(ctx context.Context, o Options) (*Source, error) {
	s, err := openSource(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", o.Path, err)
	}
	return s, nil
}

func openSource(ctx context.Context, o Options) (*Source, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = defaultLockTimeout
	}
	sc := currentSchema()
	sc.marked = true
	store, err := attach(ctx, o, sc, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	s := &Source{store: store}
	err = s.Read(ctx, func(r records.Reader) (err error) {
		s.mark, err = records.ReadMark(r)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return s, nil
}

// Mark is the mark that it has.
func (s *Source) Mark() records.Mark { return s.mark }

// Hold has nothing to do: the file is locked.
func (s *Source) Hold(ctx context.Context, _ records.Mark) error { return ctx.Err() }

// Read calls fn with all there is.
func (s *Source) Read(ctx context.Context, fn func(records.Reader) error) error {
	var err error
	// What fn says it says of itself.
	viewErr := s.store.view(ctx, "reading the store", func(tx *bbolt.Tx) error {
		err = fn(transaction{tx})
		return nil
	})
	return errors.Join(viewErr, err)
}

// SetMark writes the mark. It is no change of the store, and not counted.
func (s *Source) SetMark(ctx context.Context, m records.Mark) error {
	const action = "marking the store"
	v, err := m.Encode()
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	err = s.store.run(action, func() error {
		return s.store.db.Update(func(tx *bbolt.Tx) error { return transaction{tx}.Put(records.Meta, records.MarkKey, v) })
	})
	if err == nil {
		s.mark = m
	}
	return err
}

// Close lets go of the file.
func (s *Source) Close() error { return s.store.Close() }

// Target is a file that a store is moved to. It gets its name when that is finished.
type Target struct {
	o    Options
	temp string
	old  *Source // the file of that name, which was moved away
	kept string  // its name afterwards
	done bool
}

// NewTarget returns a target that has nothing yet.
func NewTarget(o Options) *Target {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Target{o: o}
}

// Begin sees that there is no file, or one that was moved away, which is kept under another name.
// m has the id of the migration if that has come to its end before. Begin returns it with the id,
// and whether it was finished before.
func (t *Target) Begin(ctx context.Context, m records.Mark) (_ records.Mark, done bool, err error) {
	action := "making the store " + t.o.Path
	if _, err := os.Lstat(t.o.Path); errors.Is(err, fs.ErrNotExist) {
		m.ID = cmp.Or(m.ID, rand.Text())
		return m, false, nil
	}
	if t.old, err = OpenSource(ctx, t.o); err != nil {
		return m, false, fmt.Errorf("%s: there is a file of that name: %w", action, err)
	}
	err = t.old.Read(ctx, func(r records.Reader) error {
		origin, err := r.Get(records.Meta, records.OriginKey)
		t.done = m.ID != "" && string(origin) == m.ID
		return err
	})
	if err == nil && !t.done && t.old.Mark().State != records.Moved {
		err = fmt.Errorf("%w: there is a store, and it is in use: choose another name, or move that file away", tokenstore.ErrExists)
	}
	if err != nil {
		return m, false, fmt.Errorf("%s: %w", action, err)
	}
	m.ID = cmp.Or(m.ID, rand.Text())
	return m, t.done, nil
}

// Fill copies all records into a file of another name.
func (t *Target) Fill(ctx context.Context, from records.Reader, m records.Mark) (err error) {
	if t.temp, err = privatefile.Temp(t.o.Path); err != nil {
		return err
	}
	err = createTemp(t.temp, func(db *bbolt.DB) error {
		return db.Update(func(tx *bbolt.Tx) error {
			if err := fill(ctx, transaction{tx}, from); err != nil {
				return err
			}
			return transaction{tx}.Put(records.Meta, records.OriginKey, []byte(m.ID))
		})
	})
	if err != nil {
		return fmt.Errorf("making the store %s: %w", t.o.Path, err)
	}
	return nil
}

// Read calls fn with all there is of it.
func (t *Target) Read(ctx context.Context, fn func(records.Reader) error) error {
	o := t.o
	o.Path, o.LockTimeout = t.temp, defaultLockTimeout
	s, err := attach(ctx, o, currentSchema(), os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("opening the new store %s: %w", t.temp, err)
	}
	return errors.Join((&Source{store: s}).Read(ctx, fn), s.Close())
}

// Finish gives it its name.
func (t *Target) Finish(context.Context, records.Mark) error {
	if t.done {
		return nil
	}
	temp := t.temp
	if t.old == nil {
		t.temp = "" // adopting removes it
		err := privatefile.Adopt(temp, t.o.Path)
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%w: %s was made meanwhile: move that file away, and run the command again", tokenstore.ErrExists, t.o.Path)
		}
		if err != nil {
			return fmt.Errorf("naming the new store: %w", err)
		}
		return nil
	}
	// A second name first, so that there is a file at each moment.
	kept := t.o.Path + ".moved-" + t.o.Now().UTC().Format("20060102T150405.000Z")
	if err := os.Link(t.o.Path, kept); err != nil {
		return fmt.Errorf("keeping the store that was moved away: %w", err)
	}
	t.kept = kept
	if err := os.Rename(temp, t.o.Path); err != nil {
		return fmt.Errorf("naming the new store: %w", err)
	}
	t.temp = ""
	return privatefile.SyncDir(filepath.Dir(t.o.Path))
}

// Kept is the name of the file that was replaced; empty if there was none.
func (t *Target) Kept() string { return t.kept }

// Close removes what was not finished.
func (t *Target) Close() (err error) {
	if t.temp != "" {
		if err = os.Remove(t.temp); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if t.old != nil {
		err = errors.Join(err, t.old.Close())
	}
	return err
}
