package bolt

import (
	"context"

	"github.com/tink-crypto/tink-go/v2/tink"
	"go.etcd.io/bbolt"
)

// OpenSchema opens a store as a program would that knows schemas up to version.
func OpenSchema(ctx context.Context, o Options, version int, migrations ...func(*bbolt.Tx, tink.AEAD) error) (*Store, error) {
	sc := schema{version: version}
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
