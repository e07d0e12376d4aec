package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"sync"

	"jiragate/gateway/audit"
)

// Options are what [Open] needs.
type Options struct {
	Path   string       // of the index; made with mode 0600 if missing, its directory must exist
	Dir    string       // of the log
	Logger *slog.Logger // slog.Default if nil: an index that is made anew, segments that are read whole
	// Report, if set, is called by Update for each segment that it has indexed.
	Report func(Progress)
}

// Index is an open index. It may be used by many goroutines at once, and the file by
// many processes.
type Index struct {
	path, dir string
	logger    *slog.Logger
	report    func(Progress)

	mu sync.Mutex
	db *database // another when the file is another
}

// Open opens the index, and makes it if it is missing. What is damaged, made by
// another version or no index at all is removed and made anew. An error that wraps
// [io/fs.ErrPermission] says that the file cannot be written by this user.
func Open(o Options) (*Index, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open the audit index: %w", err)
	}
	x := &Index{path: path, dir: o.Dir, logger: o.Logger, report: o.Report}
	if x.db, err = x.openFile(); err != nil {
		return nil, fmt.Errorf("open the audit index: %w", err)
	}
	return x, nil
}

// Close closes the file. Queries that are under way read the log whole from there
// on.
func (x *Index) Close() error {
	if err := x.handle().Close(); err != nil {
		return fmt.Errorf("close the audit index: %w", err)
	}
	return nil
}

func (x *Index) handle() *database {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.db
}

// renew opens the file again, which somebody, or this process, has removed because
// it was damaged.
func (x *Index) renew() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.db.Close(); err != nil {
		x.logger.Debug("audit index: close the damaged file", "error", err)
	}
	db, err := x.openFile()
	if err != nil {
		return err
	}
	x.db = db
	return nil
}

// Query gives what [audit.Query] gives for f, in the same order, and like it sees
// records that are not indexed yet. It ends with the error of ctx when that ends.
func (x *Index) Query(ctx context.Context, f audit.Filter) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		q := newQuestion(f)
		choose := func(segment string) ([]audit.Block, bool) {
			if ctx.Err() != nil {
				return nil, true // the rest is not wanted
			}
			return x.choose(ctx, segment, q)
		}
		for e, err := range audit.QueryBlocks(x.dir, f, choose) {
			if ctx.Err() != nil {
				break
			}
			if !yield(e, err) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(audit.Entry{}, fmt.Errorf("query the audit log: %w", err))
		}
	}
}

// choose finds the blocks of a segment that can answer q. ok is false if the index
// does not know the segment as it is.
func (x *Index) choose(ctx context.Context, name string, q *question) (blocks []audit.Block, ok bool) {
	db := x.handle()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // so that all rows are of one state
	if err == nil {
		blocks, err = q.choose(ctx, tx, x.dir, name)
		err = errors.Join(err, tx.Rollback())
	}
	switch {
	case err == nil:
		return blocks, true
	case errors.Is(err, errUnknown):
		return nil, false
	case ctx.Err() != nil:
		return nil, true
	}
	x.logger.Warn("audit index: cannot use it for a segment, which is read whole", "segment", name, "error", err,
		"hint", "answers are right, and slower; jiragate audit reindex makes it anew")
	if errors.Is(err, errDamaged) {
		if err := inTransaction(ctx, db.DB, func(tx *sql.Tx) error { return forget(ctx, tx, name) }); err != nil {
			x.logger.Warn("audit index: cannot forget the damaged segment", "segment", name, "error", err,
				"hint", "jiragate audit reindex makes the index anew; look at the disk")
		}
	}
	return nil, false
}
