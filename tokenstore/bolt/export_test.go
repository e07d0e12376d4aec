package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"unicode"

	"github.com/tink-crypto/tink-go/v2/tink"
	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
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
		for _, bucket := range [][]byte{bucketDataKeys, bucketCredentials} {
			sealed = append(sealed, bytes.Clone(tx.Bucket(bucket).Get([]byte(connection))))
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

// Remembers reports whether the credential of a connection can be had without the file.
func Remembers(s *Store, connection string) bool {
	return s.recent.get(connection, s.keysetVersion()) != nil
}

// Plain is a credential in clear, to be compared.
func Plain(c tokenstore.Credential) map[string]string {
	return map[string]string{
		"kind": string(c.Kind), "generation": strconv.FormatUint(c.Generation, 10),
		"access": c.AccessToken.Reveal(), "refresh": c.RefreshToken.Reveal(),
		"expiry": c.Expiry.String(), "scopes": strings.Join(c.Scopes, " "),
	}
}

// DecodeBoth decodes a record without reflection, and as encoding/json does; ok is false
// where only the latter reads it, or it has control characters in its strings, which no
// encoder leaves there.
func DecodeBoth(b []byte) (plain, whole any, ok bool) {
	var p, w credentialRecord
	if !p.decodePlain(b) || bytes.ContainsFunc(b, unicode.IsControl) {
		return nil, nil, false
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return p, err.Error(), true
	}
	return p, w, true
}

// DecodeConnectionBoth and DecodeClientBoth decode a record of the directory as a start does,
// and as encoding/json does; ok is false as in DecodeBoth.
func DecodeConnectionBoth(b []byte) (plain, whole any, ok bool) {
	var (
		d    recordReader
		p, w connectionRecord
	)
	// Twice, for what is remembered of the first one.
	if !d.plainConnection(&p, b) || bytes.ContainsFunc(b, unicode.IsControl) {
		return nil, nil, false
	}
	p = connectionRecord{}
	if !d.plainConnection(&p, b) {
		return "the second time it is not read", nil, true
	}
	if err := decode(b, &w); err != nil {
		return p, err.Error(), true
	}
	return p, w, true
}

func DecodeClientBoth(b []byte) (plain, whole any, ok bool) {
	var p, w clientRecord
	if !p.decodePlain(b) || bytes.ContainsFunc(b, unicode.IsControl) {
		return nil, nil, false
	}
	if err := decode(b, &w); err != nil {
		return p, err.Error(), true
	}
	return p, w, true
}

// PlainRecords reports whether records as this package writes them are read without
// reflection.
func PlainRecords(c tokenstore.Connection, cl tokenstore.Client) (connection, client bool) {
	var (
		d  recordReader
		r  connectionRecord
		rc clientRecord
	)
	b, _ := encode(newConnectionRecord(&c, 7))
	bc, _ := encode(newClientRecord(&cl))
	return d.plainConnection(&r, b), rc.decodePlain(bc)
}

// Fill adds connections in one change, each with a credential that make returns.
func Fill(s *Store, n int, make func(i int) (tokenstore.Connection, tokenstore.Credential)) error {
	return s.update(context.Background(), "filling", func(t *change) error {
		for i := range n {
			c, cred := make(i)
			c.State, c.CreatedAt, c.UpdatedAt, c.StateSince = tokenstore.StateActive, t.now, t.now, t.now
			generation, err := t.firstGeneration()
			if err != nil {
				return err
			}
			r := newConnectionRecord(&c, generation)
			if err := errors.Join(t.renewDataKey(r), t.putConnection(r), t.putCredential(r, &cred)); err != nil {
				return err
			}
		}
		return nil
	})
}
