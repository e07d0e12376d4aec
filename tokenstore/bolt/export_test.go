package bolt

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/tink-crypto/tink-go/v2/tink"
	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
	"jiragate/tokenstore/records"
)

// Schema is the version of stores that Open makes.
var Schema = currentSchema().version

// OpenSchema opens a store as a later program would, which has more migrations.
func OpenSchema(ctx context.Context, o Options, migrations ...func(*bbolt.Tx, tink.AEAD) error) (*Store, error) {
	sc := currentSchema()
	sc.version += len(migrations)
	for _, m := range migrations {
		sc.migrations = append(sc.migrations, m)
	}
	return open(ctx, o, sc)
}

// LimitSize makes changes fail that would make the file larger than it may be.
func (s *Store) LimitSize(bytes int) { s.db.MaxSize = bytes }

// Synced reports whether a change is on disk when it is acknowledged.
func (s *Store) Synced() bool { return !s.db.NoSync && !s.db.NoGrowSync }

var CheckPages = checkPages

// Sealed returns copies of the wrapped data key and the sealed credential of a
// connection.
func (s *Store) Sealed(connection string) (sealed [][]byte, err error) {
	err = s.View(func(tx *bbolt.Tx) error {
		for _, bucket := range []string{"data_keys", "credentials"} {
			sealed = append(sealed, bytes.Clone(tx.Bucket([]byte(bucket)).Get([]byte(connection))))
		}
		return nil
	})
	return sealed, err
}

// View reads as the store itself does.
func (s *Store) View(fn func(*bbolt.Tx) error) error {
	return s.view(context.Background(), "looking", fn)
}

// UnusedPages counts the pages that no meta page leads to and that hold something.
func UnusedPages(path string) (n int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	err = forEachUnused(f, info.Size(), func(int64, []byte) error { n++; return nil })
	return n, errors.Join(err, f.Close())
}

// Plain is a credential in clear, to be compared.
func Plain(c tokenstore.Credential) map[string]string {
	return map[string]string{
		"kind": string(c.Kind), "generation": strconv.FormatUint(c.Generation, 10),
		"access": c.AccessToken.Reveal(), "refresh": c.RefreshToken.Reveal(),
		"expiry": c.Expiry.String(), "scopes": strings.Join(c.Scopes, " "),
	}
}

// Fill adds connections in one change, each with a credential that make returns.
func Fill(s *Store, n int, make func(i int) (tokenstore.Connection, tokenstore.Credential)) error {
	var entries []records.Entry
	for i := range n {
		c, cred := make(i)
		entries = append(entries, records.Entry{Connection: c, Credential: cred})
	}
	return s.AddAll(context.Background(), entries, nil)
}
