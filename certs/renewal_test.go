package certs

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

const day = 24 * time.Hour

// TestRenewal walks through the life of a root, whose handshakes must succeed
// at every step until its end.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t, "acme.atlassian.net")
		born := time.Now()
		leaf := mustLeaf(t, a, "acme.atlassian.net")
		const step = 11 * time.Hour
		for time.Until(a.Root().NotAfter) > step {
			time.Sleep(step)
			got := mustLeaf(t, a, "acme.atlassian.net")
			now := time.Now()
			if left := got.Leaf.NotAfter.Sub(now); left < leafLife/4 && got.Leaf.NotAfter.Before(a.Root().NotAfter) {
				t.Fatalf("after %v: a leaf with %v left", now.Sub(born), left)
			}
			if got == leaf {
				continue
			}
			if age := now.Sub(leaf.Leaf.NotBefore); age < leafLife/2 && got.Leaf.NotAfter.Before(a.Root().NotAfter) {
				t.Fatalf("after %v: a leaf was renewed at the age of %v", now.Sub(born), age)
			}
			if got.Leaf.NotAfter.After(a.Root().NotAfter) {
				t.Fatalf("after %v: the leaf outlives the root", now.Sub(born))
			}
			if err := handshake(a, got, "acme.atlassian.net"); err != nil {
				t.Fatalf("after %v: %v", now.Sub(born), err)
			}
			leaf = got
		}

		time.Sleep(step)
		if _, err := a.Leaf("acme.atlassian.net"); !errors.Is(err, ErrRootNotValid) {
			t.Errorf("Leaf after the root's end: %v, want ErrRootNotValid", err)
		}
		if err := a.SetHosts([]string{"acme.atlassian.net", "b.example"}); err != nil {
			t.Errorf("SetHosts after the root's end: %v", err)
		}
		if _, err := a.Leaf("b.example"); !errors.Is(err, ErrRootNotValid) {
			t.Errorf("first Leaf after the root's end: %v, want ErrRootNotValid", err)
		}
	})
}

// TestIntermediateRenewal: an intermediate signs its host's leaves, without the
// root's key, until two thirds of its life; the leaf that is due next comes with
// another one. Other hosts have no part in it.
func TestIntermediateRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, sealer := newWatched(t, newOptions(t))
		if err := a.SetHosts([]string{"a.example", "b.example"}); err != nil {
			t.Fatal(err)
		}
		first := mustLeaf(t, a, "a.example")
		time.Sleep(10 * day)
		other := mustLeaf(t, a, "b.example")
		time.Sleep(9 * day)
		late := mustLeaf(t, a, "a.example")
		if late == first || !bytes.Equal(late.Certificate[1], first.Certificate[1]) {
			t.Error("the second leaf has an intermediate of its own, before two thirds of the first one's life")
		}
		if n := sealer.unsealed.Load(); n != 2 {
			t.Errorf("the root's key was unsealed %d times for 2 intermediates", n)
		}

		time.Sleep(2 * day)
		if mustLeaf(t, a, "a.example") != late {
			t.Error("a leaf was renewed because its intermediate is due")
		}
		time.Sleep(3 * day)
		if renewed := mustLeaf(t, a, "a.example"); bytes.Equal(renewed.Certificate[1], first.Certificate[1]) {
			t.Error("the intermediate was not renewed after two thirds of its life")
		}
		if again := mustLeaf(t, a, "b.example"); !bytes.Equal(again.Certificate[1], other.Certificate[1]) {
			t.Error("the intermediate of another host was renewed with it")
		}
		if n := sealer.unsealed.Load(); n != 3 {
			t.Errorf("the root's key was unsealed %d times for 3 intermediates", n)
		}
	})
}

// TestClockSetBack: made while the clock was ahead, certificates are of no use
// once it is right, and are made again.
func TestClockSetBack(t *testing.T) {
	now := time.Now()
	o := newOptions(t)
	o.Now = func() time.Time { return now }
	a := mustOpen(t, o)
	now = now.Add(2 * day)
	if err := a.SetHosts([]string{"a.example"}); err != nil {
		t.Fatal(err)
	}
	ahead := mustLeaf(t, a, "a.example")
	now = now.Add(-2 * day)
	if again := mustLeaf(t, a, "a.example"); again == ahead || again.Leaf.NotBefore.After(now) {
		t.Errorf("a leaf valid from %v is served at %v", again.Leaf.NotBefore, now)
	}

	now = a.Root().NotBefore.Add(-time.Second)
	if _, err := a.Leaf("a.example"); !errors.Is(err, ErrRootNotValid) {
		t.Errorf("Leaf before the root's first day: %v, want ErrRootNotValid", err)
	}
}

// TestFailureToIssueFailsClosed: while nothing can be issued, a host that is gone
// is refused all the same, what is cached serves on, and a new host gets an
// error. It recovers by itself.
func TestFailureToIssueFailsClosed(t *testing.T) {
	a, sealer := newWatched(t, newOptions(t))
	if err := a.SetHosts([]string{"a.example", "b.example"}); err != nil {
		t.Fatal(err)
	}
	cached := mustLeaf(t, a, "a.example")
	mustLeaf(t, a, "b.example")

	sealer.err = errors.New("the key service is away")
	if err := a.SetHosts([]string{"a.example", "c.example"}); err != nil {
		t.Errorf("SetHosts = %v", err)
	}
	if _, err := a.Leaf("b.example"); !errors.Is(err, ErrHostNotPermitted) {
		t.Errorf("Leaf of a removed host: %v, want ErrHostNotPermitted", err)
	}
	if mustLeaf(t, a, "a.example") != cached {
		t.Error("a cached leaf was given up")
	}
	if _, err := a.Leaf("c.example"); !errors.Is(err, ErrWrongSealer) || !errors.Is(err, sealer.err) {
		t.Errorf("Leaf = %v, want ErrWrongSealer and the sealer's error", err)
	}
	sealer.err = nil
	if err := handshake(a, mustLeaf(t, a, "c.example"), "c.example"); err != nil {
		t.Error(err)
	}
}

// Intermediates tells of the first that ends, and no more of one that has.
func TestIntermediates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t, "a.example", "b.example")
		check := func(n int, want time.Time) {
			t.Helper()
			if got, ends := a.Intermediates(); got != n || !ends.Equal(want) {
				t.Errorf("%d intermediates, the first ending %s; want %d and %s", got, ends, n, want)
			}
		}
		check(0, time.Time{})
		mustLeaf(t, a, "a.example")
		_, first := a.Intermediates()
		check(1, first)
		time.Sleep(day)
		mustLeaf(t, a, "b.example")
		check(2, first)
		time.Sleep(time.Until(first))
		check(1, first.Add(day))
	})
}
