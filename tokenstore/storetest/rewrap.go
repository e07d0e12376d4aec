package storetest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jiragate/tokenstore"
)

// RunRotating runs the part of the suite that needs a keyset which can be rotated.
// Each call of open returns a new, empty store, and a function that adds a primary
// key to the keyset it is sealed under.
func RunRotating(t *testing.T, open func(t *testing.T) (s tokenstore.Store, rotate func())) {
	for name, test := range rewrapTests() {
		t.Run(name, func(t *testing.T) {
			s, rotate := open(t)
			defer finish(t, s)
			for i := range 5 {
				id := fmt.Sprint("acme-", i)
				mustDo(t, s.AddConnection(t.Context(), CloudConnection(id), OAuth2(fmt.Sprint(i))))
			}
			test(t, s, rotate)
		})
	}
}

func rewrapTests() map[string]func(*testing.T, tokenstore.Store, func()) {
	return map[string]func(*testing.T, tokenstore.Store, func()){
		"each record counts for its key": func(t *testing.T, s tokenstore.Store, rotate func()) {
			all := wantKeyUse(t, s, 1)
			if all < 5 {
				t.Errorf("there are 5 credentials, but %d sealed records", all)
			}
			rotate()
			if n := wantKeyUse(t, s, 1); n != all {
				t.Errorf("the rotation alone leads from %d to %d records", all, n)
			}
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("new"), OAuth2("new")))
			if n := wantKeyUse(t, s, 2); n <= all {
				t.Errorf("a connection more leads from %d to %d records", all, n)
			}
			mustDo(t, Remove(t.Context(), s, "new"))
			if n := wantKeyUse(t, s, 1); n != all {
				t.Errorf("a connection less leads back to %d records, not %d", n, all)
			}
		},
		"there is nothing to do without a rotation": func(t *testing.T, s tokenstore.Store, _ func()) {
			unchanged(t, s, nil, "sealing nothing anew", func() error {
				if left := rewrap(t, s, 100); left != 0 {
					t.Errorf("%d are left", left)
				}
				return nil
			})
		},
		"some at a time, until none is left": func(t *testing.T, s tokenstore.Store, rotate func()) {
			for range 2 {
				rotate()
			}
			want := picture(t, s)
			all := wantKeyUse(t, s, 1)
			if left := rewrap(t, s, 0); left != all {
				t.Errorf("of %d records, %d are left before the first", all, left)
			}
			for left := all; left > 0; {
				next := rewrap(t, s, 2)
				if next != max(left-2, 0) {
					t.Errorf("of %d that were left, %d are, by two at a time", left, next)
				}
				left = next
				mustDo(t, s.Check(t.Context()))
				if d := cmp.Diff(want, picture(t, s)); d != "" {
					t.Fatalf("something else has changed:\n%s", d)
				}
			}
			if n := wantKeyUse(t, s, 1); n != all {
				t.Errorf("%d records, were %d", n, all)
			}
		},
		"a rotation meanwhile begins it again": func(t *testing.T, s tokenstore.Store, rotate func()) {
			rotate()
			all := wantKeyUse(t, s, 1)
			rewrap(t, s, 3)
			rotate()
			if left := rewrap(t, s, 1); left != all-1 {
				t.Errorf("of %d records, %d are left after the first", all, left)
			}
			if left := rewrap(t, s, 100); left != 0 {
				t.Errorf("%d are left", left)
			}
			wantKeyUse(t, s, 1)
		},
		"it is the same credential": func(t *testing.T, s tokenstore.Store, rotate func()) {
			before, err := s.Credential(t.Context(), "acme-1")
			mustDo(t, err)
			note := mustBegin(t, s, "acme-1")
			rotate()
			rewrap(t, s, 100)
			wantRotations(t, s, note.Rotation)
			mustDo(t, s.ReplaceCredential(t.Context(), "acme-1", before.Generation, OAuth2("next")))
			rotate()
			rewrap(t, s, 100)
			unchanged(t, s, tokenstore.ErrConflict, "the generation before", func() error {
				return s.ReplaceCredential(t.Context(), "acme-1", before.Generation, OAuth2("stray"))
			})
		},
		"calls and changes go on meanwhile": func(t *testing.T, s tokenstore.Store, rotate func()) {
			var (
				wg   sync.WaitGroup
				done = make(chan struct{})
			)
			for i := range 3 {
				wg.Go(func() {
					id := fmt.Sprint("acme-", i)
					for g := FirstGeneration(s, id); ; g++ {
						c, err := s.Credential(t.Context(), id)
						if err != nil || c.Generation != g {
							t.Errorf("connection %s has generation %d, want %d: %v", id, c.Generation, g, err)
							return
						}
						select {
						case <-done:
							return
						default:
						}
						if err := s.ReplaceCredential(t.Context(), id, g, OAuth2(fmt.Sprint(g))); err != nil {
							t.Errorf("replacing a credential that only this changes: %v", err)
							return
						}
					}
				})
			}
			for range 5 {
				rotate()
				for left := 1; left > 0 && !t.Failed(); {
					left = rewrap(t, s, 1)
				}
			}
			close(done)
			wg.Wait()
			wantKeyUse(t, s, 1)
		},
	}
}

func rewrap(t *testing.T, s tokenstore.Store, limit int) (left int) {
	t.Helper()
	left, err := s.Rewrap(t.Context(), limit)
	if err != nil {
		t.Errorf("sealing up to %d records anew: %v", limit, err)
	}
	return left
}

// wantKeyUse checks how many keys are in use, and returns how many records are
// sealed under them.
func wantKeyUse(t *testing.T, s tokenstore.Store, keys int) (records int) {
	t.Helper()
	use, err := s.KeyUse(t.Context())
	mustDo(t, err)
	if len(use) != keys {
		t.Errorf("%d keys are in use, want %d: %v", len(use), keys, use)
	}
	for n := range maps.Values(use) {
		records += n
	}
	if slices.Contains(slices.Collect(maps.Values(use)), 0) {
		t.Errorf("a key is listed that is not in use: %v", use)
	}
	return records
}
