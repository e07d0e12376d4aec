package etcd_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"jiragate/tokenstore"
	"jiragate/tokenstore/storetest"
)

// meddler is called in place of the next requests that carry a change, in turn.
type meddler struct {
	mu    sync.Mutex
	turns []func(invoke func() error) error
}

func (m *meddler) next(turns ...func(invoke func() error) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turns = turns
}

func (m *meddler) intercept(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
	pass := func() error { return invoke(ctx, method, req, reply, cc, o...) }
	txn, ok := req.(*etcdserverpb.TxnRequest)
	if !ok || !slices.ContainsFunc(txn.Compare, func(c *etcdserverpb.Compare) bool { return strings.Contains(string(c.Key), "/outcomes/") }) {
		return pass()
	}
	m.mu.Lock()
	if len(m.turns) == 0 {
		m.mu.Unlock()
		return pass()
	}
	turn := m.turns[0]
	m.turns = m.turns[1:]
	m.mu.Unlock()
	return turn(pass)
}

var errAnswerLost = status.Error(codes.Unavailable, "the answer was lost")

// A client that is removed while a connection is removed that it was granted stays removed.
func TestClientRemovedWithConnection(t *testing.T) {
	site := newSite(t)
	var m meddler
	o := site.options(t)
	a, b := mustOpen(t, o.WithDial(grpc.WithChainUnaryInterceptor(m.intercept))), mustOpen(t, o.WithDial())
	ctx := t.Context()
	must(t,
		a.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("1")),
		a.AddClient(ctx, tokenstore.Client{Name: "billing", TokenSHA256: storetest.Token("t"), Connections: []string{"acme"}}),
	)
	c, _ := a.Directory().Connection("acme")
	m.next(func(invoke func() error) error {
		must(t, b.RemoveClient(ctx, "billing"))
		return invoke()
	})
	must(t, a.RemoveConnection(ctx, "acme", c.Incarnation))
	if _, there := a.Directory().Client("billing"); there {
		t.Error("the removed client is back")
	}
	must(t, a.Check(ctx))
}

// Where the answer to a change was lost, and its lease has ended since, nobody knows whether it
// was made. It isn't made again.
func TestLeaseEndsAfterLostAnswer(t *testing.T) {
	site := newSite(t)
	var m meddler
	o := site.options(t)
	a, b := mustOpen(t, o.WithDial(grpc.WithChainUnaryInterceptor(m.intercept))), mustOpen(t, o.WithDial())
	ctx := t.Context()
	must(t,
		a.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("1")),
		a.AddClient(ctx, tokenstore.Client{Name: "billing", TokenSHA256: storetest.Token("t")}),
	)
	m.next(func(invoke func() error) error {
		must(t, invoke())
		a.Lapse()
		must(t, b.Revoke(ctx, "billing", "acme"))
		return errAnswerLost
	})
	if err := a.Grant(ctx, "billing", "acme"); err == nil || !strings.Contains(err.Error(), "it is not known whether it was done") {
		t.Errorf("granting: %v", err)
	}
	eventually(t, "nothing is granted", func() bool {
		c, _ := a.Directory().Client("billing")
		return len(c.Connections) == 0
	})
	must(t, b.Check(ctx))
}

// That etcd refuses what was sent before, and got no answer, doesn't say that it wasn't made.
func TestRefusedAfterLostAnswer(t *testing.T) {
	site := newSite(t)
	var m meddler
	a := mustOpen(t, site.options(t).WithDial(grpc.WithChainUnaryInterceptor(m.intercept)))
	ctx := t.Context()
	for _, refusal := range []error{rpctypes.ErrGRPCNoSpace, rpctypes.ErrGRPCPermissionDenied} {
		m.next(
			func(invoke func() error) error { must(t, invoke()); return errAnswerLost },
			func(func() error) error { return refusal },
		)
		err := a.AddClient(ctx, tokenstore.Client{Name: "billing", TokenSHA256: storetest.Token("t")})
		if err == nil || !strings.Contains(err.Error(), "it is not known whether it was done") {
			t.Errorf("%v: %v", refusal, err)
		}
		must(t, a.RemoveClient(ctx, "billing")) // it was
	}
}

// A change that doesn't fit into a request is refused for good, and at once.
func TestLargerThanARequest(t *testing.T) {
	site := newSite(t)
	s := mustOpen(t, site.options(t))
	for _, size := range []int{1600 << 10, 3 << 20} {
		err := s.Put(t.Context(), size)
		if err == nil || errors.Is(err, tokenstore.ErrUnavailable) || strings.Contains(err.Error(), "not known") || !strings.Contains(err.Error(), "--max-request-bytes") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// A member that says nothing when it is asked for a lease keeps no gateway from having one.
func TestLeaseOfAnotherMember(t *testing.T) {
	site := newSite(t)
	var silent atomic.Bool
	s := mustOpen(t, site.options(t).WithDial(grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
		if method == "/etcdserverpb.Lease/LeaseGrant" && silent.Swap(false) {
			<-ctx.Done()
			return status.FromContextError(ctx.Err()).Err()
		}
		return invoke(ctx, method, req, reply, cc, o...)
	})))
	silent.Store(true)
	leased := make(chan struct{})
	go func() { s.Lapse(); close(leased) }()
	select {
	case <-leased:
	case <-time.After(30 * time.Second):
		t.Error("there is no other lease")
	}
}

// Of an etcd that was restored to an earlier state a gateway can't know what it has missed, even
// when the revisions that it knew are there again.
func TestRevisionGoesBack(t *testing.T) {
	site := newSite(t)
	root := site.Root(t)
	o := site.options(t)
	o.Staleness = 10 * time.Second
	s := mustOpen(t, o)
	s.Foresee(50)
	eventually(t, "it is noticed", func() bool { _, err := s.Confirmed(); return err != nil })
	for range 100 {
		_, err := root.Put(t.Context(), o.Prefix+"/other", "")
		must(t, err)
	}
	eventually(t, "what it remembers is not used", func() bool { return errors.Is(s.Usable(), tokenstore.ErrUnavailable) })
}
