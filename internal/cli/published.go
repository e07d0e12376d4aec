package cli

import (
	"context"
	"errors"
	"fmt"

	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/offsite"
	"jiragate/gateway/audit/published"
	"jiragate/tokenstore"
	"jiragate/tokenstore/etcd"
)

// publishTogether checks what goes with checkpoints in the store.
func (c *Config) publishTogether(refuse func(name, detail string)) {
	switch {
	case !c.Store.shared():
		refuse("AUDIT_CHECKPOINT_TO", "store is for a store that gateways share, etcd://HOST,.../PREFIX in JIRAGATE_STORE; of one in a file, name a directory on another machine")
	case c.Node == "":
		refuse("AUDIT_CHECKPOINT_TO", "store needs JIRAGATE_NODE as well: the logs of two gateways without a name would be one")
	}
}

// publishTo brings checkpoints into the store.
func publishTo(shared *etcd.Store) func(ctx context.Context, origin string, signed []byte) error {
	return func(ctx context.Context, origin string, signed []byte) error {
		c, err := checkpoint.Claimed(signed)
		if err != nil {
			return err
		}
		err = shared.PublishCheckpoint(ctx, origin, etcd.Checkpoint{Size: c.Size, Root: c.Root[:], Signed: signed})
		if errors.Is(err, etcd.ErrContradicted) {
			err = fmt.Errorf("%w: %w", offsite.ErrContradicted, err)
		}
		return err
	}
}

// sharedLogs are what gateways have published in the store.
type sharedLogs struct{ store *etcd.Store }

func (s sharedLogs) List(ctx context.Context) ([]published.Log, error) {
	stored, err := s.store.Checkpoints(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]published.Log, len(stored))
	for i, l := range stored {
		p := published.Log{Origin: l.Name, Newest: asPublished(l.Newest)}
		for _, c := range l.Kept {
			p.Kept = append(p.Kept, asPublished(c))
		}
		if l.Ended() {
			p.Retired = &published.Retirement{At: l.Retired.At, By: l.Retired.By}
		}
		if all[i], err = published.Read(p); err != nil {
			return nil, fmt.Errorf("%w: %w", tokenstore.ErrCorrupt, err)
		}
	}
	return all, nil
}

func asPublished(c etcd.Checkpoint) published.Checkpoint {
	return published.Checkpoint{Size: c.Size, Published: c.Published.UTC(), Note: string(c.Signed)}
}

func (s sharedLogs) Retire(ctx context.Context, origin string, size uint64) error {
	return s.store.RetireLog(ctx, origin, size)
}
