package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
	"jiragate/tokenstore/records"
)

// Options of [Open].
type Options struct {
	// Path is the file. It is made, with mode 0600, where there is none.
	Path string
	// AEAD wraps the data keys, under which credentials are sealed. As with every
	// keyset of Tink, its ciphertexts tell their key: they begin with a byte 0x01 and
	// the key id, big endian.
	AEAD tink.AEAD
	// Now is the clock for the times in records. Nil means [time.Now].
	Now func() time.Time
	// LockTimeout is how long to wait for another process to let go of the file.
	// Zero means 2 seconds.
	LockTimeout time.Duration
}

const defaultLockTimeout = 2 * time.Second

// Store is a store in one bbolt file. It implements tokenstore.Store, where its
// methods are described.
type Store struct {
	*records.Store // all that is the same whatever keeps the records

	db     *bbolt.DB
	file   *os.File // of db, to read pages from
	path   string
	aead   tink.AEAD
	now    func() time.Time
	schema schema

	// mu is held by whoever writes, from before the transaction until the
	// directory is replaced: bbolt lets the next writer in before that.
	mu         sync.Mutex
	closed     bool      // guarded by mu, as are those that follow
	backups    int       // in progress
	idle       sync.Cond // of mu: told when the last backup has ended
	unscrubbed bool      // pages not in use may hold what was removed

	// reading is held, shared, during the transactions of view: see awaitReaders.
	reading sync.RWMutex

	directory atomic.Pointer[tokenstore.Directory]
	revision  atomic.Uint64
	broken    atomic.Pointer[pageError] // set once by the first panic of bbolt
}

var _ tokenstore.Store = (*Store)(nil)

// Open opens the store, and makes it where there is none. The whole file is read
// once to see that its pages are in order, and those not in use are overwritten.
//
// Errors: tokenstore.ErrLocked, ErrMoved, ErrMoving, ErrWrongKey, ErrCorrupt and
// ErrSchemaTooNew; one that gives the command to run where others than the owner have access to the
// file; and those of the file system.
func Open(ctx context.Context, o Options) (*Store, error) {
	return open(ctx, o, currentSchema())
}

func open(ctx context.Context, o Options, sc schema) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = defaultLockTimeout
	}
	if _, err := os.Lstat(o.Path); errors.Is(err, fs.ErrNotExist) {
		prepare := func(db *bbolt.DB) error { return sc.prepare(db, o.AEAD) }
		if err := create(o.Path, prepare); err != nil {
			return nil, fmt.Errorf("making the store %s: %w", o.Path, err)
		}
	}
	s, err := attach(ctx, o, sc, os.O_RDWR)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", o.Path, err)
	}
	return s, nil
}

// attach opens a file that exists. With os.O_RDONLY it shares the lock and
// changes nothing, not even an older schema.
func attach(ctx context.Context, o Options, sc schema, flag int) (*Store, error) {
	readOnly, how := flag == os.O_RDONLY, syscall.LOCK_EX
	if readOnly {
		how = syscall.LOCK_SH
	}
	file, err := lockFile(ctx, o.Path, flag, how, o.LockTimeout)
	if err != nil {
		return nil, err
	}
	db, err := openBolt(file, readOnly)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, file: file, path: o.Path, aead: o.AEAD, now: o.Now, schema: sc}
	s.Store = records.New(engine{s}, o.AEAD)
	s.idle.L = &s.mu
	err = guarded(func() error { return s.start(readOnly) })
	if err == nil && !readOnly {
		// What a crash has kept from being overwritten isn't known, so all is. Nobody
		// else has the store yet.
		err = s.scrub()
	}
	if err != nil {
		if pe, ok := errors.AsType[*pageError](err); ok {
			s.broken.Store(pe)
		}
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// start accepts the file, migrates it and loads the directory.
func (s *Store) start(readOnly bool) error {
	version := 0
	err := s.db.View(func(tx *bbolt.Tx) error {
		var err error
		version, err = s.schema.accept(tx, s.aead)
		return err
	})
	if err != nil {
		return err
	}
	if readOnly && version != s.schema.version {
		return fmt.Errorf("it has schema %d, which is not checked by this version of jiragate, with schema %d: open it with this version first", version, s.schema.version)
	}
	if err := s.schema.migrate(s.db, s.aead, version); err != nil {
		return err
	}
	return s.db.View(func(tx *bbolt.Tx) error {
		for _, b := range records.Buckets() {
			if tx.Bucket([]byte(b)) == nil {
				return corruptf("bucket %s is missing", b)
			}
		}
		d, err := records.LoadDirectory(transaction{tx})
		if err != nil {
			return err
		}
		s.directory.Store(d)
		s.revision.Store(transaction{tx}.bucket(records.Meta).Sequence())
		return nil
	})
}

// Directory returns the present connections and clients, without a lock.
func (s *Store) Directory() *tokenstore.Directory { return s.directory.Load() }

// Revision returns the number of changes made to this store since it was made.
// It only ever grows; if it is lower than one seen before, an older file was put
// in its place.
func (s *Store) Revision() uint64 { return s.revision.Load() }

// Close closes the file, after the calls in progress, backups included.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.Forget()
	if s.broken.Load() != nil {
		// bbolt may hold its locks for ever now, so its mapping stays.
		return release(s.file)
	}
	for s.backups > 0 {
		s.idle.Wait()
	}
	var err error
	if s.unscrubbed {
		err = s.scrub()
	}
	if err = errors.Join(err, s.db.Close()); err != nil {
		return fmt.Errorf("closing the store %s: %w", s.path, err)
	}
	return nil
}
