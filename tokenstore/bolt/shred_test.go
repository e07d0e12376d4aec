package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/storetest"
)

// remains counts the records of which a file holds a part. Long records lie in
// several pages, so they are looked for in pieces.
func remains(file []byte, sealed [][]byte) int {
	const piece = 32
	n := 0
	for _, s := range sealed {
		for ; len(s) >= piece; s = s[piece:] {
			if bytes.Contains(file, s[:piece]) {
				n++
				break
			}
		}
	}
	return n
}

// trail makes a connection with a history, and returns the data keys and sealed
// credentials that it ever had.
func trail(t testing.TB, s *bolt.Store, id string) (sealed [][]byte) {
	t.Helper()
	ctx := t.Context()
	note := func(err error) {
		t.Helper()
		must(t, err)
		now, err := s.Sealed(id)
		must(t, err)
		sealed = append(sealed, now...)
	}
	note(s.AddConnection(ctx, storetest.CloudConnection(id), storetest.OAuth2("0")))
	for round := range 3 {
		first := storetest.FirstGeneration(s, id)
		for i := range uint64(6) {
			// Of changing length, from a part of a page to several.
			note(s.ReplaceCredential(ctx, id, first+i, storetest.OAuth2(fmt.Sprintf("%0*d", 1+i%3*4000, i))))
			must(t, s.RecordIssue(ctx, storetest.Issue(s, id, fmt.Sprint(10*round+int(i)+1), fmt.Sprint("A-", 10*round+int(i)+1))))
		}
		note(s.UpdateConnection(ctx, id, func(c *tokenstore.Connection) error {
			c.SiteURL = fmt.Sprintf("https://%s-%d.atlassian.net", id, round)
			return nil
		}))
	}
	return sealed
}

// others returns what must stay as it is when acme goes.
func others(t testing.TB, s *bolt.Store) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, c := range s.Directory().Connections() {
		if c.ID != "acme" {
			cred, err := s.Credential(t.Context(), c.ID)
			must(t, err)
			m[c.ID] = reveal(cred)
		}
	}
	return m
}

func wantOthers(t testing.TB, s *bolt.Store, want map[string]string) {
	t.Helper()
	must(t, s.Check(t.Context()))
	if got := others(t, s); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("other connections have changed")
	}
	if _, ok := s.Directory().Connection("acme"); ok {
		t.Error("acme is still there")
	}
}

// crowd is a store with a history of other connections, and acme's.
func crowd(t testing.TB) (bolt.Options, *bolt.Store, [][]byte) {
	t.Helper()
	o := options(t)
	s := mustOpen(t, o)
	trail(t, s, "before")
	sealed := trail(t, s, "acme")
	trail(t, s, "behind")
	if n := remains(readFile(t, o.Path), sealed); n < 5 {
		t.Fatalf("the file holds %d of %d old records: the test proves nothing", n, len(sealed))
	}
	return o, s, sealed
}

func wantShredded(t testing.TB, path string, sealed [][]byte) {
	t.Helper()
	if n := remains(readFile(t, path), sealed); n > 0 {
		t.Errorf("%s still holds %d of %d sealed records", filepath.Base(path), n, len(sealed))
	}
}

// When RemoveConnection returns, no byte is left of the data key, nor of any
// credential that was ever sealed under it.
func TestRemovedConnectionIsShredded(t *testing.T) {
	o, s, sealed := crowd(t)
	want := others(t, s)
	must(t, storetest.Remove(t.Context(), s, "acme"))
	wantShredded(t, o.Path, sealed)
	wantOthers(t, s, want)
	must(t, s.AddConnection(t.Context(), storetest.CloudConnection("next"), storetest.OAuth2("1")))
	must(t, s.Check(t.Context()), storetest.Remove(t.Context(), s, "next"))
	mustClose(t, s)
	wantOthers(t, mustOpen(t, o), want)
}

// bbolt begins with the older of its meta pages where the younger is damaged. Both
// lead to all that should be there, and to nothing else.
func TestShreddedUnderBothMetaPages(t *testing.T) {
	o, s, _ := crowd(t)
	want := others(t, s)
	must(t, storetest.Remove(t.Context(), s, "acme"))
	mustClose(t, s)
	file := readFile(t, o.Path)
	for meta := range 2 {
		b := bytes.Clone(file)
		clear(b[meta*os.Getpagesize()+16:][:64]) // all but the header of the page
		damaged := o
		damaged.Path = filepath.Join(t.TempDir(), "store.db")
		writeFile(t, damaged.Path, b)
		must(t, bolt.Verify(t.Context(), damaged.Path, o.AEAD))
		s := mustOpen(t, damaged)
		wantOthers(t, s, want)
		// Goes on, which needs both again.
		must(t, storetest.Remove(t.Context(), s, "behind"), s.Check(t.Context()))
	}
}

// What a crash between removal and shredding leaves, in pages that are free or
// beyond the last one in use, is overwritten when the store is opened.
func TestOpenShredsWhatACrashLeft(t *testing.T) {
	o, s, sealed := crowd(t)
	want := others(t, s)
	mustClose(t, s)
	f, err := os.OpenFile(o.Path, os.O_RDWR, 0)
	must(t, err)
	info, err := f.Stat()
	must(t, err)
	_, err = f.WriteAt(sealed[0], info.Size()-int64(len(sealed[0])))
	must(t, err, f.Close())
	edit(t, o.Path, func(tx *bbolt.Tx) error { // the removal alone
		for _, b := range []string{"connections", "data_keys", "credentials"} {
			must(t, tx.Bucket([]byte(b)).Delete([]byte("acme")))
		}
		for _, b := range []string{"issues", "issue_keys"} {
			c := tx.Bucket([]byte(b)).Cursor()
			for k, _ := c.Seek([]byte("acme/")); bytes.HasPrefix(k, []byte("acme/")); k, _ = c.Seek([]byte("acme/")) {
				must(t, c.Delete())
			}
		}
		return nil
	})
	if remains(readFile(t, o.Path), sealed) == 0 {
		t.Fatal("the removal left nothing: the test proves nothing")
	}
	s = mustOpen(t, o)
	wantShredded(t, o.Path, sealed)
	wantOthers(t, s, want)
}

// stalledBackup begins a backup that goes on when its reader is read.
func stalledBackup(t testing.TB, s *bolt.Store) (r io.Reader, result <-chan error) {
	t.Helper()
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := s.Backup(t.Context(), pw)
		done <- errors.Join(err, pw.CloseWithError(err))
	}()
	head := make([]byte, 1)
	if _, err := io.ReadFull(pr, head); err != nil {
		t.Fatal(err)
	}
	return io.MultiReader(bytes.NewReader(head), pr), done
}

// A backup that was begun before the removal needs the old pages: it is whole, and
// the shredding is done when it ends. One begun after the removal holds nothing.
func TestShreddingWaitsForBackups(t *testing.T) {
	ctx := t.Context()
	o, s, sealed := crowd(t)
	want := others(t, s)
	r, result := stalledBackup(t, s)
	must(t, storetest.Remove(ctx, s, "acme"))
	wantShredded(t, backup(t, s), sealed)

	copied := o
	copied.Path = filepath.Join(t.TempDir(), "copy.db")
	b, err := io.ReadAll(r)
	must(t, err, <-result)
	wantShredded(t, o.Path, sealed)
	wantOthers(t, s, want)
	writeFile(t, copied.Path, b)
	must(t, bolt.Verify(ctx, copied.Path, o.AEAD))
	c := mustOpen(t, copied)
	if cred, err := c.Credential(ctx, "acme"); err != nil || cred.Generation == 0 {
		t.Errorf("in the copy: %v", err)
	}
	// But of its history the copy holds nothing: its free pages are empty.
	present, err := c.Sealed("acme")
	must(t, err)
	old := slices.DeleteFunc(sealed, func(s []byte) bool { return bytes.Equal(s, present[0]) || bytes.Equal(s, present[1]) })
	if n := remains(b, old); n > 0 {
		t.Errorf("the copy holds %d of %d old records", n, len(old))
	}
}

// Close lets a backup end, and shreds what had to wait for it.
func TestCloseDuringABackup(t *testing.T) {
	o, s, sealed := crowd(t)
	r, result := stalledBackup(t, s)
	must(t, storetest.Remove(t.Context(), s, "acme"))
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	_, err := io.Copy(io.Discard, r)
	must(t, err, <-result, <-closed)
	wantShredded(t, o.Path, sealed)
	must(t, bolt.Verify(t.Context(), o.Path, o.AEAD))
}

// Whoever reads while a connection is removed reads to the end what there was.
func TestShreddingWaitsForReaders(t *testing.T) {
	o, s, sealed := crowd(t)
	last := sealed[len(sealed)-1:]
	removed := make(chan error, 1)
	err := s.View(func(tx *bbolt.Tx) error {
		go func() { removed <- storetest.Remove(t.Context(), s, "acme") }()
		// The removal, and the commit after it, which is the last step before.
		for lastCommit(t, o.Path) < uint64(tx.ID())+2 {
			runtime.Gosched()
		}
		for range 30 { // time enough to make the mistake
			if remains(readFile(t, o.Path), last) == 0 || !bytes.Equal(credentialOf(tx, "acme"), last[0]) {
				t.Fatal("a reader's page was overwritten")
			}
		}
		return nil
	})
	must(t, err, <-removed)
	wantShredded(t, o.Path, sealed)
}

// lastCommit returns the id of the last transaction that is in a file.
func lastCommit(t testing.TB, path string) uint64 {
	t.Helper()
	file := readFile(t, path)
	return max(number(file, 16+48), number(file, os.Getpagesize()+16+48))
}
