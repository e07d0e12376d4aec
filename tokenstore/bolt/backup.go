package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"go.etcd.io/bbolt"
)

// Backup writes a consistent copy of the file to w. Changes go on meanwhile and
// are not in it. The copy is a store like the original, under the same keyset:
// [Verify] checks it. It should be kept with mode 0600.
//
// Pages that are not in use are zeros in it, so that it holds nothing of what was
// removed before.
func (s *Store) Backup(ctx context.Context, w io.Writer) (n int64, err error) {
	const action = "backing up the store"
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("%s: %w", action, err)
	}
	tx, live, err := s.beginBackup()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", action, err)
	}
	defer func() {
		if endErr := s.endBackup(tx); endErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", action, endErr))
		}
	}()
	// bbolt reads the file here, not the mapping, so there is nothing to guard.
	live.ctx, live.w = ctx, w
	n, err = tx.WriteTo(live)
	if live.err != nil {
		err = live.err
	}
	if err != nil {
		return n, fmt.Errorf("%s: %w", action, err)
	}
	return n, nil
}

// beginBackup begins a transaction that reads, and finds the pages that it will
// read.
func (s *Store) beginBackup() (*bbolt.Tx, *liveWriter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, fmt.Errorf("the store is closed: %w", fs.ErrClosed)
	}
	info, err := s.file.Stat()
	if err != nil {
		return nil, nil, err
	}
	pages := pageWalk{r: s.file, size: info.Size()}
	metas, err := pages.metas()
	if err != nil {
		return nil, nil, err
	}
	used, err := pages.pagesOf(metas[0]) // nobody writes, so it is that of the transaction
	if err != nil {
		return nil, nil, err
	}
	var tx *bbolt.Tx
	err = s.run("beginning to read", func() error {
		var err error
		tx, err = s.db.Begin(false)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	s.backups++
	return tx, &liveWriter{used: used, zeros: make([]byte, pages.pageSize)}, nil
}

// endBackup ends the transaction, and does what had to wait for that.
func (s *Store) endBackup(tx *bbolt.Tx) error {
	_ = tx.Rollback() // of a transaction that only reads
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backups--
	if s.backups > 0 {
		return nil
	}
	s.idle.Broadcast()
	// Close does it itself.
	if !s.unscrubbed || s.closed {
		return nil
	}
	return s.scrub()
}

// liveWriter passes on the pages in use of a file that is written to it from its
// beginning, and zeros in place of the others. It fails once the context has
// ended. It keeps its error, of which bbolt passes on the text alone.
type liveWriter struct {
	ctx   context.Context
	w     io.Writer
	used  []bool // by page number
	zeros []byte // a page of them
	at    int64
	err   error
}

func (w *liveWriter) Write(p []byte) (n int, err error) {
	defer func() { w.err = err }()
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	size := int64(len(w.zeros))
	for n < len(p) {
		// One page at a time, or what p has of it.
		part := p[n:min(int64(len(p)), int64(n)+size-w.at%size)]
		if !w.used[w.at/size] {
			part = w.zeros[:len(part)]
		}
		m, err := w.w.Write(part)
		n, w.at = n+m, w.at+int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
