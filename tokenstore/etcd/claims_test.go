package etcd_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/etcd"
	"jiragate/tokenstore/storetest"
)

// shortTTL is that of leases in tests that wait for their end.
const shortTTL = 5 * time.Second

// pair are two gateways, the first of which can be cut off, with one connection.
func pair(t *testing.T) (site *site, link interface {
	Cut()
	Reset()
	Heal()
}, a, b *etcd.Store) {
	t.Helper()
	site = newSite(t)
	o := site.options(t).WithTTL(shortTTL)
	l := site.Link(t)
	cuttable := o
	cuttable.Endpoints, cuttable.Node = l.Endpoints(), "a"
	a = mustOpen(t, cuttable)
	o.Node = "b"
	b = mustOpen(t, o)
	must(t, a.AddConnection(t.Context(), storetest.CloudConnection("acme"), storetest.OAuth2("1")))
	eventually(t, "both see the connection", func() bool {
		_, there := b.Directory().Connection("acme")
		return there
	})
	return site, l, a, b
}

func TestOneClaimAtATime(t *testing.T) {
	_, _, a, b := pair(t)
	ctx := t.Context()
	first := storetest.FirstGeneration(a, "acme")

	claim, err := a.BeginRotation(ctx, "acme", first)
	must(t, err)
	if claim.Stood || claim.Fence == 0 || claim.Held() != nil {
		t.Errorf("claim %+v, held: %v", claim, claim.Held())
	}
	if _, err := b.BeginRotation(ctx, "acme", first); !errors.Is(err, tokenstore.ErrClaimed) {
		t.Errorf("b begins it too: %v", err)
	}
	if err := b.RequireReauthorisation(ctx, "acme", first, "refused"); !errors.Is(err, tokenstore.ErrClaimed) {
		t.Errorf("b condemns what a refreshes: %v", err)
	}
	awaited := make(chan error)
	go func() { awaited <- b.AwaitRotation(ctx, "acme", first) }()
	must(t, a.FinishRotation(ctx, claim, storetest.OAuth2("2")), <-awaited)
	eventually(t, "b has what a has stored", func() bool {
		c, err := b.Credential(ctx, "acme")
		return err == nil && c.AccessToken.Reveal() == "access-2"
	})
	if _, err := b.BeginRotation(ctx, "acme", first); !errors.Is(err, tokenstore.ErrConflict) {
		t.Errorf("b begins the one that has ended: %v", err)
	}
	next, err := b.BeginRotation(ctx, "acme", first+1)
	must(t, err)
	if next.Stood || next.Fence <= claim.Fence {
		t.Errorf("the next claim is %+v, after fence %d", next, claim.Fence)
	}
	must(t, b.YieldRotation(ctx, next))
	again, err := a.BeginRotation(ctx, "acme", first+1)
	must(t, err)
	if !again.Stood {
		t.Error("a doesn't learn that b may have sent the token")
	}
	must(t, a.EndRotation(ctx, again))
	if notes, err := b.Rotations(ctx); err != nil || len(notes) != 0 {
		t.Errorf("notes %v, %v", notes, err)
	}
}

// A gateway that is cut off knows that its claim has lapsed before another one can take it;
// and what it brings later is not stored.
func TestCutOffHolder(t *testing.T) {
	_, link, a, b := pair(t)
	ctx := t.Context()
	first := storetest.FirstGeneration(a, "acme")
	claim, err := a.BeginRotation(ctx, "acme", first)
	must(t, err)
	link.Cut()

	must(t, b.AwaitRotation(ctx, "acme", first))
	taken, err := b.BeginRotation(ctx, "acme", first)
	must(t, err)
	if err := claim.Held(); !errors.Is(err, tokenstore.ErrLapsed) {
		t.Fatalf("two gateways hold the claim: %v", err)
	}
	select {
	case <-claim.Lapsed():
	case <-time.After(10 * time.Second):
		t.Error("a isn't told that its claim has lapsed")
	}
	if !taken.Stood || taken.Fence <= claim.Fence {
		t.Errorf("b's claim is %+v, after fence %d", taken, claim.Fence)
	}

	link.Reset()
	link.Heal()
	finish := func() error { return a.FinishRotation(ctx, claim, storetest.OAuth2("stale")) }
	if err := whenBack(t, finish); !errors.Is(err, tokenstore.ErrLapsed) {
		t.Errorf("the stale holder stores its pair: %v", err)
	}
	must(t, whenBack(t, func() error { return a.EndRotation(ctx, claim) })) // which changes nothing
	if notes, err := a.Rotations(ctx); err != nil || len(notes) != 1 {
		t.Errorf("notes %v, %v", notes, err)
	}
	must(t, b.FinishRotation(ctx, taken, storetest.OAuth2("2")))
	if err := whenBack(t, finish); !errors.Is(err, tokenstore.ErrConflict) {
		t.Errorf("the stale holder stores its pair: %v", err)
	}
}

// What a holder brings whose claim has lapsed is stored if nobody else has begun: the refresh
// token that it replaces is worth nothing any more.
func TestLateHolderWithoutFollower(t *testing.T) {
	_, link, a, b := pair(t)
	ctx := t.Context()
	first := storetest.FirstGeneration(a, "acme")
	claim, err := a.BeginRotation(ctx, "acme", first)
	must(t, err)
	link.Cut()
	must(t, b.AwaitRotation(ctx, "acme", first))
	link.Reset()
	link.Heal()
	must(t, whenBack(t, func() error { return a.FinishRotation(ctx, claim, storetest.OAuth2("2")) }))
}

// A process that was stopped knows by its clocks that its claim has lapsed, before it asks
// anybody.
func TestPausedHolder(t *testing.T) {
	site := newSite(t)
	o := site.options(t)
	var paused atomic.Int64
	o.Now = func() time.Time { return time.Now().Add(time.Duration(paused.Load())) }
	a := mustOpen(t, o)
	ctx := t.Context()
	must(t, a.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("1")))
	claim, err := a.BeginRotation(ctx, "acme", storetest.FirstGeneration(a, "acme"))
	must(t, err, claim.Held())
	paused.Store(int64(time.Minute))
	if err := claim.Held(); !errors.Is(err, tokenstore.ErrLapsed) {
		t.Errorf("after a minute: %v", err)
	}
}

// When a gateway ends, others go on at once.
func TestClosedHolder(t *testing.T) {
	_, _, a, b := pair(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	first := storetest.FirstGeneration(a, "acme")
	_, err := a.BeginRotation(ctx, "acme", first)
	must(t, err, a.Close(), b.AwaitRotation(ctx, "acme", first))
	_, err = b.BeginRotation(ctx, "acme", first)
	must(t, err)
}
