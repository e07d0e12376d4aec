package keyset_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jiragate/tokenstore/keyset"
)

// replaced puts the file of another keyset in the place of the one at path.
func replaced(t *testing.T, path, other string) {
	t.Helper()
	content, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A keyset that was brought from elsewhere comes into use whole, if it opens all that
// the one before has sealed; it can be rotated then.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "keyset.json"), filepath.Join(dir, "other.json")
	l := openLive(t, "file:"+path, createFile)
	sealed := sealLive(t, l, "before")
	if put, err := l.Reload(t.Context()); err != nil || put != nil {
		t.Errorf("unchanged: %v, something to put: %v", err, put != nil)
	}
	replaced(t, other, path)
	next := rotate(t, openLive(t, "file:"+other, keyset.Options{}))
	replaced(t, path, other)
	put, err := l.Reload(t.Context())
	if err != nil || put == nil {
		t.Fatalf("with one more key: %v, something to put: %v", err, put != nil)
	}
	if l.PrimaryKeyID() == next {
		t.Error("it was in use before it was put")
	}
	put()
	if l.PrimaryKeyID() != next || !opensLive(l, sealed) {
		t.Errorf("primary key %d, want %d; opens the old: %v", l.PrimaryKeyID(), next, opensLive(l, sealed))
	}
	rotate(t, l)

	// Without the first key it would lose what that has sealed.
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	openLive(t, "file:"+other, createFile)
	replaced(t, path, other)
	before := l.PrimaryKeyID()
	if put, err := l.Reload(t.Context()); err == nil || put != nil || !strings.Contains(err.Error(), "has no key") {
		t.Errorf("another keyset: %v, something to put: %v", err, put != nil)
	}
	if l.PrimaryKeyID() != before || !opensLive(l, sealed) {
		t.Error("the keyset in use has changed")
	}
}

func TestVariableIsNotReloaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset.json")
	openLive(t, "file:"+path, createFile)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("A_KEYSET", string(content))
	if _, err := openLive(t, "env:A_KEYSET", keyset.Options{}).Reload(t.Context()); !errors.Is(err, keyset.ErrReadOnly) {
		t.Errorf("error %v, want ErrReadOnly", err)
	}
}
