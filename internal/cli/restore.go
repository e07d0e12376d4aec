package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
)

// restored is what a restore did.
type restored struct {
	connections, clients int
	marked               []string // OAuth connections that wait for a person
	replaced             string   // where the store is that was replaced, if there was one
	damaged              error    // why that one could not be opened, if it could not
}

const restoredReason = "restored from a backup: its refresh token may have been replaced since"

// restoreStore puts the backup in the place of the store of c. Nothing is
// changed unless the backup is whole and opens under the keyset. The lock of
// the present store is held all the while, so no gateway can be at work on it.
func restoreStore(ctx context.Context, c Config, backup io.Reader) (done restored, err error) {
	keys, err := openKeyset(ctx, c, false, nil)
	if err != nil {
		return done, hint(fmt.Errorf("JIRAGATE_KEY_URI: %w", err), "the backup opens only under the keyset of its store: put that back first")
	}
	temp := c.file("store.db.restoring")
	err = newPrivateFile(temp, func(w io.Writer) error {
		_, err := io.Copy(w, backup)
		return err
	})
	if err != nil {
		return done, fmt.Errorf("copying the backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp))
		}
	}()
	options := bolt.Options{Path: temp, AEAD: keys, LockTimeout: commandLockTimeout}
	if err := checkBackup(ctx, options); err != nil {
		return done, fmt.Errorf("the backup cannot be used: %w", err)
	}

	there, err := exists(c.storeFile())
	if err != nil {
		return done, err
	}
	if there {
		options.Path = c.storeFile()
		present, openErr := bolt.Open(ctx, options)
		switch {
		case errors.Is(openErr, tokenstore.ErrLocked):
			return done, hint(openErr, "stop the gateway first")
		case errors.Is(openErr, tokenstore.ErrMoving):
			return done, openErr
		case errors.Is(openErr, tokenstore.ErrMoved):
			// Nobody is at work on it, and what it was is elsewhere.
		case openErr != nil:
			done.damaged = openErr // a reason to restore
		default:
			defer func() { err = errors.Join(err, present.Close()) }()
		}
	}

	options.Path = temp
	if err := done.mark(ctx, options); err != nil {
		return done, fmt.Errorf("marking the connections of the backup: %w", err)
	}
	if there {
		// A second name first, so that there is a store at each moment.
		done.replaced = c.file("store.db.replaced-" + time.Now().UTC().Format("20060102T150405.000Z"))
		if err := os.Link(c.storeFile(), done.replaced); err != nil {
			return done, err
		}
	}
	if err := os.Rename(temp, c.storeFile()); err != nil {
		return done, err
	}
	return done, syncDir(c.DataDir)
}

// checkBackup opens the copy, which brings one of an older schema forward, and
// reads all of it.
func checkBackup(ctx context.Context, o bolt.Options) error {
	store, err := bolt.Open(ctx, o)
	if err != nil {
		return err
	}
	return errors.Join(store.Check(ctx), store.Close())
}

// mark opens the backup and puts its OAuth connections on hold.
func (r *restored) mark(ctx context.Context, o bolt.Options) error {
	store, err := bolt.Open(ctx, o)
	if err != nil {
		return err
	}
	dir := store.Directory()
	r.connections, r.clients = len(dir.Connections()), len(dir.Clients())
	for _, conn := range dir.Connections() {
		if conn.CredentialKind != tokenstore.KindOAuth2 || !conn.State.Callable() {
			continue
		}
		if err := store.SetState(ctx, conn.ID, tokenstore.StateNeedsReauthorisation, restoredReason); err != nil {
			return errors.Join(err, store.Close())
		}
		r.marked = append(r.marked, conn.ID)
	}
	return store.Close()
}
