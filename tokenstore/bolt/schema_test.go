package bolt_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/tink"
	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/storetest"
)

// addNote is a migration that leaves a note of its own in the store.
func addNote(note string) func(*bbolt.Tx, tink.AEAD) error {
	return func(tx *bbolt.Tx, _ tink.AEAD) error {
		b := tx.Bucket([]byte("meta"))
		return b.Put([]byte("notes"), append([]byte(string(b.Get([]byte("notes")))), note...))
	}
}

func notes(t *testing.T, path string) (notes, version string) {
	t.Helper()
	edit(t, path, func(tx *bbolt.Tx) error {
		notes = string(tx.Bucket([]byte("meta")).Get([]byte("notes")))
		version = string(tx.Bucket([]byte("meta")).Get([]byte("schema")))
		return nil
	})
	return notes, version
}

func TestMigrationsRunInOrderAndOnce(t *testing.T) {
	o := filled(t)
	for _, step := range []struct {
		version    int
		migrations []func(*bbolt.Tx, tink.AEAD) error
		notes      string
	}{
		{2, []func(*bbolt.Tx, tink.AEAD) error{addNote("1>2 ")}, "1>2 "},
		{2, []func(*bbolt.Tx, tink.AEAD) error{addNote("1>2 ")}, "1>2 "},
		{4, []func(*bbolt.Tx, tink.AEAD) error{addNote("1>2 "), addNote("2>3 "), addNote("3>4 ")}, "1>2 2>3 3>4 "},
	} {
		s, err := bolt.OpenSchema(t.Context(), o, step.version, step.migrations...)
		must(t, err)
		must(t, s.Check(t.Context()))
		if c, err := s.Credential(t.Context(), "acme"); err != nil || c.Generation != storetest.FirstGeneration(s, "acme")+1 {
			t.Errorf("schema %d: credential %+v, %v", step.version, c, err)
		}
		mustClose(t, s)
		if got, version := notes(t, o.Path); got != step.notes || version != string(rune('0'+step.version)) {
			t.Errorf("schema %d: the store has schema %s and notes %q, want %q", step.version, version, got, step.notes)
		}
	}
}

func TestANewStoreNeedsNoMigration(t *testing.T) {
	o := options(t)
	never := func(*bbolt.Tx, tink.AEAD) error { return errors.New("it ran") }
	s, err := bolt.OpenSchema(t.Context(), o, 3, never, never)
	must(t, err)
	mustClose(t, s)
	if _, version := notes(t, o.Path); version != "3" {
		t.Errorf("it has schema %s", version)
	}
}

// A migration that fails takes back those before it.
func TestMigrationThatFails(t *testing.T) {
	o := filled(t)
	reason := errors.New("a record too many")
	fails := func(tx *bbolt.Tx, _ tink.AEAD) error {
		return errors.Join(tx.DeleteBucket([]byte("credentials")), reason)
	}
	_, err := bolt.OpenSchema(t.Context(), o, 3, addNote("1>2 "), fails)
	if !errors.Is(err, reason) || !strings.Contains(err.Error(), "from schema 2 to 3") {
		t.Errorf("error %v, want one that names the migration", err)
	}
	if got, version := notes(t, o.Path); got != "" || version != "1" {
		t.Errorf("the store has schema %s and notes %q", version, got)
	}
	must(t, mustOpen(t, o).Check(t.Context()))
}

func TestNewerSchema(t *testing.T) {
	o := filled(t)
	s, err := bolt.OpenSchema(t.Context(), o, 2, addNote(""))
	must(t, err)
	mustClose(t, s)
	before := readFile(t, o.Path)

	for name, open := range map[string]func() error{
		"Open":   func() error { _, err := bolt.Open(t.Context(), o); return err },
		"Verify": func() error { return bolt.Verify(t.Context(), o.Path, o.AEAD) },
	} {
		err := open()
		if !errors.Is(err, tokenstore.ErrSchemaTooNew) || errors.Is(err, tokenstore.ErrCorrupt) {
			t.Errorf("%s: error %v, want ErrSchemaTooNew alone", name, err)
		} else if !strings.Contains(err.Error(), "schema 2") || !strings.Contains(err.Error(), "up to 1") {
			t.Errorf("%s: error %q does not name both versions", name, err)
		}
	}
	if string(readFile(t, o.Path)) != string(before) {
		t.Error("the file was changed")
	}
}
