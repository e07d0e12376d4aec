package bolt

import (
	"context"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"

	"jiragate/internal/privatefile"
	"jiragate/tokenstore/records"
)

// Export writes a store file with the records of another store to w, and returns its length. That
// the other one was moved, or from where, is not in it.
// It is made in a temporary file of mode 0600.
func Export(ctx context.Context, from records.Reader, w io.Writer) (n int64, err error) {
	temp, err := privatefile.Temp(os.TempDir() + "/jiragate-export")
	if err != nil {
		return 0, err
	}
	defer os.Remove(temp) // where it was made
	err = createTemp(temp, func(db *bbolt.DB) error {
		return db.Update(func(tx *bbolt.Tx) error { return fill(ctx, transaction{tx}, from) })
	})
	if err != nil {
		return 0, fmt.Errorf("making a file of the store: %w", err)
	}
	f, err := privatefile.Open(temp, os.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer f.Close() // only read
	return io.Copy(w, contextReader{ctx, f})
}

// fill copies all records, and the numbers that go on from them.
func fill(ctx context.Context, to transaction, from records.Reader) error {
	for _, b := range records.Buckets() {
		bucket, err := to.CreateBucketIfNotExists([]byte(b))
		if err != nil {
			return err
		}
		sequence, err := from.Sequence(b)
		if err != nil {
			return err
		}
		if err := bucket.SetSequence(sequence); err != nil {
			return err
		}
		err = from.Each(b, "", func(key, value []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !records.Copied(b, key) {
				return nil
			}
			return bucket.Put(key, value)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// contextReader fails once its context has ended.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
