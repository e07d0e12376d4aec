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
			if age := now.Sub(leaf.Leaf.NotBefore); age < leafLife/2 && got.Leaf.NotAfter.Before(a.Root().NotAfter) &&
				bytes.Equal(got.Certificate[1], leaf.Certificate[1]) {
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
		if err := a.SetHosts([]string{"acme.atlassian.net", "b.example"}); !errors.Is(err, ErrRootNotValid) {
			t.Errorf("SetHosts after the root's end: %v, want ErrRootNotValid", err)
		}
	})
}

// TestIntermediateRenewal: an intermediate is followed by another at two thirds
// of its life, and the leaves that hang off it go with it.
func TestIntermediateRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t, "a.example", "b.example")
		first := mustLeaf(t, a, "a.example").Certificate[1]
		time.Sleep(19 * day)
		late := mustLeaf(t, a, "a.example")
		if !bytes.Equal(late.Certificate[1], first) {
			t.Error("the intermediate was renewed before two thirds of its life")
		}
		time.Sleep(2 * day)
		renewed := mustLeaf(t, a, "a.example")
		if bytes.Equal(renewed.Certificate[1], first) {
			t.Error("the intermediate was not renewed at two thirds of its life")
		}
		if other := mustLeaf(t, a, "b.example"); !bytes.Equal(other.Certificate[1], renewed.Certificate[1]) {
			t.Error("two hosts have different intermediates")
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

// TestFailureToIssueFailsClosed: a host that is gone stays refused even though
// nothing can be issued for the others, and these recover by themselves.
func TestFailureToIssueFailsClosed(t *testing.T) {
	o := newOptions(t)
	sealer := &brittle{Sealer: o.Sealer}
	o.Sealer = sealer
	a := mustOpen(t, o)
	if err := a.SetHosts([]string{"a.example", "b.example"}); err != nil {
		t.Fatal(err)
	}
	mustLeaf(t, a, "b.example")

	sealer.err = errors.New("the key service is away")
	if err := a.SetHosts([]string{"a.example"}); !errors.Is(err, ErrWrongSealer) || !errors.Is(err, sealer.err) {
		t.Errorf("SetHosts = %v", err)
	}
	if _, err := a.Leaf("b.example"); !errors.Is(err, ErrHostNotPermitted) {
		t.Errorf("Leaf of a removed host: %v, want ErrHostNotPermitted", err)
	}
	if _, err := a.Leaf("a.example"); !errors.Is(err, sealer.err) {
		t.Errorf("Leaf = %v, want the sealer's error", err)
	}
	sealer.err = nil
	if err := handshake(a, mustLeaf(t, a, "a.example"), "a.example"); err != nil {
		t.Error(err)
	}
}

// brittle is a sealer that fails while err is set.
type brittle struct {
	Sealer
	err error
}

func (b *brittle) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	return b.Sealer.Decrypt(ciphertext, associatedData)
}
