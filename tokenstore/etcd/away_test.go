package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"jiragate/tokenstore"
	"jiragate/tokenstore/storetest"
)

// When etcd is away, what is remembered is used for a while, and nothing is changed.
func TestAway(t *testing.T) {
	site := newSite(t)
	o := site.options(t)
	var later atomic.Int64
	o.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	log := &logged{}
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	s := mustOpen(t, o)
	ctx := t.Context()
	must(t,
		s.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("1")),
		s.AddConnection(ctx, storetest.CloudConnection("initech"), storetest.OAuth2("1")),
	)
	_, err := s.Credential(ctx, "acme")
	must(t, err)

	members := site.Members()
	members[0].Kill()
	members[1].Kill()
	eventually(t, "it is noticed", func() bool { _, err := s.Confirmed(); return err != nil })
	eventually(t, "it is said", func() bool { return log.count("etcd is away: calls go on") > 0 })
	if _, err := s.Credential(ctx, "acme"); err != nil {
		t.Errorf("what is remembered: %v", err)
	}
	if _, err := s.Credential(ctx, "initech"); !errors.Is(err, tokenstore.ErrUnavailable) {
		t.Errorf("what isn't remembered: %v", err)
	}
	first := storetest.FirstGeneration(s, "acme")
	if _, err := s.BeginRotation(ctx, "acme", first); !errors.Is(err, tokenstore.ErrUnavailable) {
		t.Errorf("a rotation begins: %v", err)
	}
	if err := s.AddClient(ctx, tokenstore.Client{Name: "billing"}); !errors.Is(err, tokenstore.ErrUnavailable) {
		t.Errorf("a change is made: %v", err)
	}
	later.Store(int64(6 * time.Minute))
	if _, err := s.Credential(ctx, "acme"); !errors.Is(err, tokenstore.ErrUnavailable) {
		t.Errorf("what is remembered after six minutes: %v", err)
	}

	members[0].Restart()
	eventually(t, "it is back", func() bool {
		_, err := s.Credential(ctx, "initech")
		return err == nil
	})
	eventually(t, "changes are made again", func() bool {
		err := s.AddClient(ctx, tokenstore.Client{Name: "billing", TokenSHA256: storetest.Token("t")})
		return err == nil
	})
	eventually(t, "it is said, too", func() bool { return log.count("etcd is back") > 0 })
	if n := log.count("etcd is away: calls go on"); n != 1 {
		t.Errorf("that etcd is away is said %d times", n)
	}
}

// A gateway that comes back finds that etcd has forgotten what it missed, and reads all anew.
func TestCompactedMeanwhile(t *testing.T) {
	site, link, a, b := pair(t)
	root := site.Root(t)
	ctx := t.Context()
	_, err := a.Credential(ctx, "acme")
	must(t, err)
	link.Cut()
	must(t,
		b.ReplaceCredential(ctx, "acme", storetest.FirstGeneration(b, "acme"), storetest.OAuth2("2")),
		b.AddConnection(ctx, storetest.CloudConnection("initech"), storetest.OAuth2("1")),
	)
	resp, err := root.Get(ctx, site.Prefix(), clientv3.WithPrefix(), clientv3.WithCountOnly())
	must(t, err)
	_, err = root.Compact(ctx, resp.Header.Revision)
	must(t, err)
	link.Reset()
	link.Heal()
	eventually(t, "a sees the new connection", func() bool {
		_, there := a.Directory().Connection("initech")
		return there
	})
	if c, err := a.Credential(ctx, "acme"); err != nil || c.AccessToken.Reveal() != "access-2" {
		t.Errorf("credential %+v, %v", c, err)
	}
}

// A member that stops without a word, with the gateway's connections, keeps nobody from seeing
// what happens.
func TestStoppedMember(t *testing.T) {
	site := newSite(t)
	o := site.options(t)
	a, b := mustOpen(t, o), mustOpen(t, o)
	leader := site.Leader()
	leader.Pause()
	defer leader.Resume()
	eventually(t, "a change is made", func() bool {
		err := a.AddConnection(t.Context(), storetest.CloudConnection("acme"), storetest.OAuth2("1"))
		return err == nil || errors.Is(err, tokenstore.ErrExists)
	})
	eventually(t, "b sees it", func() bool {
		_, there := b.Directory().Connection("acme")
		return there
	})
}

// flaky loses requests and answers at random.
type flaky struct {
	mu     sync.Mutex
	random *rand.Rand
	on     bool
	lost   int // answers
}

func (f *flaky) draw() (request, answer bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.on {
		return false, false
	}
	request, answer = f.random.IntN(6) == 0, f.random.IntN(3) == 0
	if answer && !request {
		f.lost++
	}
	return request, answer
}

func (f *flaky) intercept(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
	if method != "/etcdserverpb.KV/Txn" {
		return invoke(ctx, method, req, reply, cc, o...)
	}
	request, answer := f.draw()
	if request {
		return status.Error(codes.Unavailable, "the request was lost")
	}
	err := invoke(ctx, method, req, reply, cc, o...)
	if answer && err == nil {
		return status.Error(codes.Unavailable, "the answer was lost")
	}
	return err
}

// Each change is made once, whatever gets lost on the way.
func TestLostAnswers(t *testing.T) {
	site := newSite(t)
	f := &flaky{random: rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))}
	o := site.options(t).WithDial(grpc.WithChainUnaryInterceptor(f.intercept))
	s := mustOpen(t, o)
	ctx := t.Context()
	f.mu.Lock()
	f.on = true
	f.mu.Unlock()

	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id := fmt.Sprint("c-", i)
			if err := s.AddConnection(ctx, storetest.CloudConnection(id), storetest.OAuth2("0")); err != nil {
				t.Errorf("adding: %v", err)
				return
			}
			for n := range 10 {
				generation := storetest.FirstGeneration(s, id) + uint64(n)
				claim, err := s.BeginRotation(ctx, id, generation)
				if err != nil || claim.Stood {
					t.Errorf("rotation %d of %s: stood %v, %v", n, id, claim.Stood, err)
					return
				}
				if err := s.FinishRotation(ctx, claim, storetest.OAuth2(fmt.Sprint(n+1))); err != nil {
					t.Errorf("rotation %d of %s: %v", n, id, err)
					return
				}
			}
		})
	}
	wg.Wait()
	f.mu.Lock()
	f.on = false
	lost := f.lost
	f.mu.Unlock()
	if lost == 0 {
		t.Error("no answer got lost: the test proves nothing")
	}
	for _, c := range s.Directory().Connections() {
		cred, err := s.Credential(ctx, c.ID)
		if err != nil || cred.RefreshToken.Reveal() != "refresh-10" || cred.Generation != storetest.FirstGeneration(s, c.ID)+10 {
			t.Errorf("%s: generation %d, %v", c.ID, cred.Generation, err)
		}
	}
	must(t, s.Check(ctx))
}

// Changes of one record by many gateways are all made.
func TestContention(t *testing.T) {
	site := newSite(t)
	o := site.options(t)
	stores := []interface {
		Grant(ctx context.Context, client, connection string) error
	}{}
	var last = mustOpen(t, o)
	ctx := t.Context()
	must(t, last.AddClient(ctx, tokenstore.Client{Name: "billing", TokenSHA256: storetest.Token("t")}))
	const gateways, each = 4, 5
	for g := range gateways {
		s := mustOpen(t, o)
		stores = append(stores, s)
		for i := range each {
			must(t, s.AddConnection(ctx, storetest.CloudConnection(fmt.Sprintf("c-%d-%d", g, i)), storetest.OAuth2("1")))
		}
	}
	var wg sync.WaitGroup
	for g, s := range stores {
		wg.Go(func() {
			for i := range each {
				if err := s.Grant(ctx, "billing", fmt.Sprintf("c-%d-%d", g, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "all grants are there", func() bool {
		c, _ := last.Directory().Client("billing")
		return len(c.Connections) == gateways*each
	})
	must(t, last.Check(ctx))
}

// deaf is a connection on which nothing is told any more of what happens.
type deaf struct{ on atomic.Bool }

func (d *deaf) intercept(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := streamer(ctx, desc, cc, method, o...)
	if method != "/etcdserverpb.Watch/Watch" || err != nil {
		return s, err
	}
	return deafStream{s, d}, nil
}

type deafStream struct {
	grpc.ClientStream
	d *deaf
}

func (s deafStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	for s.d.on.Load() && s.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
	return err
}

// A gateway that can read, but isn't told of what happens, doesn't go on with grants that may
// have been revoked.
func TestDeaf(t *testing.T) {
	site := newSite(t)
	var d deaf
	o := site.options(t).WithDial(grpc.WithChainStreamInterceptor(d.intercept))
	o.Staleness = 2 * time.Second
	s, other := mustOpen(t, o), mustOpen(t, o.WithDial())
	ctx := t.Context()
	must(t, s.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("1")))
	_, err := s.Credential(ctx, "acme")
	must(t, err)
	d.on.Store(true)
	must(t, other.AddClient(ctx, tokenstore.Client{Name: "billing", TokenSHA256: storetest.Token("t")}))
	eventually(t, "credentials are not handed out", func() bool {
		_, err := s.Credential(ctx, "acme")
		return errors.Is(err, tokenstore.ErrUnavailable)
	})
	if published, err := s.IssuePublished(ctx, "acme", "ACME-1"); err != nil || published {
		t.Errorf("it can't read either: %v, %v: the test proves nothing", published, err)
	}
	d.on.Store(false)
	eventually(t, "they are again", func() bool {
		_, err := s.Credential(ctx, "acme")
		return err == nil
	})
}
