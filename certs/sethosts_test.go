package certs

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestEmptySetPermitsNothing(t *testing.T) {
	a := mustOpen(t, newOptions(t))
	check := func(when string) {
		t.Helper()
		if _, err := a.Leaf("acme.atlassian.net"); !errors.Is(err, ErrHostNotPermitted) {
			t.Errorf("%s: Leaf = %v, want ErrHostNotPermitted", when, err)
		}
	}
	check("before SetHosts")
	for _, hosts := range [][]string{{"acme.atlassian.net"}, nil} {
		if err := a.SetHosts(hosts); err != nil {
			t.Fatal(err)
		}
	}
	check("after the last host went")
}

// TestSetHosts: a host that stays keeps what it has, one that goes loses it.
func TestSetHosts(t *testing.T) {
	a := newAuthority(t, "a.example", "b.example")
	stays, goes := mustLeaf(t, a, "a.example"), mustLeaf(t, a, "b.example")

	if err := a.SetHosts([]string{"b.example", "a.example", "b.example"}); err != nil {
		t.Fatal(err)
	}
	if mustLeaf(t, a, "a.example") != stays || mustLeaf(t, a, "b.example") != goes {
		t.Error("the same set in another order dropped a leaf")
	}

	if err := a.SetHosts([]string{"a.example", "not a host"}); err == nil {
		t.Error("a host that is none was taken")
	}
	if mustLeaf(t, a, "a.example") != stays || mustLeaf(t, a, "b.example") != goes {
		t.Error("a refused set changed something")
	}

	if err := a.SetHosts([]string{"a.example", "c.example"}); err != nil {
		t.Fatal(err)
	}
	if mustLeaf(t, a, "a.example") != stays {
		t.Error("a host that stayed was issued another leaf")
	}
	if _, err := a.Leaf("b.example"); !errors.Is(err, ErrHostNotPermitted) {
		t.Errorf("Leaf of a removed host: %v", err)
	}
	if err := handshake(a, mustLeaf(t, a, "c.example"), "c.example"); err != nil {
		t.Error(err)
	}

	if err := a.SetHosts([]string{"b.example"}); err != nil {
		t.Fatal(err)
	}
	back := mustLeaf(t, a, "b.example")
	if back == goes || bytes.Equal(back.Certificate[1], goes.Certificate[1]) {
		t.Error("a host that came back has what it had before it went")
	}
}

// TestHostGoesWhileItsLeafIsMade: even who asked before gets nothing then, and
// nothing is left of it.
func TestHostGoesWhileItsLeafIsMade(t *testing.T) {
	a, sealer := newWatched(t, newOptions(t))
	set := func(hosts ...string) {
		if err := a.SetHosts(hosts); err != nil {
			t.Error(err)
		}
	}
	set("a.example", "b.example")
	sealer.during = func() { set("b.example") }
	if cert, err := a.Leaf("a.example"); !errors.Is(err, ErrHostNotPermitted) || cert != nil {
		t.Errorf("Leaf gave a certificate: %v, and the error %v; want ErrHostNotPermitted", cert != nil, err)
	}
	set("a.example", "b.example")
	if is, err := a.find("a.example"); is != nil || err != nil {
		t.Errorf("what was made for the host came back with it: %v, %v", is, err)
	}
}

// TestSetHostsKeepsNoneOfTheCallers: the caller's slice stays the caller's.
func TestSetHostsKeepsNoneOfTheCallers(t *testing.T) {
	hosts := []string{"b.example", "a.example"}
	a := newAuthority(t, hosts...)
	if !slices.Equal(hosts, []string{"b.example", "a.example"}) {
		t.Errorf("SetHosts reordered its argument: %v", hosts)
	}
	hosts[0] = "evil.example"
	if _, err := a.Leaf("evil.example"); !errors.Is(err, ErrHostNotPermitted) {
		t.Errorf("Leaf = %v, want ErrHostNotPermitted", err)
	}
}

// TestManyHosts: a set of any size costs no signature; a host costs one by the
// root, when it is first called.
func TestManyHosts(t *testing.T) {
	a, sealer := newWatched(t, newOptions(t))
	hosts := manyHosts(100_000)
	for _, set := range [][]string{hosts, hosts[1:], hosts} {
		if err := a.SetHosts(set); err != nil {
			t.Fatal(err)
		}
	}
	if n := sealer.unsealed.Load(); n != 0 {
		t.Errorf("SetHosts unsealed the root's key %d times", n)
	}
	for i, host := range []string{hosts[0], hosts[1], hosts[50_000], hosts[99_999]} {
		cert := mustLeaf(t, a, host)
		if err := handshake(a, cert, host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		mustLeaf(t, a, host)
		if n := sealer.unsealed.Load(); n != int64(i)+1 {
			t.Errorf("%d hosts called, but the root's key was unsealed %d times", i+1, n)
		}
	}
}

func manyHosts(n int) []string {
	hosts := make([]string, n)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("customer-with-a-long-name-%06d.atlassian.net", i)
	}
	return hosts
}

// TestPermit: a set that its caller keeps permits as one that was copied does, and no
// certificate is made for what is no host.
func TestPermit(t *testing.T) {
	a := newAuthority(t, "a.example", "b.example")
	stays := mustLeaf(t, a, "a.example")
	mustLeaf(t, a, "b.example")
	a.Permit(hostSet{"a.example": {}, "C.example": {}})
	if mustLeaf(t, a, "a.example") != stays {
		t.Error("a host that stayed was issued another leaf")
	}
	if _, err := a.Leaf("b.example"); !errors.Is(err, ErrHostNotPermitted) {
		t.Errorf("Leaf of a removed host: %v", err)
	}
	if cert, err := a.Leaf("C.example"); err == nil {
		t.Errorf("a certificate was made for a host in another form: %v", cert.Leaf.DNSNames)
	}
}
