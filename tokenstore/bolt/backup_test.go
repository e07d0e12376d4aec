package bolt_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/storetest"
)

func TestBackupOpensAsAStore(t *testing.T) {
	o := filled(t)
	s := mustOpen(t, o)
	path := backup(t, s)
	must(t, bolt.Verify(t.Context(), path, o.AEAD))

	c := o
	c.Path = path
	copied := mustOpen(t, c)
	must(t, copied.Check(t.Context()))
	if copied.Revision() != s.Revision() || len(copied.Directory().Connections()) != len(s.Directory().Connections()) {
		t.Error("the copy is another store")
	}
	cred, err := copied.Credential(t.Context(), "acme")
	if err != nil || cred.RefreshToken.Reveal() != "refresh-acme-2" {
		t.Errorf("credential %+v, %v", cred, err)
	}
}

// A copy goes on with the numbering of incarnations where the original was, also
// for connections that both have lost.
func TestBackupKeepsTheNumberingOfIncarnations(t *testing.T) {
	ctx := t.Context()
	o := options(t)
	s := mustOpen(t, o)
	must(t,
		s.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("1")),
		s.AddConnection(ctx, storetest.CloudConnection("initech"), storetest.OAuth2("1")),
		storetest.Remove(ctx, s, "initech"),
		storetest.Remove(ctx, s, "acme"))
	restored := o
	restored.Path = backup(t, s)
	mustClose(t, s)
	must(t, bolt.Verify(ctx, restored.Path, o.AEAD))

	s = mustOpen(t, restored)
	must(t, s.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("2")))
	if got := storetest.FirstGeneration(s, "acme"); got != tokenstore.FirstGeneration(3) {
		t.Errorf("it begins with generation %#x", got)
	}
}

func backup(t testing.TB, s *bolt.Store) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.db")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	_, err = s.Backup(t.Context(), f)
	must(t, errors.Join(err, f.Close()))
	return path
}

// While a backup is held up by a slow disk, changes go on, the file grows far
// beyond what it was, and the copy is of the moment when it began.
func TestChangesGoOnDuringABackup(t *testing.T) {
	ctx := t.Context()
	o := options(t)
	s := mustOpen(t, o)
	fill(t, s)
	connections := s.Directory().Connections()
	r, w := io.Pipe() // each write waits for a read
	result := make(chan error, 1)
	go func() {
		_, err := s.Backup(ctx, w)
		result <- errors.Join(err, w.CloseWithError(err))
	}()
	head := make([]byte, 1)
	if _, err := io.ReadFull(r, head); err != nil { // the backup has begun
		t.Fatal(err)
	}

	revision := s.Revision()
	first := storetest.FirstGeneration(s, "acme")
	for g := first + 1; g < first+29; g++ {
		must(t, s.ReplaceCredential(ctx, "acme", g, storetest.OAuth2(fmt.Sprintf("%d-%010000d", g, 7))))
	}
	for i := range 30 {
		id := fmt.Sprint("new-", i)
		must(t, s.AddConnection(ctx, storetest.CloudConnection(id), storetest.OAuth2(fmt.Sprintf("%010000d", i))))
	}
	must(t, storetest.Remove(ctx, s, "tyrell"))
	if s.Revision() != revision+59 {
		t.Errorf("%d changes were made", s.Revision()-revision)
	}

	rest, err := io.ReadAll(r)
	must(t, err, <-result, s.Check(ctx))
	c := o
	c.Path = filepath.Join(t.TempDir(), "backup.db")
	writeFile(t, c.Path, append(head, rest...))
	must(t, bolt.Verify(ctx, c.Path, c.AEAD))
	copied := mustOpen(t, c)
	if d := cmp.Diff(connections, copied.Directory().Connections()); d != "" {
		t.Error(d)
	}
	if cred, err := copied.Credential(ctx, "acme"); err != nil || cred.Generation != first+1 {
		t.Errorf("generation %d, %v", cred.Generation, err)
	}
}

// The copy made while changes go on is whole, whenever it is made.
func TestBackupsAmongChanges(t *testing.T) {
	ctx := t.Context()
	o := filled(t)
	s := mustOpen(t, o)
	first := storetest.FirstGeneration(s, "acme")
	stop := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		for g := first + 1; ; g++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := s.ReplaceCredential(ctx, "acme", g, storetest.OAuth2(fmt.Sprint(g+1))); err != nil {
				done <- err
				return
			}
		}
	}()
	last := uint64(0)
	for range 15 {
		path := backup(t, s)
		must(t, bolt.Verify(ctx, path, o.AEAD))
		c := o
		c.Path = path
		copied := mustOpen(t, c)
		cred, err := copied.Credential(ctx, "acme")
		must(t, err)
		if want := fmt.Sprint("refresh-", cred.Generation); cred.Generation > first+1 && cred.RefreshToken.Reveal() != want {
			t.Errorf("generation %d has token %q", cred.Generation, cred.RefreshToken.Reveal())
		}
		if cred.Generation < last {
			t.Errorf("generation %d after %d", cred.Generation, last)
		}
		last = cred.Generation
		mustClose(t, copied)
	}
	close(stop)
	must(t, <-done)
}

func TestVerifyFindsWhatCheckFinds(t *testing.T) {
	o := filled(t)
	before := readFile(t, o.Path)
	must(t, bolt.Verify(t.Context(), o.Path, o.AEAD))
	if string(readFile(t, o.Path)) != string(before) {
		t.Error("verifying changes the file")
	}
	if err := bolt.Verify(t.Context(), o.Path+".missing", o.AEAD); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: error %v, want ErrNotExist", err)
	}
	if _, err := os.Lstat(o.Path + ".missing"); err == nil {
		t.Error("verifying makes a file")
	}
}
