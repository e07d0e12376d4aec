package index

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// busyTimeout is how long to wait for another process that writes.
const busyTimeout = 5 * time.Second

// drop removes the index at path. The log does not need it. Other processes go on
// with the removed file until their next Update, so where the file is sound,
// [Index.Reset] is better.
func drop(path string) error {
	// The journal goes first: SQLite would apply it to a file of the same name.
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the audit index: %w", err)
		}
	}
	return nil
}

// database is an open database file.
type database struct {
	*sql.DB
	file fs.FileInfo // tells whether it still is the one at its path
}

// openFile opens the file, or makes another if it cannot be used.
func (x *Index) openFile() (*database, error) {
	db, err := openDatabase(x.path)
	if err == nil || !malformed(err) {
		return db, err
	}
	// Of several processes that find it so, one makes it anew.
	unlock, lockErr := lockDirectory(filepath.Dir(x.path))
	if lockErr != nil {
		return nil, lockErr
	}
	defer unlock()
	if db, err = openDatabase(x.path); err == nil || !malformed(err) {
		return db, err
	}
	x.logger.Warn("audit index: the file cannot be used; it is made anew", "file", x.path, "error", err, "hint", "nothing to do: it holds nothing that the log does not; if it comes again, look at the disk")
	if err := drop(x.path); err != nil {
		return nil, err
	}
	return openDatabase(x.path)
}

func lockDirectory(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
		d.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { d.Close() }, nil
}

// openDatabase opens the database at path and makes its tables where they are
// missing or of another version.
func openDatabase(path string) (*database, error) {
	file, err := makeFile(path)
	if err != nil {
		return nil, err
	}
	parameters := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), // first: it holds for the others
		"journal_mode(WAL)",
		"synchronous(NORMAL)", // what a loss of power costs is indexed again
		"trusted_schema(OFF)",
		"cell_size_check(ON)",
	}, "_txlock": {"immediate"}}
	address := url.URL{Scheme: "file", Path: path, RawQuery: parameters.Encode()}
	db, err := sql.Open("sqlite", address.String())
	if err != nil {
		return nil, err
	}
	// All that is done here is short, and one connection is one thing to look after.
	db.SetMaxOpenConns(1)
	if err := prepare(db); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	return &database{db, file}, nil
}

// makeFile makes the file, so that it has its mode from the beginning: SQLite gives
// that to its companions.
func makeFile(path string) (fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		info, err := f.Stat()
		return info, errors.Join(err, giveToOwner(f, filepath.Dir(path)), f.Close())
	}
	if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	// To open and close the file would undo SQLite's locks in this process (see
	// section 6.3 of https://www.sqlite.org/lockingv3.html): it is only looked at.
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file: move it away", path)
	case info.Mode().Perm()&0o077 != 0:
		err = os.Chmod(path, 0o600)
	}
	return info, err
}

// giveToOwner gives a file that root has made to the owner of its directory, who is
// the gateway. SQLite does the same to its companions.
func giveToOwner(f *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		return f.Chown(int(owner.Uid), int(owner.Gid))
	}
	return nil
}

// malformed tells whether only another file helps.
func malformed(err error) bool {
	if errors.Is(err, errForeign) {
		return true
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff { // the rest of the code is detail
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT:
		return true
	}
	return false
}
