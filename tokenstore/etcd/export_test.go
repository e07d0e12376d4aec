package etcd

import (
	"time"

	"google.golang.org/grpc"
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
