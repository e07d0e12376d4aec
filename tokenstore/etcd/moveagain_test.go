package etcd_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc"

	"jiragate/tokenstore"
	"jiragate/tokenstore/etcd"
	"jiragate/tokenstore/records"
)

// A migration whose last step is missing comes to its end late, when the store has gone on from
// its new place already: what is there by then is not written over with the old one.
func TestMoveEndedLate(t *testing.T) {
	site := newSmallSite(t)
	o := filledFile(t)
	eo, next := site.options(t), site.options(t)
	eo.AEAD, next.AEAD = o.AEAD, o.AEAD
	from, to, further := place{file: &o}, place{cluster: &eo}, place{cluster: &next}
	for n := 1; ; n++ { // until all but the end is done
		dying := eo.WithDial(grpc.WithChainUnaryInterceptor((&crash{at: n, after: true}).intercept))
		_, err := move(t.Context(), from, place{cluster: &dying})
		if err == nil {
			t.Fatal("it is not interrupted: the test proves nothing")
		}
		if opens(t, to) {
			break
		}
	}
	s, err := from.source(t.Context())
	must(t, err)
	if m := s.Mark(); m.State != records.Leaving {
		t.Fatalf("the source is %s: the test proves nothing", m.State)
	}
	must(t, s.Close())

	mustMove(t, to, further)
	was := digest(t, further)
	if _, err := move(t.Context(), from, to); err != nil {
		t.Errorf("ending it: %v", err)
	}
	if opens(t, to) {
		t.Error("both opens, the store and an old one")
	}
	wantMoved(t, to, further, was)
	_, err = from.open(t.Context())
	wantErr(t, err, tokenstore.ErrMoved)
}

// What gateways have published of their logs is no part of the store that was moved away.
func TestMoveBackLeavesCheckpoints(t *testing.T) {
	site := newSmallSite(t)
	o := filledFile(t)
	eo := site.options(t)
	eo.AEAD = o.AEAD
	file, cluster := place{file: &o}, place{cluster: &eo}
	mustMove(t, file, cluster)
	s, err := etcd.Open(t.Context(), eo)
	must(t, err, s.PublishCheckpoint(t.Context(), zoneA, signed(7, "a")), s.Close())
	mustMove(t, cluster, file)
	mustMove(t, file, cluster)
	s = mustOpen(t, eo)
	if got := published(t, s, zoneA); got != "7: 7a" {
		t.Errorf("published is %s, want 7: 7a", got)
	}
}

// A store below another one's prefix is not deleted with that: nothing is lost where it is moved to
// the outer prefix, which is refused.
func TestMoveOutOfAPrefix(t *testing.T) {
	site := newSmallSite(t)
	o := filledFile(t)
	outer := site.options(t)
	outer.AEAD = o.AEAD
	inner := outer
	inner.Prefix += "/2"
	in, out := place{cluster: &inner}, place{cluster: &outer}
	mustMove(t, place{file: &o}, out)
	mustMove(t, out, in)
	was := digest(t, in)
	if _, err := move(t.Context(), in, out); err == nil || !strings.Contains(err.Error(), "below that prefix") {
		t.Errorf("error %v, want one that says what else is below the prefix", err)
	}
	if !opens(t, in) || opens(t, out) {
		t.Error("the store is not where it was")
	}
	if got := digest(t, in); got != was {
		t.Error("the store has other records than it had")
	}
}
