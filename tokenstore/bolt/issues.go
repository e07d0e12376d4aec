package bolt

import (
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
)

// RecordIssue remembers an issue created through the gateway.
func (s *Store) RecordIssue(ctx context.Context, i tokenstore.PublishedIssue) error {
	if err := i.Validate(); err != nil {
		return fmt.Errorf("recording an issue: %w", err)
	}
	action := fmt.Sprintf("recording issue %s of connection %s", i.Key, i.Connection)
	return s.update(ctx, action, func(t *change) error {
		c, err := t.connection(i.Connection)
		if err != nil {
			return err
		}
		if tokenstore.Incarnation(c.Generation) != i.Incarnation {
			return fmt.Errorf("connection %s, incarnation %d: %w: it was replaced since", i.Connection, i.Incarnation, tokenstore.ErrNotFound)
		}
		if i.CreatedAt.IsZero() {
			i.CreatedAt = t.now
		}
		byID, byKey, err := t.sameIssues(&i)
		if err != nil {
			return err
		}
		if byID != nil && byKey != nil && byID.ID == byKey.ID {
			return errUnchanged
		}
		// An id or key that was used before stands for the new issue from now on:
		// Jira gives each to one issue at a time.
		for _, old := range []*issueRecord{byID, byKey} {
			if old == nil {
				continue
			}
			if err := t.deleteIssue(old); err != nil {
				return err
			}
		}
		return t.putIssue(&issueRecord{
			Connection: i.Connection,
			ID:         i.ID,
			Key:        i.Key,
			CreatedAt:  utc(i.CreatedAt),
			Client:     i.Client,
			Record:     i.Record,
		})
	})
}

// IssuePublished reports whether the issue was created over this connection.
func (s *Store) IssuePublished(ctx context.Context, connection, idOrKey string) (bool, error) {
	published := false
	err := s.view(ctx, "looking up an issue of connection "+connection, func(tx *bbolt.Tx) error {
		r, err := findIssue(tx, connection, idOrKey)
		published = r != nil
		return err
	})
	return published && err == nil, err
}

// ForgetIssue removes what is known of an issue.
func (s *Store) ForgetIssue(ctx context.Context, connection, idOrKey string) error {
	return s.update(ctx, "forgetting an issue of connection "+connection, func(t *change) error {
		r, err := findIssue(t.Tx, connection, idOrKey)
		if err != nil {
			return err
		}
		if r == nil {
			return errUnchanged
		}
		return t.deleteIssue(r)
	})
}

// forgetIssues removes what is known of all issues of a connection.
func (t *change) forgetIssues(connection string) error {
	for _, bucket := range [][]byte{bucketIssues, bucketIssueKeys} {
		if err := deletePrefix(t.Bucket(bucket), issueName(connection, "")); err != nil {
			return err
		}
	}
	return nil
}

// sameIssues returns the records that have the id or the key of i, or nil.
func (t *change) sameIssues(i *tokenstore.PublishedIssue) (byID, byKey *issueRecord, err error) {
	if byID, err = findIssue(t.Tx, i.Connection, i.ID); err != nil {
		return nil, nil, err
	}
	byKey, err = findIssue(t.Tx, i.Connection, i.Key)
	return byID, byKey, err
}

// findIssue returns the record of an issue, or nil. Ids and keys can't be
// mistaken for each other: keys have a hyphen.
func findIssue(tx *bbolt.Tx, connection, idOrKey string) (*issueRecord, error) {
	name := issueName(connection, idOrKey)
	if id := tx.Bucket(bucketIssueKeys).Get(name); id != nil {
		name = issueName(connection, string(id))
	}
	v := tx.Bucket(bucketIssues).Get(name)
	if v == nil {
		return nil, nil
	}
	return decodeIssue(name, v)
}

func (t *change) putIssue(r *issueRecord) error {
	v, err := encode(r)
	if err != nil {
		return err
	}
	if err := t.Bucket(bucketIssues).Put(issueName(r.Connection, r.ID), v); err != nil {
		return err
	}
	return t.Bucket(bucketIssueKeys).Put(issueName(r.Connection, r.Key), []byte(r.ID))
}

func (t *change) deleteIssue(r *issueRecord) error {
	if err := t.Bucket(bucketIssues).Delete(issueName(r.Connection, r.ID)); err != nil {
		return err
	}
	return t.Bucket(bucketIssueKeys).Delete(issueName(r.Connection, r.Key))
}
