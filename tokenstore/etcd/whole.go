package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"jiragate/tokenstore/records"
)

// Rewrap seals records anew that are not under the primary key, a few in each transaction. What
// was sealed before stays in etcd's history until that is compacted.
func (s *Store) Rewrap(ctx context.Context, limit int) (left int, err error) {
	left, damaged, err := s.Reseal(ctx, limit)
	if err != nil {
		return 0, err
	}
	if err := damaged.Err(); err != nil {
		return left, fmt.Errorf("sealing records anew: %w", err)
	}
	return left, nil
}

// Check reads every record, as of one revision. All of them are in memory meanwhile.
func (s *Store) Check(ctx context.Context) error {
	const action = "checking the store"
	t, err := s.everything(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	var f records.Findings
	if err := s.Store.Check(ctx, t, &f); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	if err := f.Err(); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return nil
}

// Backup writes a copy of the records as of one revision, in the form that Options.Export gives
// it. All of them are in memory meanwhile.
func (s *Store) Backup(ctx context.Context, w io.Writer) (int64, error) {
	const action = "backing up the store"
	if s.export == nil {
		return 0, fmt.Errorf("%s: %w", action, errors.ErrUnsupported)
	}
	t, err := s.everything(ctx)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", action, err)
	}
	n, err := s.export(ctx, t, w)
	if err != nil {
		return n, fmt.Errorf("%s: %w", action, err)
	}
	return n, nil
}

// everything returns a transaction that has read all records.
func (s *Store) everything(ctx context.Context) (*tx, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	t := newTx(ctx, s.client, s.keys)
	for _, b := range records.Buckets() {
		if err := t.Each(b, "", func(_, _ []byte) error { return nil }); err != nil {
			return nil, err
		}
	}
	return t, nil
}
