package records

import (
	"context"
	"fmt"

	"jiragate/tokenstore"
)

// RecordIssue remembers an issue created through the gateway.
func (s *Store) RecordIssue(ctx context.Context, i tokenstore.PublishedIssue) error {
	if err := i.Validate(); err != nil {
		return fmt.Errorf("recording an issue: %w", err)
	}
	action := fmt.Sprintf("recording issue %s of connection %s", i.Key, i.Connection)
	return s.update(ctx, action, func(t *Change) error {
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
		for _, same := range []*issueRecord{byID, byKey} {
			if same != nil && same.ID == i.ID && same.Key == i.Key {
				return ErrUnchanged
			}
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
		return t.putIssue(newIssueRecord(&i))
	})
}

// ImportIssues remembers issues that were published before.
func (s *Store) ImportIssues(ctx context.Context, connection string, issues []tokenstore.PublishedIssue) (int, error) {
	action := "importing issues of connection " + connection
	if err := validImport(connection, issues); err != nil {
		return 0, fmt.Errorf("%s: %w", action, err)
	}
	added := 0
	err := s.update(ctx, action, func(t *Change) error {
		if err := t.mustHave(connection); err != nil {
			return err
		}
		if err := t.prefetchIssues(issues); err != nil {
			return err
		}
		changed := false
		added = 0
		for _, i := range issues {
			if i.CreatedAt.IsZero() {
				i.CreatedAt = t.now
			}
			put, isNew, err := t.importIssue(&i)
			if err != nil {
				return err
			}
			changed = changed || put
			if isNew {
				added++
			}
		}
		if !changed {
			return ErrUnchanged
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return added, nil
}

// prefetchIssues says that each may be known, by its id or its key.
func (t *Change) prefetchIssues(issues []tokenstore.PublishedIssue) error {
	var names []string
	for _, i := range issues {
		names = append(names, issueName(i.Connection, i.ID), issueName(i.Connection, i.Key))
	}
	for _, b := range []Bucket{IssueKeys, Issues} {
		if err := t.Prefetch(b, names); err != nil {
			return err
		}
	}
	return nil
}

func validImport(connection string, issues []tokenstore.PublishedIssue) error {
	if len(issues) > tokenstore.MaxImport {
		return invalidf("there are %d issues: import at most %d at a time", len(issues), tokenstore.MaxImport)
	}
	for n, i := range issues {
		if err := i.Validate(); err != nil {
			return fmt.Errorf("issue %d of the list: %w", n+1, err)
		}
		if i.Connection != connection {
			return invalidf("issue %d of the list is one of connection %s", n+1, i.Connection)
		}
	}
	return nil
}

// importIssue stores an issue that isn't known yet. One that is stays, but where
// only its id or only its key was known it gets the other.
func (t *Change) importIssue(i *tokenstore.PublishedIssue) (put, isNew bool, err error) {
	byID, byKey, err := t.sameIssues(i)
	if err != nil {
		return false, false, err
	}
	if byID == nil && byKey == nil {
		return true, true, t.putIssue(newIssueRecord(i))
	}
	if i.ID == "" || i.Key == "" {
		return false, false, nil
	}
	var merged *issueRecord
	for _, known := range []*issueRecord{byKey, byID} {
		switch {
		case known == nil:
			continue
		case known.ID != "" && known.Key != "":
			// It is this one, or what was recorded contradicts the list.
			return false, false, nil
		}
		if err := t.deleteIssue(known); err != nil {
			return false, false, err
		}
		merged = known
	}
	merged.ID, merged.Key = i.ID, i.Key
	return true, false, t.putIssue(merged)
}

func newIssueRecord(i *tokenstore.PublishedIssue) *issueRecord {
	return &issueRecord{
		Connection: i.Connection,
		ID:         i.ID,
		Key:        i.Key,
		CreatedAt:  utc(i.CreatedAt),
		Client:     i.Client,
		Record:     i.Record,
	}
}

// IssuePublished reports whether the issue was created over this connection.
func (s *Store) IssuePublished(ctx context.Context, connection, idOrKey string) (bool, error) {
	published := false
	err := s.view(ctx, "looking up an issue of connection "+connection, func(tx Reader) error {
		r, err := findIssue(tx, connection, idOrKey)
		published = r != nil
		return err
	})
	return published && err == nil, err
}

// ForgetIssue removes what is known of an issue.
func (s *Store) ForgetIssue(ctx context.Context, connection, idOrKey string) error {
	return s.update(ctx, "forgetting an issue of connection "+connection, func(t *Change) error {
		r, err := findIssue(t, connection, idOrKey)
		if err != nil {
			return err
		}
		if r == nil {
			return ErrUnchanged
		}
		return t.deleteIssue(r)
	})
}

// forgetIssues removes what is known of all issues of a connection.
func (t *Change) forgetIssues(connection string) error {
	for _, b := range []Bucket{Issues, IssueKeys} {
		if err := t.DeleteAll(b, issueName(connection, "")); err != nil {
			return err
		}
	}
	return nil
}

// sameIssues returns the records that have the id or the key of i, or nil.
func (t *Change) sameIssues(i *tokenstore.PublishedIssue) (byID, byKey *issueRecord, err error) {
	if byID, err = findIssue(t, i.Connection, i.ID); err != nil {
		return nil, nil, err
	}
	byKey, err = findIssue(t, i.Connection, i.Key)
	return byID, byKey, err
}

// findIssue returns the record of an issue, or nil. Ids and keys can't be
// mistaken for each other: keys have a hyphen.
func findIssue(tx Reader, connection, idOrKey string) (*issueRecord, error) {
	name := issueName(connection, idOrKey)
	id, err := tx.Get(IssueKeys, name)
	if err != nil {
		return nil, err
	}
	if id != nil {
		name = issueName(connection, string(id))
	}
	v, err := tx.Get(Issues, name)
	if v == nil || err != nil {
		return nil, err
	}
	return decodeIssue([]byte(name), v)
}

// putIssue writes the record, and its key where the name is the id.
func (t *Change) putIssue(r *issueRecord) error {
	if err := t.put(Issues, r.name(), r); err != nil {
		return err
	}
	if r.ID == "" || r.Key == "" {
		return nil
	}
	return t.Put(IssueKeys, issueName(r.Connection, r.Key), []byte(r.ID))
}

func (t *Change) deleteIssue(r *issueRecord) error {
	if err := t.Delete(Issues, r.name()); err != nil {
		return err
	}
	return t.Delete(IssueKeys, issueName(r.Connection, r.Key))
}
