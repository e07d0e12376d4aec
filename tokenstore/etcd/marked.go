package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"jiragate/tokenstore"
	"jiragate/tokenstore/records"
)

const (
	// markTimeout is how long etcd may be away until a command that moves a store gives up.
	markTimeout = time.Minute
	// wholeTimeout bounds the reading of a whole store.
	wholeTimeout = 10 * time.Minute
)

// marked is the mark of a store that is moved. Whoever moves it writes it along with whatever
// it does, if it still is as it was left, so that two commands can't be at work on one store.
type marked struct {
	client *clientv3.Client
	keys   keyspace
	mark   records.Mark
	mod    int64 // revision of the mark as it was written last; 0: there is none
}

// write carries operations through together with a new mark, if the old one is as it was left
// and the conditions hold; errMeanwhile if they don't.
func (m *marked) write(ctx context.Context, mark records.Mark, lease clientv3.LeaseID, conditions []clientv3.Cmp, ops ...clientv3.Op) error {
	mark.Nonce = rand.Text()
	value, err := mark.Encode()
	if err != nil {
		return err
	}
	put := clientv3.OpPut(m.keys.mark(), string(value), clientv3.WithLease(lease))
	done := func(marked, _ string) bool { return marked == string(value) }
	mod, err := m.commit(ctx, done, conditions, append(ops, put)...)
	if err == nil {
		m.mark, m.mod = mark, mod
	}
	return err
}

// commit carries operations through, one of which changes the mark, and returns the revision of
// what that has become. done tells, from the mark and the origin that there are, whether it was
// carried through when it was sent before.
func (m *marked) commit(ctx context.Context, done func(mark, origin string) bool, conditions []clientv3.Cmp, ops ...clientv3.Op) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	conditions = append(slices.Clone(conditions), clientv3.Compare(clientv3.ModRevision(m.keys.mark()), "=", m.mod))
	for {
		resp, err := once(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
			return m.client.Txn(ctx).If(conditions...).Then(ops...).Else(clientv3.OpGet(m.keys.mark()), clientv3.OpGet(m.keys.origin())).Commit()
		})
		switch {
		case err == nil && resp.Succeeded:
			return resp.Header.Revision, nil
		case err == nil:
			mark, mod := first(resp, 0)
			origin, _ := first(resp, 1)
			if done(mark, origin) {
				return mod, nil
			}
			return 0, errMeanwhile
		case !undecided(err):
			return 0, failed(err)
		}
		if pause(ctx, again); ctx.Err() != nil {
			return 0, failed(errors.Join(ctx.Err(), err))
		}
	}
}

// first is the one key that an operation of a transaction has read.
func first(resp *clientv3.TxnResponse, op int) (value string, mod int64) {
	kvs := resp.Responses[op].GetResponseRange().Kvs
	if len(kvs) == 0 {
		return "", 0
	}
	return string(kvs[0].Value), kvs[0].ModRevision
}

// look reads the mark and the origin, and how many keys there are below the prefix.
func (m *marked) look(ctx context.Context) (origin string, keys int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	resp, err := persist(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return m.client.Txn(ctx).Then(
			clientv3.OpGet(m.keys.mark()), clientv3.OpGet(m.keys.origin()),
			clientv3.OpGet(m.keys.all(), clientv3.WithPrefix(), clientv3.WithCountOnly()),
		).Commit()
	})
	if err != nil {
		return "", 0, err
	}
	m.mark = records.Mark{}
	var value string
	if value, m.mod = first(resp, 0); m.mod != 0 {
		if m.mark, err = records.DecodeMark([]byte(value)); err != nil {
			return "", 0, err
		}
	}
	origin, _ = first(resp, 1)
	return origin, resp.Responses[2].GetResponseRange().Count, nil
}

// atRest are the conditions that no gateway has the store open.
func (m *marked) atRest() []clientv3.Cmp {
	var conditions []clientv3.Cmp
	for _, prefix := range []string{m.keys.gateways(), m.keys.outcomes(), m.keys.claims()} {
		// Of a range without keys it holds.
		conditions = append(conditions, clientv3.Compare(clientv3.CreateRevision(prefix), "=", 0).WithPrefix())
	}
	return conditions
}

// busy says who has kept the store from being at rest.
func (m *marked) busy(ctx context.Context) error {
	resp, err := persist(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return m.client.Get(ctx, m.keys.gateways(), clientv3.WithPrefix())
	})
	if err != nil {
		return err
	}
	var nodes []string
	for _, kv := range resp.Kvs {
		node := string(kv.Value)
		if node == "" {
			node = "the one with lease " + strings.TrimPrefix(string(kv.Key), m.keys.gateways())
		}
		nodes = append(nodes, node)
	}
	who := "a gateway or a command has it open"
	if len(nodes) > 0 {
		slices.Sort(nodes)
		who = "these gateways, or commands of their machines, have it open: " + strings.Join(slices.Compact(nodes), ", ")
	}
	return fmt.Errorf("%w: %s: stop every gateway first; one that was killed shows for %s more", tokenstore.ErrLocked, who, leaseTTL)
}

// whole reads all there is.
func (m *marked) whole(ctx context.Context) (*tx, error) {
	ctx, cancel := context.WithTimeout(ctx, wholeTimeout)
	defer cancel()
	t := newTx(ctx, m.client, m.keys)
	for _, b := range records.Buckets() {
		if err := t.Each(b, "", func(_, _ []byte) error { return nil }); err != nil {
			return nil, err
		}
		if _, err := t.Sequence(b); err != nil {
			return nil, err
		}
	}
	return t, nil
}
