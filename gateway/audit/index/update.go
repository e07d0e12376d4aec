package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"jiragate/gateway/audit"
)

// Progress says how far an Update is.
type Progress struct {
	Segments int   // closed segments that the question was about
	Done     int   // of them are indexed, by this Update or before
	Indexed  int   // by this Update
	Records  int64 // in those
	Forgot   int   // segments that are gone, or were another size
}

// Update indexes the closed segments that are new, and forgets those that are gone
// or have changed their size. The newest are indexed first, each in a transaction of
// its own: when ctx ends, or the process, what was done stays, and the next Update
// goes on. Two at once, of two processes also, do no harm but double the work.
//
// A segment that cannot be indexed, because it is damaged as a whole, stays unknown:
// it counts as done.
func (x *Index) Update(ctx context.Context) (Progress, error) {
	return x.UpdateSince(ctx, time.Time{})
}

// UpdateSince is Update for those segments alone that can hold records of this time
// and later; what a question about the last hour needs.
func (x *Index) UpdateSince(ctx context.Context, since time.Time) (Progress, error) {
	if err := x.followFile(); err != nil {
		return Progress{}, fmt.Errorf("update the audit index: %w", err)
	}
	p, err := x.update(ctx, since)
	if err != nil && malformed(err) && ctx.Err() == nil {
		x.logger.Warn("audit index: the file is malformed; it is made anew", "file", x.path, "error", err,
			"hint", "nothing to do: it holds nothing that the log does not; if it comes again, look at the disk")
		if err = x.replace(); err == nil {
			p, err = x.update(ctx, since)
		}
	}
	if err != nil {
		return p, fmt.Errorf("update the audit index: %w", err)
	}
	return p, nil
}

// Reset forgets everything. The file stays, so that other processes go on with it.
func (x *Index) Reset(ctx context.Context) error {
	err := x.followFile()
	if err == nil {
		err = inTransaction(ctx, x.handle().DB, func(tx *sql.Tx) error { return makeTables(ctx, tx) })
	}
	if err != nil && malformed(err) {
		err = x.replace()
	}
	if err != nil {
		return fmt.Errorf("empty the audit index: %w", err)
	}
	return nil
}

// replace makes another file in the place of a malformed one.
func (x *Index) replace() error {
	unlock, err := lockDirectory(filepath.Dir(x.path))
	if err != nil {
		return err
	}
	err = drop(x.path)
	unlock()
	if err != nil {
		return err
	}
	return x.renew()
}

// followFile opens the file anew if it is not the one that was opened.
func (x *Index) followFile() error {
	info, err := os.Lstat(x.path)
	if err == nil && os.SameFile(info, x.handle().file) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return x.renew()
}

func (x *Index) update(ctx context.Context, since time.Time) (Progress, error) {
	var p Progress
	infos, err := audit.Segments(x.dir)
	if err != nil {
		return p, err
	}
	known, err := x.known(ctx)
	if err != nil {
		return p, err
	}
	var missing []audit.SegmentInfo
	for _, info := range infos {
		k, ok := known[info.Name]
		if !info.Closed {
			continue // and is forgotten below: it was closed once, so the log was put back to an older state
		}
		fits := ok && k.fits(info)
		if fits {
			delete(known, info.Name)
		}
		if endsBefore(info.Name, since) {
			continue
		}
		if p.Segments++; fits {
			p.Done++
		} else {
			missing = append(missing, info)
		}
	}
	for name := range known {
		if err := inTransaction(ctx, x.handle().DB, func(tx *sql.Tx) error { return forget(ctx, tx, name) }); err != nil {
			return p, err
		}
		p.Forgot++
	}
	for _, info := range slices.Backward(missing) {
		if err := x.add(ctx, info, &p); err != nil {
			return p, err
		}
		if x.report != nil {
			x.report(p)
		}
	}
	return p, nil
}

// endsBefore relies on names that begin with the hour, and on no record being later
// than that: see package audit.
func endsBefore(name string, since time.Time) bool {
	const hour = "2006-01-02T15"
	return !since.IsZero() && len(name) > len(hour) && name[:len(hour)] < since.UTC().Format(hour)
}

// entry is what the index says of a segment's file.
type entry struct {
	size   int64         // of the file when it was indexed
	length sql.NullInt64 // of the lines; nothing if it could not be indexed
}

// fits tells whether the entry is about the file as it is. Compression changes the
// size and nothing else.
func (e entry) fits(info audit.SegmentInfo) bool {
	switch {
	case !e.length.Valid:
		return e.size == info.Size
	case info.Compressed:
		return true
	}
	return e.length.Int64 == info.Size
}

func (x *Index) known(ctx context.Context) (map[string]entry, error) {
	rows, err := x.handle().QueryContext(ctx, "SELECT name, size, length FROM segment")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := map[string]entry{}
	for rows.Next() {
		var e entry
		var name string
		if err := rows.Scan(&name, &e.size, &e.length); err != nil {
			return nil, err
		}
		known[name] = e
	}
	return known, rows.Err()
}

func forget(ctx context.Context, tx *sql.Tx, name string) error {
	for _, s := range []string{
		"DELETE FROM term WHERE segment = (SELECT id FROM segment WHERE name = ?1)",
		"DELETE FROM gram WHERE id BETWEEN (SELECT id << 16 FROM segment WHERE name = ?1) AND (SELECT id << 16 | 65535 FROM segment WHERE name = ?1)",
		"DELETE FROM segment WHERE name = ?1",
	} {
		if _, err := tx.ExecContext(ctx, s, name); err != nil {
			return err
		}
	}
	return nil
}

// add indexes one segment.
func (x *Index) add(ctx context.Context, info audit.SegmentInfo, p *Progress) error {
	if known, err := x.has(ctx, x.handle(), info); err != nil || known {
		if known {
			p.Done++
		}
		return err
	}
	b, err := build(ctx, x.dir, info)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // retention has just removed it
	}
	if err != nil {
		return err
	}
	err = inTransaction(ctx, x.handle().DB, func(tx *sql.Tx) error {
		if known, err := x.has(ctx, tx, info); err != nil || known { // another process was faster
			return err
		}
		if err := forget(ctx, tx, info.Name); err != nil { // what is there is of another size
			return err
		}
		return b.store(ctx, tx)
	})
	if err != nil {
		return err
	}
	p.Done++
	p.Indexed++
	p.Records += b.records
	return nil
}

// has tells whether the segment has been indexed meanwhile.
func (x *Index) has(ctx context.Context, q querier, info audit.SegmentInfo) (bool, error) {
	var e entry
	err := q.QueryRowContext(ctx, "SELECT size, length FROM segment WHERE name = ?", info.Name).Scan(&e.size, &e.length)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil && e.fits(info), err
}
