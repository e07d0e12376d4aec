package etcd

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"jiragate/tokenstore/records"
)

// announce tells those who would move the store that this gateway has it open. That goes with
// its lease. A store that has a mark is not opened; and a gateway that had it open before, and
// has lost its lease meanwhile, gets no other one.
func (s *Store) announce(ctx context.Context, l *lease) error {
	put := clientv3.OpPut(s.keys.gateway(l.name()), s.node, clientv3.WithLease(l.id))
	stays := clientv3.Compare(clientv3.CreateRevision(s.keys.mark()), "=", 0)
	resp, err := persist(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.client.Txn(ctx).If(stays).Then(put).Else(clientv3.OpGet(s.keys.mark())).Commit()
	})
	if err != nil {
		return fmt.Errorf("announcing this gateway: %w", err)
	}
	if resp.Succeeded {
		return nil
	}
	return markErr(resp.Responses[0].GetResponseRange().Kvs)
}

// markErr is what the value of the mark's key means.
func markErr(kvs []*mvccpb.KeyValue) error {
	if len(kvs) == 0 {
		return nil
	}
	mark, err := records.DecodeMark(kvs[0].Value)
	if err != nil {
		return err
	}
	return mark.Err()
}
