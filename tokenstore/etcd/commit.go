package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"jiragate/tokenstore"
	"jiragate/tokenstore/records"
)

// A change is one transaction of etcd: if nothing that it depends on was changed since it was
// read, all is written. That etcd doesn't answer leaves open whether it was. So each change
// also writes an id of its own to a key that this gateway alone uses for one change at a time,
// a slot, and depends on that key being as it was left. Then it can be sent again until there
// is an answer: it is carried through once at most, and the id tells whether it was. And none is
// carried through once the store has a mark, that it is moved (announce.go).

const (
	// slots is how many changes one gateway may have under way.
	slots = 32
	// maxOps is how many operations, or else compares, etcd takes in one transaction. Those of
	// one that is nested count together with the larger of the two numbers around it.
	maxOps = 128
	// ownCompares is on how much each change depends beside what it has read.
	ownCompares = 2
	// maxCompares is on how many keys a change depends one by one, if it can be helped.
	maxCompares = 60
	// maxNested is how many transactions one may have in it, and how many operations each.
	maxNested = 60
)

// errMeanwhile: something that the change depends on was changed by somebody else.
var errMeanwhile = errors.New("it was changed meanwhile")

// slot is the key that holds the outcome of one change at a time.
type slot struct {
	name string
	// lease and mod are those of the key as it was written last.
	lease clientv3.LeaseID
	mod   int64
}

// commit carries the transaction through, under a lease and with a slot. It returns the
// revision of the change. Errors: errMeanwhile; tokenstore.ErrMoved and ErrMoving; and where it
// is not known whether it was carried through, one that says so.
func (t *tx) commit(l *lease, s *slot) (revision int64, err error) {
	ops, err := t.operations(l)
	if err != nil {
		return 0, err
	}
	compares, err := t.compares()
	if err != nil {
		return 0, err
	}
	key := t.keys.outcome(l.name(), s.name)
	if s.lease != l.id {
		s.lease, s.mod = l.id, 0
	}
	id := rand.Text()
	if ops, err = nested(ops, len(compares)+ownCompares); err != nil {
		return 0, err
	}
	ops = append(ops, clientv3.OpPut(key, id, clientv3.WithLease(l.id)))
	stays := clientv3.Compare(clientv3.CreateRevision(t.keys.mark()), "=", 0)
	left := false // it was sent before, and what became of that is open
	for {
		mine := clientv3.Compare(clientv3.ModRevision(key), "=", s.mod)
		resp, err := once(t.ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
			return t.client.Txn(ctx).If(append(slices.Clone(compares), mine, stays)...).Then(ops...).
				Else(clientv3.OpGet(key), clientv3.OpGet(t.keys.mark()), clientv3.OpGet(t.keys.gateway(l.name()))).Commit()
		})
		switch {
		case err == nil && resp.Succeeded:
			s.mod = resp.Header.Revision
			return s.mod, nil
		case err == nil:
			before := s.mod
			kvs := resp.Responses[0].GetResponseRange().Kvs
			s.mod = 0
			if len(kvs) > 0 {
				if s.mod = kvs[0].ModRevision; string(kvs[0].Value) == id {
					return s.mod, nil // sent before, and carried through
				}
			}
			if left && len(resp.Responses[2].GetResponseRange().Kvs) == 0 {
				return 0, unknown(errLeaseOver) // with which the id went, if it was written
			}
			if err := markErr(resp.Responses[1].GetResponseRange().Kvs); err != nil {
				return 0, err
			}
			if s.mod == before {
				return 0, errMeanwhile
			}
			// A change of before, whose outcome was left open, was carried through after all,
			// and may be what is in the way.
			continue
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			l.lapse()
			if left {
				return 0, unknown(errLeaseOver)
			}
			return 0, errMeanwhile // again, under a new one
		case !undecided(err):
			if left {
				return 0, unknown(failed(err))
			}
			return 0, failed(err)
		}
		left = true
		if pause(t.ctx, again); t.ctx.Err() != nil {
			return 0, unknown(failed(err))
		}
	}
}

// errLeaseOver: the lease has ended under which the change was sent.
var errLeaseOver = fmt.Errorf("%w: the lease of this gateway has ended meanwhile", tokenstore.ErrUnavailable)

// unknown is the error of a change that was sent and may have been carried through.
func unknown(err error) error { return fmt.Errorf("it is not known whether it was done: %w", err) }

// undecided reports whether an error leaves open what became of a transaction.
func undecided(err error) bool {
	for _, refused := range []error{rpctypes.ErrNoSpace, rpctypes.ErrTooManyRequests} {
		if errors.Is(err, refused) {
			return false
		}
	}
	return unavailable(err)
}

// operations are those of the change.
func (t *tx) operations(l *lease) ([]clientv3.Op, error) {
	var ops []clientv3.Op
	for _, prefix := range t.erased {
		ops = append(ops, clientv3.OpDelete(prefix, clientv3.WithPrefix()))
	}
	for _, key := range slices.Sorted(maps.Keys(t.writes)) {
		switch value := t.writes[key]; {
		case value == nil:
			ops = append(ops, clientv3.OpDelete(key))
		case strings.HasPrefix(key, t.keys.claims()):
			ops = append(ops, clientv3.OpPut(key, string(value), clientv3.WithLease(l.id)))
		default:
			ops = append(ops, clientv3.OpPut(key, string(value)))
		}
	}
	return ops, nil
}

// nested puts operations into transactions within the transaction, where there are too many. One
// more has room beside them.
func nested(ops []clientv3.Op, compares int) ([]clientv3.Op, error) {
	switch {
	case len(ops) < maxOps && compares <= maxOps:
		return ops, nil
	case len(ops) > maxNested*maxNested || compares > maxOps-maxNested:
		return nil, fmt.Errorf("%w: it has %d operations, and depends on %d records", errTooLarge, len(ops), compares)
	}
	var groups []clientv3.Op
	for group := range slices.Chunk(ops, maxNested) {
		groups = append(groups, clientv3.OpTxn(nil, group, nil))
	}
	return groups, nil
}

// compares are what the change depends on. What was asked for one by one is compared so, as long
// as it isn't too much.
func (t *tx) compares() ([]clientv3.Cmp, error) {
	var compares []clientv3.Cmp
	asked, ranges := maps.Clone(t.asked), maps.Clone(t.ranges)
	if len(asked) > maxCompares {
		if err := t.gather(asked, ranges); err != nil {
			return nil, err
		}
	}
	for prefix := range ranges {
		if guard, ok := t.keys.guard(t.keys.record(prefix)); ok {
			if err := t.watchGuard(guard, asked); err != nil {
				return nil, err
			}
		}
	}
	for key, value := range asked {
		if v := t.known[key]; value {
			compares = append(compares, clientv3.Compare(clientv3.ModRevision(key), "=", v.mod))
		} else {
			compares = append(compares, clientv3.Compare(clientv3.CreateRevision(key), "=", v.create))
		}
	}
	for prefix := range ranges {
		// Of a range it shows only what was written. What was deleted its guard shows.
		compares = append(compares, clientv3.Compare(clientv3.ModRevision(prefix), "<", t.revision+1).WithPrefix())
	}
	return compares, nil
}

// gather replaces keys whose deletion is guarded: by the guard, where it matters only that they
// are there; otherwise by the guard and the ranges that they are in.
func (t *tx) gather(asked, ranges map[string]bool) error {
	guards := make(map[string]bool)
	for key, value := range asked {
		b, name := t.keys.record(key)
		guard, ok := t.keys.guard(b, name)
		switch {
		case !ok:
			continue
		case !value && t.known[key].create > 0:
		case b == records.Connections, b == records.Clients:
			continue // their range changes all the time
		default:
			connection, _, _ := strings.Cut(name, "/")
			ranges[t.keys.bucket(b)+connection+"/"] = true
		}
		delete(asked, key)
		guards[guard] = true
	}
	for guard := range guards {
		if err := t.watchGuard(guard, asked); err != nil {
			return err
		}
	}
	return nil
}

// watchGuard has the change depend on a guard, read at the revision of all the others.
func (t *tx) watchGuard(guard string, asked map[string]bool) error {
	if _, ok := t.known[guard]; !ok {
		if err := t.fetch([]string{guard}); err != nil {
			return err
		}
	}
	asked[guard] = true
	return nil
}

// newSlots returns all slots, to be taken and given back.
func newSlots() chan *slot {
	free := make(chan *slot, slots)
	for i := range slots {
		free <- &slot{name: strconv.Itoa(i)}
	}
	return free
}

// take returns a slot that is free.
func take(ctx context.Context, free chan *slot) (*slot, error) {
	select {
	case s := <-free:
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
