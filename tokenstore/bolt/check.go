package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/tink-crypto/tink-go/v2/tink"
	"go.etcd.io/bbolt"

	"jiragate/tokenstore/records"
)

// Verify checks the store in a file, for instance a backup, without changing it:
// all that [Store.Check] checks. Errors are those of [Open]. A file of an older
// schema is not verified, which is an error too.
func Verify(ctx context.Context, path string, a tink.AEAD) error {
	o := Options{Path: path, AEAD: a, LockTimeout: defaultLockTimeout}
	s, err := attach(ctx, o, currentSchema(), os.O_RDONLY)
	if err == nil {
		err = errors.Join(s.Check(ctx), s.Close())
	}
	if err != nil {
		return fmt.Errorf("verifying the store %s: %w", path, err)
	}
	return nil
}

// Check reads every page and every record. Changes wait until it has ended.
func (s *Store) Check(ctx context.Context) error {
	const action = "checking the store"
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("%s: the store is closed: %w", action, os.ErrClosed)
	}
	// First, because bbolt's own check does not survive all damage.
	if err := checkFile(s.file); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return s.view(ctx, action, func(tx *bbolt.Tx) error {
		var f records.Findings
		for err := range tx.Check(bbolt.WithKVStringer(quietKeys{})) { // to its end, or it hangs
			f.Add("%v", err)
		}
		if err := s.Store.Check(ctx, transaction{tx}, &f); err != nil {
			return err
		}
		return f.Err()
	})
}

// quietKeys keeps keys that are not text, and all values, out of bbolt's errors.
type quietKeys struct{}

func (quietKeys) KeyToString(k []byte) string {
	if len(k) == 32 {
		return "(digest)"
	}
	return strconv.QuoteToASCII(string(k))
}

func (quietKeys) ValueToString([]byte) string { return "(value)" }
