package etcd

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"jiragate/tokenstore/records"
)

// AwaitRotation waits until no other gateway has a claim of the connection. It looks once at
// etcd, since the picture may not have the claim yet, and then at the picture.
func (s *Store) AwaitRotation(ctx context.Context, id string, _ uint64) error {
	action := "waiting for the rotation of connection " + id
	if err := s.ready(ctx); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	resp, err := persist(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, s.keys.key(records.Claims, id))
	})
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	if len(resp.Kvs) == 0 {
		return nil
	}
	// A claim ends with the generation, the connection or its lease: it goes in each case.
	mod := resp.Kvs[0].ModRevision
	err = s.picture.awaitThat(ctx, func() bool {
		if s.picture.applied < mod {
			return false
		}
		c, claimed := s.picture.claims[id]
		return !claimed || s.mine(c)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return nil
}

func (s *Store) mine(c claim) bool {
	l := s.session.current.Load()
	return l != nil && l.name() == c.session
}
