package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"unicode"
)

// tables are the tables, in the order of their names. Rows of term and gram belong
// to a segment by its id, which is never given twice. The primary key of gram is
// segment << 16 | part.
var tables = [...]struct{ name, sql string }{
	{"gram", "CREATE TABLE gram (id INTEGER PRIMARY KEY, bits BLOB NOT NULL)"},
	{"segment", "CREATE TABLE segment (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, length INTEGER, blocks BLOB)"},
	{"term", "CREATE TABLE term (segment INTEGER NOT NULL, field TEXT NOT NULL, postings BLOB NOT NULL, PRIMARY KEY (segment, field)) WITHOUT ROWID"},
}

const (
	// applicationID marks the file as ours: "JGix".
	applicationID = 0x4a476978
	// format is raised with each change of what is stored.
	format = 2
)

// version is that of the file. Which letters are the same in lower case is for the
// Unicode tables of the compiler to say: a filter of other tables does not fit.
func version() int {
	sum := crc32.ChecksumIEEE(fmt.Appendf(nil, "%d %s", format, unicode.Version))
	return int(sum >> 1) // the header has a signed number of 32 bits for it
}

var (
	// errForeign: the file is no index.
	errForeign = errors.New("it is no audit index")
	// errDamaged: a part of the index is not as it was written.
	errDamaged = errors.New("the audit index is damaged")
)

// prepare makes the tables if they are not there as they must be.
func prepare(db *sql.DB) error {
	ctx := context.Background()
	if state, err := stateOf(ctx, db); err != nil || state == current {
		return err
	}
	return inTransaction(ctx, db, func(tx *sql.Tx) error {
		state, err := stateOf(ctx, tx) // another process may have been faster
		switch {
		case err != nil || state == current:
			return err
		case state == foreign:
			return errForeign
		}
		return makeTables(ctx, tx)
	})
}

type state int

const (
	foreign  state = iota
	outdated       // an index of another version, or nothing yet
	current
)

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func stateOf(ctx context.Context, q querier) (state, error) {
	var id, v int
	if err := q.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return foreign, err
	}
	if err := q.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v); err != nil {
		return foreign, err
	}
	found, err := schema(ctx, q)
	if err != nil {
		return foreign, err
	}
	switch {
	case id == 0 && len(found) == 0:
		return outdated, nil
	case id != applicationID:
		return foreign, nil
	case v != version() || len(found) != len(tables):
		return outdated, nil
	}
	for _, t := range tables {
		if found[t.name] != t.sql {
			return outdated, nil
		}
	}
	return current, nil
}

// schema gives the tables that are there.
func schema(ctx context.Context, q querier) (map[string]string, error) {
	rows, err := q.QueryContext(ctx, "SELECT name, sql FROM sqlite_master WHERE type <> 'index' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		found[name] = text
	}
	return found, rows.Err()
}

// makeTables makes the tables, in the place of those that are there.
func makeTables(ctx context.Context, tx *sql.Tx) error {
	found, err := schema(ctx, tx)
	if err != nil {
		return err
	}
	var statements []string
	for name, text := range found {
		if !slices.ContainsFunc(tables[:], func(t struct{ name, sql string }) bool { return t.name == name }) {
			return fmt.Errorf("%w: it has %q", errForeign, text)
		}
		statements = append(statements, "DROP TABLE "+name)
	}
	for _, t := range tables {
		statements = append(statements, t.sql)
	}
	statements = append(statements,
		fmt.Sprintf("PRAGMA application_id = %d", applicationID), fmt.Sprintf("PRAGMA user_version = %d", version()))
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func inTransaction(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
