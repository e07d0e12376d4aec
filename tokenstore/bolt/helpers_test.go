package bolt_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tink-crypto/tink-go/v2/tink"
	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/storetest"
)

// clock moves on by a second each time it is read.
func clock() func() time.Time {
	var n atomic.Int64
	return func() time.Time {
		return time.Date(2026, 1, 1, 0, 0, 0, 0, time.Local).Add(time.Duration(n.Add(1)) * time.Second)
	}
}

func newAEAD(t testing.TB) tink.AEAD {
	t.Helper()
	k, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// options are those of a store that doesn't exist yet.
func options(t testing.TB) bolt.Options {
	t.Helper()
	return bolt.Options{
		Path:        filepath.Join(t.TempDir(), "store.db"),
		AEAD:        newAEAD(t),
		Now:         clock(),
		LockTimeout: 50 * time.Millisecond,
	}
}

func mustOpen(t testing.TB, o bolt.Options) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func mustClose(t testing.TB, s *bolt.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("step %d: %v", i+1, err)
		}
	}
}

// fill puts a bit of everything into a store: two connections of each edition, one
// that waits for consent, clients, grants, published issues, credentials that were
// replaced, and notes of each kind.
func fill(t testing.TB, s *bolt.Store) {
	t.Helper()
	ctx := t.Context()
	must(t,
		s.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("acme-1")),
		s.AddConnection(ctx, storetest.CloudConnection("initech"), storetest.OAuth2("initech-1")),
		s.AddConnection(ctx, storetest.DataCenterConnection("umbrella"), storetest.Basic("hunter2-umbrella")),
		s.AddConnection(ctx, storetest.DataCenterConnection("tyrell"), storetest.Basic("hunter2-tyrell")),
		s.ReplaceCredential(ctx, "acme", storetest.FirstGeneration(s, "acme"), storetest.OAuth2("acme-2")),
		s.AddClient(ctx, tokenstore.Client{Name: "reports", TokenSHA256: storetest.Token("t1"), Connections: []string{"acme", "umbrella"}}),
		s.AddClient(ctx, tokenstore.Client{Name: "billing", TokenSHA256: storetest.Token("t2"), CertificateSANs: []string{"dns:billing.internal"}}),
		s.RecordIssue(ctx, storetest.Issue(s, "acme", "10042", "ACME-17")),
		s.RecordIssue(ctx, storetest.Issue(s, "umbrella", "7", "UMB-7")),
		s.AddConnection(ctx, storetest.CloudConnection("waiting"), tokenstore.Credential{Kind: tokenstore.KindOAuth2}),
		s.Invite(ctx, tokenstore.Invitation{Connection: "waiting", TokenSHA256: storetest.Token("i"), ExpiresAt: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}),
		s.SetAnnounced(ctx, tokenstore.Announcement{Connection: "tyrell", Incarnation: 4, State: tokenstore.StateActive}),
	)
	_, err := s.BeginRotation(ctx, "initech", storetest.FirstGeneration(s, "initech"))
	must(t, err)
	_, err = s.ImportIssues(ctx, "tyrell", []tokenstore.PublishedIssue{{Connection: "tyrell", ID: "8"}, {Connection: "tyrell", Key: "TYR-9"}})
	must(t, err)
}

// filled returns the options of a store that fill has filled, closed.
func filled(t testing.TB) bolt.Options {
	t.Helper()
	o := options(t)
	s := mustOpen(t, o)
	fill(t, s)
	mustClose(t, s)
	return o
}

func wantCredential(t testing.TB, s *bolt.Store, connection string, want tokenstore.Credential) {
	t.Helper()
	got, err := s.Credential(t.Context(), connection)
	must(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the credential of %s: %s", connection, d)
	}
}

// edit changes the file of a closed store behind its back.
func edit(t testing.TB, path string, fn func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
