package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/storetest"
)

// liveOptions are those of a store whose keyset can be rotated.
func liveOptions(t testing.TB) (bolt.Options, *keyset.Live) {
	t.Helper()
	o := options(t)
	keys, err := keyset.Open(t.Context(), "file:"+filepath.Join(filepath.Dir(o.Path), "keyset.json"), keyset.Options{Create: true})
	must(t, err)
	o.AEAD = keys
	return o, keys
}

func TestContractOfRotation(t *testing.T) {
	storetest.RunRotating(t, func(t *testing.T) (tokenstore.Store, func()) {
		o, keys := liveOptions(t)
		s, err := bolt.Open(t.Context(), o)
		must(t, err)
		return s, func() {
			t.Helper()
			_, err := keys.Rotate(t.Context())
			must(t, err)
		}
	})
}

func rewrapAll(t testing.TB, s *bolt.Store) {
	t.Helper()
	for range 100 {
		left, err := s.Rewrap(t.Context(), 2)
		must(t, err)
		if left == 0 {
			return
		}
	}
	t.Fatal("it never ends")
}

// After a rotation the store goes on: old records open, new ones are sealed under
// the new key; and a keyset that lost a key says which.
func TestRotatedKeyset(t *testing.T) {
	o, keys := liveOptions(t)
	s := mustOpen(t, o)
	fill(t, s)
	first := keys.PrimaryKeyID()
	second, err := keys.Rotate(t.Context())
	must(t, err,
		s.Check(t.Context()),
		s.AddConnection(t.Context(), storetest.CloudConnection("new"), storetest.OAuth2("new")),
		s.Check(t.Context()))
	if use, err := s.KeyUse(t.Context()); err != nil || fmt.Sprint(use) != fmt.Sprint(map[uint32]int{first: 6, second: 1}) {
		t.Errorf("keys in use: %v, %v", use, err)
	}
	must(t, keys.Drop(t.Context(), first)) // too early
	_, err = s.Credential(t.Context(), "acme")
	if !errors.Is(err, tokenstore.ErrCorrupt) || !strings.Contains(err.Error(), fmt.Sprint("key ", first)) {
		t.Errorf("sealed under the key that is missing: error %v, want one that names key %d", err, first)
	}
	if _, err := s.Credential(t.Context(), "new"); err != nil {
		t.Errorf("sealed under the key that is there: %v", err)
	}
}

// When everything is sealed anew the old key isn't needed any more, not even by the
// canary, and nothing is left of what was under it.
func TestNothingIsLeftUnderTheOldKey(t *testing.T) {
	ctx := t.Context()
	o, keys := liveOptions(t)
	s := mustOpen(t, o)
	fill(t, s)
	sealed := trail(t, s, "long")
	old := keys.PrimaryKeyID()
	_, err := keys.Rotate(ctx)
	must(t, err)
	want := others(t, s)
	before, err := s.Sealed("acme")
	must(t, err)
	rewrapAll(t, s)
	must(t, keys.Drop(ctx, old), s.Check(ctx))
	wantShredded(t, o.Path, append(sealed, before...))
	if got := others(t, s); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("credentials have changed")
	}
}

// A data key of before, put back, does not open what came after it, nor the other
// way round, although the keyset has its key still.
func TestOldDataKeyOpensNothingNew(t *testing.T) {
	for _, test := range []struct {
		name string
		back func(tx *bbolt.Tx, before [][]byte) error
	}{
		{"data key", func(tx *bbolt.Tx, before [][]byte) error { return putDataKey(tx, "acme", before[0]) }},
		{"credential", func(tx *bbolt.Tx, before [][]byte) error { return putCredential(tx, "acme", before[1]) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, keys := liveOptions(t)
			s := mustOpen(t, o)
			fill(t, s)
			before, err := s.Sealed("acme")
			must(t, err)
			_, err = keys.Rotate(t.Context())
			must(t, err)
			rewrapAll(t, s)
			mustClose(t, s)
			edit(t, o.Path, func(tx *bbolt.Tx) error { return test.back(tx, before) })
			s = mustOpen(t, o)
			if _, err := s.Credential(t.Context(), "acme"); !errors.Is(err, tokenstore.ErrCorrupt) {
				t.Errorf("error %v, want ErrCorrupt", err)
			}
		})
	}
}

// A record that does not open is named, and stops none of the others.
func TestRewrapOfADamagedRecord(t *testing.T) {
	ctx := t.Context()
	o, keys := liveOptions(t)
	s := mustOpen(t, o)
	fill(t, s)
	mustClose(t, s)
	edit(t, o.Path, func(tx *bbolt.Tx) error { return putCredential(tx, "acme", []byte("hunter2")) })
	s = mustOpen(t, o)
	old := keys.PrimaryKeyID()
	_, err := keys.Rotate(ctx)
	must(t, err)
	for range 6 {
		left, err := s.Rewrap(ctx, 1)
		if err != nil && (!errors.Is(err, tokenstore.ErrCorrupt) || !strings.Contains(err.Error(), `"acme"`) || bytes.Contains([]byte(err.Error()), []byte("hunter2"))) {
			t.Errorf("error %v, want ErrCorrupt that names acme", err)
		}
		if left == 1 && err == nil {
			t.Error("only the damaged one is left, and there is no error")
		}
	}
	if use, err := s.KeyUse(ctx); err != nil || use[old] != 1 || use[keys.PrimaryKeyID()] != 5 {
		t.Errorf("keys in use: %v, %v", use, err)
	}
}
