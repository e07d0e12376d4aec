package etcd

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Duties are what one gateway of the fleet does for all. Each is a key with the lease of the
// gateway that is on duty: it is gone with that, and the next one takes it.

// dutyEach is how often a gateway looks whether a duty is free.
const dutyEach = 3 * time.Second

// duties are those that this gateway would do, with the lease under which it has each; nil: it
// has it not.
type duties struct {
	wake chan struct{}

	mu   sync.Mutex
	held map[string]*lease
}

func newDuties() *duties {
	return &duties{wake: make(chan struct{}, 1), held: make(map[string]*lease)}
}

// OnDuty reports whether this gateway is the one that does something for all. Who asks for the
// first time stands for it from then on. One gateway is on duty at a time, as long as it reaches
// etcd; when that has ended, or its lease has, another one takes over within three seconds. At
// first nobody may be.
//
// It asks nobody and costs as much as to read the clock: a gateway that was cut off or paused
// for too long knows from it that another one may be on duty. Between the question and what is
// done then time may pass, so what is done must bear to be done twice. It is safe for concurrent
// use.
//
// The name is one element of a key: no slash.
func (s *Store) OnDuty(name string) bool {
	d := s.duties
	d.mu.Lock()
	l, stands := d.held[name]
	if !stands {
		d.held[name] = nil
	}
	d.mu.Unlock()
	if !stands {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
	return l != nil && l.Held() == nil
}

// names are the duties that this gateway would do.
func (d *duties) names() (names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.held {
		names = append(names, name)
	}
	return names
}

// settle notes under which lease this gateway has a duty; nil: another one has it. It reports
// whether that is news.
func (d *duties) settle(name string, l *lease) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.held[name]
	d.held[name] = l
	return before != l
}

// campaign stands for the duties until ctx ends.
func (s *Store) campaign(ctx context.Context) {
	for ctx.Err() == nil {
		for _, name := range s.duties.names() {
			// When etcd is away, who is on duty stays so until its lease is over.
			l, err := s.stand(ctx, name)
			if err == nil && s.duties.settle(name, l) {
				s.log.InfoContext(ctx, "who is on duty has changed", "duty", name, "here", l != nil)
			}
		}
		select {
		case <-ctx.Done():
		case <-s.duties.wake:
		case <-time.After(dutyEach):
		}
	}
}

// stand takes a duty that is free. It returns the lease under which this gateway has it, or nil.
func (s *Store) stand(ctx context.Context, name string) (*lease, error) {
	l, err := s.session.held(ctx)
	if err != nil {
		return nil, err
	}
	key := s.keys.duty(name)
	// To look is cheaper than to try.
	found, err := once(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) { return s.client.Get(ctx, key) })
	if err != nil {
		return nil, err
	}
	kvs := found.Kvs
	if len(kvs) == 0 {
		tried, err := once(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
			return s.client.Txn(ctx).
				If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
				Then(clientv3.OpPut(key, s.node, clientv3.WithLease(l.id))).
				Else(clientv3.OpGet(key)).Commit()
		})
		if err != nil {
			return nil, err // if it was done nevertheless, the next look finds it
		}
		if tried.Succeeded {
			return l, nil
		}
		kvs = tried.Responses[0].GetResponseRange().Kvs
	}
	if len(kvs) > 0 && clientv3.LeaseID(kvs[0].Lease) == l.id {
		return l, nil
	}
	return nil, nil
}
