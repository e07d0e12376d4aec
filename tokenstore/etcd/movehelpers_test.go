package etcd_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"jiragate/internal/etcdlab"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/etcd"
	"jiragate/tokenstore/migration"
	"jiragate/tokenstore/records"
	"jiragate/tokenstore/storetest"
)

func newSmallSite(t *testing.T) *site {
	t.Helper()
	return &site{Cluster: etcdlab.Start(t, etcdlab.Options{Members: 1, Auth: true, NoFsync: true})}
}

// fill puts a bit of everything into a store.
func fill(t testing.TB, s tokenstore.Store) {
	t.Helper()
	ctx := t.Context()
	expiry := time.Now().Add(time.Hour).UTC()
	must(t,
		s.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("acme-1")),
		s.AddConnection(ctx, storetest.CloudConnection("initech"), storetest.OAuth2("initech-1")),
		s.AddConnection(ctx, storetest.DataCenterConnection("umbrella"), storetest.Basic("hunter2")),
		s.ReplaceCredential(ctx, "acme", storetest.FirstGeneration(s, "acme"), storetest.OAuth2("acme-2")),
		s.AddClient(ctx, tokenstore.Client{Name: "reports", TokenSHA256: storetest.Token("t1"), Connections: []string{"acme", "umbrella"}}),
		s.AddClient(ctx, tokenstore.Client{Name: "billing", TokenSHA256: storetest.Token("t2"), CertificateSANs: []string{"dns:billing.internal"}}),
		s.RecordIssue(ctx, storetest.Issue(s, "acme", "10042", "ACME-17")),
		s.AddConnection(ctx, storetest.CloudConnection("waiting"), tokenstore.Credential{Kind: tokenstore.KindOAuth2}),
		s.Invite(ctx, tokenstore.Invitation{Connection: "waiting", TokenSHA256: storetest.Token("i"), ExpiresAt: expiry}),
		s.SetAnnounced(ctx, tokenstore.Announcement{Connection: "umbrella", Incarnation: 3, State: tokenstore.StateActive}),
		// Of an incarnation that is no more: the numbers go on after it.
		s.AddConnection(ctx, storetest.CloudConnection("gone"), storetest.OAuth2("gone-1")),
		storetest.Remove(ctx, s, "gone"),
	)
	_, err := s.BeginRotation(ctx, "initech", storetest.FirstGeneration(s, "initech"))
	must(t, err)
	_, err = s.ImportIssues(ctx, "umbrella", []tokenstore.PublishedIssue{{Connection: "umbrella", ID: "8"}, {Connection: "umbrella", Key: "UMB-9"}})
	must(t, err)
}

// filledFile returns the options of a closed store that has a bit of everything.
func filledFile(t testing.TB) bolt.Options {
	t.Helper()
	o := bolt.Options{Path: filepath.Join(t.TempDir(), "store.db"), AEAD: newAEAD(t), Now: clock(), LockTimeout: 50 * time.Millisecond}
	s, err := bolt.Open(t.Context(), o)
	must(t, err)
	fill(t, s)
	must(t, s.Close())
	return o
}

// place is where a store can be.
type place struct {
	file    *bolt.Options
	cluster *etcd.Options
	whole   bool // transactions are as large as they are outside of tests
}

func (p place) address() string {
	if p.file != nil {
		return "bolt:" + p.file.Path
	}
	return "etcd://lab" + p.cluster.Prefix
}

func (p place) aead() tink.AEAD {
	if p.file != nil {
		return p.file.AEAD
	}
	return p.cluster.AEAD
}

func (p place) open(ctx context.Context) (tokenstore.Store, error) {
	if p.file != nil {
		if _, err := os.Stat(p.file.Path); err != nil {
			return nil, err
		}
		return bolt.Open(ctx, *p.file)
	}
	if there, err := etcd.Exists(ctx, *p.cluster); err != nil || !there {
		return nil, errors.Join(err, os.ErrNotExist)
	}
	return etcd.Open(ctx, *p.cluster)
}

// source is a store at a place, to be moved, and what closes it.
func (p place) source(ctx context.Context) (interface {
	migration.Source
	io.Closer
}, error) {
	if p.file != nil {
		return bolt.OpenSource(ctx, *p.file)
	}
	return etcd.OpenSource(ctx, *p.cluster)
}

func (p place) target() (interface {
	migration.Target
	io.Closer
}, error) {
	if p.file != nil {
		return bolt.NewTarget(*p.file), nil
	}
	to, err := etcd.OpenTarget(*p.cluster)
	if err == nil && !p.whole {
		to.FillBy(4)
	}
	return to, err
}

// move moves the store from one place to another, as the command does.
func move(ctx context.Context, from, to place) (_ migration.Result, err error) {
	source, err := from.source(ctx)
	if err != nil {
		return migration.Result{}, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := to.target()
	if err != nil {
		return migration.Result{}, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	return migration.Run(ctx, migration.Options{From: source, To: target, FromAddress: from.address(), ToAddress: to.address(), AEAD: from.aead()})
}

func mustMove(t testing.TB, from, to place) migration.Result {
	t.Helper()
	result, err := move(t.Context(), from, to)
	must(t, err)
	return result
}

// digest is that of all records at a place, whatever its mark.
func digest(t testing.TB, at place) string {
	t.Helper()
	s, err := at.source(t.Context())
	must(t, err)
	defer s.Close()
	var d string
	must(t, s.Read(t.Context(), func(r records.Reader) (err error) {
		d, err = records.Digest(t.Context(), r)
		return err
	}))
	return d
}

// opens reports whether a place has a store that opens; any other reason than that there is none,
// or that it is elsewhere, is an error.
func opens(t testing.TB, at place) bool {
	t.Helper()
	s, err := at.open(t.Context())
	if err == nil {
		must(t, s.Check(t.Context()), s.Close())
		return true
	}
	if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, tokenstore.ErrMoved) && !errors.Is(err, tokenstore.ErrMoving) {
		t.Errorf("%s: %v", at.address(), err)
	}
	return false
}

// wantMoved checks that a store is at a place, as it was, and no more at the other one.
func wantMoved(t testing.TB, from, to place, want string) {
	t.Helper()
	if got := digest(t, to); got != want {
		t.Errorf("%s has other records than there were", to.address())
	}
	if !opens(t, to) {
		t.Errorf("%s does not open", to.address())
	}
	_, err := from.open(t.Context())
	if !errors.Is(err, tokenstore.ErrMoved) || !strings.Contains(err.Error(), "JIRAGATE_STORE="+to.address()) {
		t.Errorf("opening %s: %v", from.address(), err)
	}
}

func wantErr(t testing.TB, err, kind error, says ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error %v, want %v", err, kind)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %v does not say %q", err, s)
		}
	}
}

// crash has a process end at one of its transactions with etcd: before that one is sent, or
// after it was carried through. Its lease ends with it.
type crash struct {
	mu    sync.Mutex
	at    int // 1 is the first
	after bool
	seen  int
}

func (c *crash) intercept(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
	c.mu.Lock()
	if method == "/etcdserverpb.KV/Txn" {
		c.seen++
	}
	gone := c.seen > c.at || c.seen == c.at && (!c.after || method != "/etcdserverpb.KV/Txn")
	last := c.seen == c.at && c.after
	c.mu.Unlock()
	dead := status.Error(codes.PermissionDenied, "the process has ended")
	switch {
	case method == "/etcdserverpb.Lease/LeaseRevoke":
	case gone:
		return dead
	case last:
		return errors.Join(invoke(ctx, method, req, reply, cc, o...), dead)
	}
	return invoke(ctx, method, req, reply, cc, o...)
}
