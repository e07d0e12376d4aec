package bolt_test

import (
	"errors"
	"fmt"
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
		migrations []func(*bbolt.Tx, tink.AEAD) error
		notes      string
	}{
		{[]func(*bbolt.Tx, tink.AEAD) error{addNote("a ")}, "a "},
		{[]func(*bbolt.Tx, tink.AEAD) error{addNote("a ")}, "a "},
		{[]func(*bbolt.Tx, tink.AEAD) error{addNote("a "), addNote("b "), addNote("c ")}, "a b c "},
	} {
		version := bolt.Schema + len(step.migrations)
		s, err := bolt.OpenSchema(t.Context(), o, step.migrations...)
		must(t, err)
		must(t, s.Check(t.Context()))
		if c, err := s.Credential(t.Context(), "acme"); err != nil || c.Generation != storetest.FirstGeneration(s, "acme")+1 {
			t.Errorf("schema %d: credential %+v, %v", version, c, err)
		}
		mustClose(t, s)
		if got, stored := notes(t, o.Path); got != step.notes || stored != fmt.Sprint(version) {
			t.Errorf("schema %d: the store has schema %s and notes %q, want %q", version, stored, got, step.notes)
		}
	}
}

func TestANewStoreNeedsNoMigration(t *testing.T) {
	o := options(t)
	never := func(*bbolt.Tx, tink.AEAD) error { return errors.New("it ran") }
	s, err := bolt.OpenSchema(t.Context(), o, never, never)
	must(t, err)
	mustClose(t, s)
	if _, version := notes(t, o.Path); version != fmt.Sprint(bolt.Schema+2) {
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
	_, err := bolt.OpenSchema(t.Context(), o, addNote("a "), fails)
	if !errors.Is(err, reason) || !strings.Contains(err.Error(), fmt.Sprintf("from schema %d to %d", bolt.Schema+1, bolt.Schema+2)) {
		t.Errorf("error %v, want one that names the migration", err)
	}
	if got, version := notes(t, o.Path); got != "" || version != fmt.Sprint(bolt.Schema) {
		t.Errorf("the store has schema %s and notes %q", version, got)
	}
	must(t, mustOpen(t, o).Check(t.Context()))
}

func TestNewerSchema(t *testing.T) {
	o := filled(t)
	s, err := bolt.OpenSchema(t.Context(), o, addNote(""))
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
		} else if !strings.Contains(err.Error(), fmt.Sprint("schema ", bolt.Schema+1)) || !strings.Contains(err.Error(), fmt.Sprint("up to ", bolt.Schema)) {
			t.Errorf("%s: error %q does not name both versions", name, err)
		}
	}
	if string(readFile(t, o.Path)) != string(before) {
		t.Error("the file was changed")
	}
}
