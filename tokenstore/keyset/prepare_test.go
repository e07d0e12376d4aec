package keyset_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"

	"jiragate/tokenstore/keyset"
)

func prepare(t *testing.T, l *keyset.Live) uint32 {
	t.Helper()
	id, err := l.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func mustReload(t *testing.T, l *keyset.Live) {
	t.Helper()
	put, err := l.Reload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if put != nil {
		put()
	}
}

func TestPreparedKeyBecomesPrimary(t *testing.T) {
	uri := fileURI(t)
	l := openLive(t, uri, createFile)
	first := l.PrimaryKeyID()
	if _, err := l.Promote(t.Context()); !errors.Is(err, keyset.ErrNotPrepared) || len(l.KeyIDs()) != 1 {
		t.Errorf("without a prepared key: %v, keys %v", err, l.KeyIDs())
	}
	second := prepare(t, l)
	if again := prepare(t, l); again != second || len(l.KeyIDs()) != 2 {
		t.Errorf("prepared again: %d, was %d; keys %v", again, second, l.KeyIDs())
	}
	for name, l := range map[string]*keyset.Live{"in use": l, "opened again": openLive(t, uri, keyset.Options{})} {
		want := []keyset.KeyInfo{{ID: first, Primary: true, Status: "enabled"}, {ID: second, Prepared: true, Status: "enabled"}}
		if got := l.Keys(); !slices.Equal(got, want) || keyOf(sealLive(t, l, "text")) != first {
			t.Errorf("%s: keys %v, want %v", name, got, want)
		}
	}
	if got := rotate(t, l); got != second || len(l.KeyIDs()) != 2 {
		t.Errorf("primary is %d, prepared was %d; keys %v", got, second, l.KeyIDs())
	}
	if third := rotate(t, l); third == second || len(l.KeyIDs()) != 3 {
		t.Errorf("without another prepared key: primary is %d; keys %v", third, l.KeyIDs())
	}
	fourth := prepare(t, l)
	if got, err := l.Promote(t.Context()); err != nil || got != fourth {
		t.Errorf("promoted %d, %v; prepared was %d", got, err, fourth)
	}
	if got := openLive(t, uri, keyset.Options{}); got.PrimaryKeyID() != fourth || slices.ContainsFunc(got.Keys(), func(k keyset.KeyInfo) bool { return k.Prepared }) {
		t.Errorf("the file has %v", got.Keys())
	}
}

// Only an enabled key can become primary.
func TestDisabledKeyIsNotPrepared(t *testing.T) {
	m := tinkkeyset.NewManager()
	primary, err1 := m.Add(aead.AES256GCMKeyTemplate())
	disabled, err2 := m.Add(aead.AES256GCMKeyTemplate())
	if err := errors.Join(err1, err2, m.SetPrimary(primary), m.Disable(disabled)); err != nil {
		t.Fatal(err)
	}
	h, err := m.Handle()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, tinkkeyset.NewJSONWriter(&b)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keyset.json")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	l := openLive(t, "file:"+path, keyset.Options{})
	if got := l.Keys(); len(got) != 2 || got[1].Prepared || got[1].Status != "disabled" {
		t.Errorf("keys %v", got)
	}
	if _, err := l.Promote(t.Context()); !errors.Is(err, keyset.ErrNotPrepared) {
		t.Errorf("promoting: %v; keys %v", err, l.Keys())
	}
}

// The encrypted form keeps the order of keys, too, by which the prepared one is known.
func TestPreparedKeyUnderAService(t *testing.T) {
	services(t, func(t *testing.T, f *fake) {
		file := newFile(t)
		l := openLive(t, f.uri, f.options(file))
		id := prepare(t, l)
		again := openLive(t, f.uri, f.options(file))
		if got, err := again.Promote(t.Context()); err != nil || got != id {
			t.Errorf("promoted %d, %v; prepared was %d", got, err, id)
		}
	})
}

// Of two gateways with copies of a keyset each opens what the other seals, whichever
// learns first of the new primary key; and what was done on one of them and copied can be
// done on the other, too.
func TestCopiesOfAKeyset(t *testing.T) {
	for name, learn := range map[string]func(t *testing.T, a, b string, l *keyset.Live){
		"by a copy": func(t *testing.T, a, b string, l *keyset.Live) {
			replaced(t, b, a)
			mustReload(t, l)
		},
		"by rotating, too":            func(t *testing.T, _, _ string, l *keyset.Live) { rotate(t, l) },
		"by rotating, after the copy": func(t *testing.T, a, b string, l *keyset.Live) { replaced(t, b, a); rotate(t, l) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			pathA, pathB := filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json")
			a := openLive(t, "file:"+pathA, createFile)
			replaced(t, pathB, pathA)
			b := openLive(t, "file:"+pathB, keyset.Options{})
			old := a.PrimaryKeyID()

			next := prepare(t, a)
			if c := sealLive(t, a, "text"); !opensLive(b, c) {
				t.Error("a key that is only prepared seals")
			}
			replaced(t, pathB, pathA)
			mustReload(t, b)
			rotate(t, a)
			if c := sealLive(t, a, "text"); keyOf(c) != next || !opensLive(b, c) {
				t.Errorf("under the new key %d: sealed under %d, and b has %v", next, keyOf(c), b.Keys())
			}
			if c := sealLive(t, b, "text"); keyOf(c) != old || !opensLive(a, c) {
				t.Errorf("b seals under %d, and a has %v", keyOf(c), a.Keys())
			}
			learn(t, pathA, pathB, b)
			if !slices.Equal(a.Keys(), b.Keys()) || b.PrimaryKeyID() != next {
				t.Fatalf("a has %v, and b %v", a.Keys(), b.Keys())
			}

			// Dropped on one, copied and dropped on the other.
			if err := a.Drop(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			replaced(t, pathB, pathA)
			if err := b.Drop(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			if put, err := b.Reload(t.Context()); err != nil || put != nil {
				t.Errorf("the file of b is not the one that is in use: %v", err)
			}
			if !slices.Equal(b.KeyIDs(), []uint32{next}) {
				t.Errorf("b has %v", b.KeyIDs())
			}
		})
	}
}

// A keyset that was brought and not reloaded is read when a key of it is missed, once a
// second at most.
func TestUnknownKeyIsLookedForInTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path, other := filepath.Join(dir, "keyset.json"), filepath.Join(dir, "other.json")
		l := openLive(t, "file:"+path, createFile)
		replaced(t, other, path)
		elsewhere := openLive(t, "file:"+other, keyset.Options{})
		next := rotate(t, elsewhere)
		sealed := sealLive(t, elsewhere, "text")

		unknown := func(when string) *keyset.UnknownKeyError {
			t.Helper()
			_, err := l.Decrypt(sealed, []byte("associated"))
			e, ok := errors.AsType[*keyset.UnknownKeyError](err)
			if !ok || e.ID != next || e.UnknownKey() != next || !strings.Contains(err.Error(), "jiragate reload") {
				t.Fatalf("%s: %v", when, err)
			}
			return e
		}
		unknown("before it is brought")
		replaced(t, path, other)
		unknown("in the same second")
		time.Sleep(time.Second)
		version := l.Version()
		if !opensLive(l, sealed) || l.PrimaryKeyID() != next || l.Version() == version {
			t.Errorf("a second later: %v", l)
		}

		// What can't be read is told.
		next = rotate(t, elsewhere)
		sealed = sealLive(t, elsewhere, "text")
		time.Sleep(time.Second)
		if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if e := unknown("the file is broken"); e.Unwrap() == nil || !strings.Contains(e.Error(), path) {
			t.Errorf("the error doesn't say so: %v", e)
		}
		// What is damaged isn't looked for: its key is there.
		damaged := sealLive(t, l, "text")
		damaged[len(damaged)-1] ^= 1
		if _, err := l.Decrypt(damaged, []byte("associated")); err == nil || errors.As(err, new(*keyset.UnknownKeyError)) {
			t.Errorf("damaged: %v", err)
		}
	})
}

// A service is not called for it: what is opened may be waited for under a lock.
func TestUnknownKeyCallsNoService(t *testing.T) {
	services(t, func(t *testing.T, f *fake) {
		file := newFile(t)
		l := openLive(t, f.uri, f.options(file))
		other := openLive(t, f.uri, f.options(file))
		rotate(t, other)
		sealed := sealLive(t, other, "text")
		f.calls.Store(0)
		if _, err := l.Decrypt(sealed, []byte("associated")); !errors.As(err, new(*keyset.UnknownKeyError)) || f.calls.Load() != 0 {
			t.Errorf("%v, after %d calls", err, f.calls.Load())
		}
		mustReload(t, l)
		if !opensLive(l, sealed) {
			t.Error("it doesn't open after a reload")
		}
	})
}
