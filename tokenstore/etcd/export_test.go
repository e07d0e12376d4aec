package etcd

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"jiragate/tokenstore/records"
)

// WithDial has every request to etcd pass through options of a test.
func (o Options) WithDial(d ...grpc.DialOption) Options {
	o.dial = d
	return o
}

// WithTTL has leases of another length than the gateway's.
func (o Options) WithTTL(ttl time.Duration) Options {
	o.ttl = ttl
	return o
}

// Lapse ends the lease of a gateway, and returns when it has another one.
func (s *Store) Lapse() {
	l := s.session.current.Load()
	s.session.revoke(l)
	for now := l; now == nil || now == l; now = s.session.current.Load() {
		time.Sleep(time.Millisecond)
	}
}

// FillBy has a target write so many records in each transaction.
func (t *Target) FillBy(records int) { t.ops = records }

// Put writes a record of that size.
func (s *Store) Put(ctx context.Context, size int) error {
	return engine{s}.Update(ctx, "writing much", func(t *records.Change) error {
		return t.Put(records.Meta, "much", make([]byte, size))
	})
}

// Foresee has the gateway know revisions that etcd doesn't.
func (s *Store) Foresee(revisions int64) { s.picture.advance(s.picture.revision() + revisions) }
