package etcd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"jiragate/tokenstore"
)

const (
	// leaseTTL is how long etcd keeps the claims of a gateway that it hears nothing of:
	// the time after which others go on with the refreshes of one that was killed.
	leaseTTL = 15 * time.Second
	// A gateway takes its lease to end earlier than etcd does, by this part of it: room for
	// clocks that go at different rates, and for a request that is on its way.
	leaseMargin = 5
	// How often it is renewed in its time.
	leaseRenewals = 4
	// leaseRetry is the pause after a failure.
	leaseRetry = 500 * time.Millisecond
)

// lease is one of etcd. It implements tokenstore.Lease.
type lease struct {
	id     clientv3.LeaseID
	now    func() time.Time
	until  atomic.Pointer[time.Time] // as known for certain; with the reading of a clock that can't be set
	lapsed chan struct{}
	once   sync.Once
}

var _ tokenstore.Lease = (*lease)(nil)

// name is the lease as etcdctl shows it.
func (l *lease) name() string { return strconv.FormatInt(int64(l.id), 16) }

// Held compares with both clocks: the one that can't be set stands still while a machine
// sleeps.
func (l *lease) Held() error {
	select {
	case <-l.lapsed:
		return tokenstore.ErrLapsed
	default:
	}
	now, until := l.now(), *l.until.Load()
	if now.Before(until) && now.Round(0).Before(until.Round(0)) {
		return nil
	}
	l.lapse()
	return tokenstore.ErrLapsed
}

// Lapsed is closed when the lease is over. It may be later than Held says so.
func (l *lease) Lapsed() <-chan struct{} { return l.lapsed }

func (l *lease) lapse() { l.once.Do(func() { close(l.lapsed) }) }

// prolong counts from when it was asked for, in seconds.
func (l *lease) prolong(sent time.Time, seconds int64) {
	ttl := time.Duration(seconds) * time.Second
	until := sent.Add(ttl - ttl/leaseMargin)
	l.until.Store(&until)
}

// session keeps a lease, and takes a new one when it is over.
type session struct {
	client *clientv3.Client
	now    func() time.Time
	ttl    time.Duration
	// announce, which may be nil, is called with each lease before it is used.
	announce func(context.Context, *lease) error
	current  atomic.Pointer[lease] // nil: none
}

// open takes the first lease.
func (s *session) open(ctx context.Context) error {
	var sent time.Time
	granted, err := persist(ctx, func(ctx context.Context) (*clientv3.LeaseGrantResponse, error) {
		sent = s.now()
		return s.client.Grant(ctx, int64(s.ttl/time.Second)) // one whose answer is lost ends by itself
	})
	if err != nil {
		return fmt.Errorf("taking a lease: %w", err)
	}
	l := &lease{id: granted.ID, now: s.now, lapsed: make(chan struct{})}
	l.prolong(sent, granted.TTL)
	if s.announce != nil {
		if err := s.announce(ctx, l); err != nil {
			s.revoke(l)
			return err
		}
	}
	s.current.Store(l)
	return nil
}

// held returns the present lease, for which it waits a little where one has just ended. Its error
// matches tokenstore.ErrUnavailable.
func (s *session) held(ctx context.Context) (*lease, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for {
		if l := s.current.Load(); l != nil && l.Held() == nil {
			return l, nil
		}
		if pause(ctx, again); ctx.Err() != nil {
			return nil, fmt.Errorf("%w: etcd has not confirmed the lease of this gateway in time", tokenstore.ErrUnavailable)
		}
	}
}

// run keeps it until ctx ends.
func (s *session) run(ctx context.Context) {
	for ctx.Err() == nil {
		l := s.current.Load()
		if l == nil {
			err := s.open(ctx)
			if errors.Is(err, tokenstore.ErrMoved) {
				return // for good: this process changes nothing any more
			}
			if err != nil {
				pause(ctx, leaseRetry)
			}
			continue
		}
		wait := s.ttl / leaseRenewals
		if err := s.renew(ctx, l); err != nil {
			wait = leaseRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-l.lapsed:
		}
		if l.Held() != nil {
			s.current.Store(nil)
			// It may be alive still for etcd, and would keep others waiting.
			go s.revoke(l)
		}
	}
}

// renew prolongs the lease. It counts from when that was asked for.
func (s *session) renew(ctx context.Context, l *lease) error {
	sent := s.now()
	ctx, cancel := context.WithTimeout(ctx, min(requestTimeout, l.until.Load().Sub(sent)))
	defer cancel()
	kept, err := s.client.KeepAliveOnce(ctx, l.id)
	switch {
	case err == nil && kept.TTL > 0:
		l.prolong(sent, kept.TTL)
		return nil
	case err == nil || errors.Is(err, rpctypes.ErrLeaseNotFound):
		l.lapse()
		return tokenstore.ErrLapsed
	}
	return err
}

// revoke gives a lease back, if that can be done at once.
func (s *session) revoke(l *lease) {
	l.lapse()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, _ = s.client.Revoke(ctx, l.id) // it ends by itself
}

// close gives the lease back.
func (s *session) close() {
	if l := s.current.Swap(nil); l != nil {
		s.revoke(l)
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
