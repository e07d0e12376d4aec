package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/tink-crypto/tink-go/v2/tink"
	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
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

// maxFindings is how many damaged records the error of Check names.
const maxFindings = 20

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
		var f findings
		for err := range tx.Check(bbolt.WithKVStringer(quietKeys{})) { // to its end, or it hangs
			f.add("%v", err)
		}
		for _, check := range []func(*bbolt.Tx, *findings) error{
			s.checkConnections, s.checkBelongings, s.checkNotes, s.checkClients, s.checkIssues,
		} {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := check(tx, &f); err != nil {
				return err
			}
		}
		return f.err()
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

// findings collects what is wrong.
type findings struct {
	errs []error
	more int
}

func (f *findings) add(format string, args ...any) {
	if len(f.errs) == maxFindings {
		f.more++
		return
	}
	f.errs = append(f.errs, corruptf(format, args...))
}

func (f *findings) count() int { return len(f.errs) + f.more }

func (f *findings) err() error {
	if f.more > 0 {
		return errors.Join(append(f.errs, corruptf("and %d more", f.more))...)
	}
	return errors.Join(f.errs...)
}

// checkConnections opens every credential.
func (s *Store) checkConnections(tx *bbolt.Tx, f *findings) error {
	connections := tx.Bucket(bucketConnections)
	return connections.ForEach(func(k, v []byte) error {
		r, err := decodeConnection(k, v)
		if err != nil {
			f.add("%w", err)
			return nil
		}
		c := r.connection()
		if err := c.Validate(); err != nil {
			f.add("%w", err)
		}
		// One that was not begun yet would come twice.
		if begun := connections.Sequence(); c.Incarnation < 1 || c.Incarnation > begun {
			f.add("connection %q: it is of incarnation %d, and %d were begun", k, c.Incarnation, begun)
		}
		cred, err := readCredential(tx, s.aead, r)
		if err == nil {
			err = cred.Validate()
		}
		if err == nil && c.State.Callable() && !cred.Consented() {
			err = awaitsConsent(c.State)
		}
		if err != nil {
			f.add("credential of connection %q: %w", k, err)
		}
		return nil
	})
}

func (s *Store) checkClients(tx *bbolt.Tx, f *findings) error {
	clients, tokens := tx.Bucket(bucketClients), tx.Bucket(bucketClientTokens)
	err := clients.ForEach(func(k, v []byte) error {
		c, err := decodeClient(k, v)
		if err == nil {
			err = c.Validate()
		}
		if err != nil {
			f.add("%w", err)
			return nil
		}
		if c.TokenSHA256 != noToken && !bytes.Equal(tokens.Get(c.TokenSHA256[:]), k) {
			f.add("client %q: its token does not lead to it", k)
		}
		for _, id := range c.Connections {
			if tx.Bucket(bucketConnections).Get([]byte(id)) == nil {
				f.add("client %q: it is granted connection %s, which there is not", k, id)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return tokens.ForEach(func(sum, name []byte) error {
		c := tokenstore.Client{}
		v := clients.Get(name)
		if v != nil {
			c, _ = decodeClient(name, v) // found above
		}
		if !bytes.Equal(c.TokenSHA256[:], sum) {
			f.add("a client token leads to client %q, whose it is not", name)
		}
		return nil
	})
}

func (s *Store) checkIssues(tx *bbolt.Tx, f *findings) error {
	issues, keys := tx.Bucket(bucketIssues), tx.Bucket(bucketIssueKeys)
	err := issues.ForEach(func(k, v []byte) error {
		r, err := decodeIssue(k, v)
		if err != nil {
			f.add("%w", err)
			return nil
		}
		i := tokenstore.PublishedIssue{Connection: r.Connection, ID: r.ID, Key: r.Key, Client: r.Client, Record: r.Record}
		if err := i.Validate(); err != nil {
			f.add("issue %q: %w", k, err)
		}
		if tx.Bucket(bucketConnections).Get([]byte(r.Connection)) == nil {
			f.add("issue %q: there is no such connection", k)
		}
		if r.Key != "" && string(keys.Get(issueName(r.Connection, r.Key))) != r.ID {
			f.add("issue %q: its key does not lead to it", k)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return keys.ForEach(func(k, id []byte) error {
		connection, key, _ := bytes.Cut(k, []byte("/"))
		v := issues.Get(issueName(string(connection), string(id)))
		if v == nil {
			f.add("issue key %q leads to an issue that there is not", k)
			return nil
		}
		if r, err := decodeIssue(issueName(string(connection), string(id)), v); err == nil && r.Key != string(key) {
			f.add("issue key %q leads to the issue of another key", k)
		}
		return nil
	})
}
