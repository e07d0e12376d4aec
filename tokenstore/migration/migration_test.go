package migration_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/migration"
	"jiragate/tokenstore/records"
	"jiragate/tokenstore/storetest"
)

// The backends are tested with each other in tokenstore/etcd; these tests are about the order of
// the steps, with files.

var errCrash = errors.New("the process has ended")

// steps has a process end at one of the steps that it counts, before or after it is done.
type steps struct {
	at    int // 1 is the first
	after bool
	seen  int
}

func (s *steps) do(step func() error) error {
	s.seen++
	switch {
	case s.at == 0 || s.seen < s.at:
		return step()
	case s.seen == s.at && s.after:
		return errors.Join(step(), errCrash)
	}
	return errCrash
}

type source struct {
	*bolt.Source
	steps *steps
}

func (s source) Hold(ctx context.Context, m records.Mark) error {
	return s.steps.do(func() error { return s.Source.Hold(ctx, m) })
}

func (s source) Read(ctx context.Context, fn func(records.Reader) error) error {
	return s.steps.do(func() error { return s.Source.Read(ctx, fn) })
}

func (s source) SetMark(ctx context.Context, m records.Mark) error {
	return s.steps.do(func() error { return s.Source.SetMark(ctx, m) })
}

type target struct {
	*bolt.Target
	steps *steps
}

func (t target) Begin(ctx context.Context, m records.Mark) (begun records.Mark, done bool, err error) {
	err = t.steps.do(func() (err error) {
		begun, done, err = t.Target.Begin(ctx, m)
		return err
	})
	return begun, done, err
}

func (t target) Fill(ctx context.Context, from records.Reader, m records.Mark) error {
	return t.steps.do(func() error { return t.Target.Fill(ctx, from, m) })
}

func (t target) Read(ctx context.Context, fn func(records.Reader) error) error {
	return t.steps.do(func() error { return t.Target.Read(ctx, fn) })
}

func (t target) Finish(ctx context.Context, m records.Mark) error {
	return t.steps.do(func() error { return t.Target.Finish(ctx, m) })
}

// pair are a store and a place for it, in one folder.
type pair struct{ from, to bolt.Options }

func newPair(t *testing.T) pair {
	t.Helper()
	k, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := pair{
		from: bolt.Options{Path: filepath.Join(dir, "from.db"), AEAD: k, LockTimeout: 50 * time.Millisecond},
		to:   bolt.Options{Path: filepath.Join(dir, "to.db"), AEAD: k, LockTimeout: 50 * time.Millisecond},
	}
	s, err := bolt.Open(t.Context(), p.from)
	if err != nil {
		t.Fatal(err)
	}
	err = s.AddConnection(t.Context(), storetest.CloudConnection("acme"), storetest.OAuth2("1"))
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p pair) move(t *testing.T, s *steps) error {
	t.Helper()
	from, err := bolt.OpenSource(t.Context(), p.from)
	if err != nil {
		return err
	}
	to := bolt.NewTarget(p.to)
	_, err = migration.Run(t.Context(), migration.Options{
		From: source{from, s}, To: target{to, s}, FromAddress: "bolt:" + p.from.Path, ToAddress: "bolt:" + p.to.Path, AEAD: p.from.AEAD,
	})
	return errors.Join(err, to.Close(), from.Close())
}

// there reports whether a file is a store that opens with what was in it.
func there(t *testing.T, o bolt.Options) bool {
	t.Helper()
	if files, err := filepath.Glob(o.Path); err != nil || len(files) == 0 {
		return false
	}
	s, err := bolt.Open(t.Context(), o)
	if errors.Is(err, tokenstore.ErrMoved) || errors.Is(err, tokenstore.ErrMoving) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	cred, err := s.Credential(t.Context(), "acme")
	if err != nil || cred.AccessToken.Reveal() != "access-1" {
		t.Errorf("%s: %v", o.Path, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return true
}

// Wherever it ends, at most one store opens; and it goes on, to the same end.
func TestEachStep(t *testing.T) {
	counted := &steps{}
	if err := newPair(t).move(t, counted); err != nil {
		t.Fatal(err)
	}
	if counted.seen < 8 {
		t.Fatalf("only %d steps are counted", counted.seen)
	}
	for at := 1; at <= counted.seen; at++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d, after it %v", at, after), func(t *testing.T) {
				p := newPair(t)
				if err := p.move(t, &steps{at: at, after: after}); !errors.Is(err, errCrash) {
					t.Fatalf("error %v", err)
				}
				if there(t, p.from) && there(t, p.to) {
					t.Fatal("both stores open")
				}
				if err := p.move(t, &steps{}); err != nil && !errors.Is(err, tokenstore.ErrMoved) {
					t.Fatalf("again: %v", err)
				}
				if there(t, p.from) || !there(t, p.to) {
					t.Error("it isn't moved")
				}
				if left, err := filepath.Glob(p.to.Path + ".*"); err != nil || len(left) > 0 {
					t.Errorf("left behind: %q, %v", left, err)
				}
			})
		}
	}
}

// A store that is left already goes nowhere else, and into no other store.
func TestLeaving(t *testing.T) {
	p := newPair(t)
	// Hold, read, begin, fill, read back, leave.
	if err := p.move(t, &steps{at: 6, after: true}); !errors.Is(err, errCrash) {
		t.Fatalf("error %v", err)
	}
	elsewhere := p
	elsewhere.to.Path += "-elsewhere"
	if err := elsewhere.move(t, &steps{}); !errors.Is(err, tokenstore.ErrMoving) {
		t.Errorf("to another place: %v", err)
	}
	// Somebody has started a gateway too early.
	s, err := bolt.Open(t.Context(), p.to)
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := p.move(t, &steps{}); !errors.Is(err, tokenstore.ErrExists) {
		t.Errorf("into another store: %v", err)
	}
}
