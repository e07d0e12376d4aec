package etcdlab

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// quick is a cluster whose disk is not waited for.
func quick(t *testing.T, o Options) *Cluster {
	t.Helper()
	o.NoFsync = true
	return Start(t, o)
}

// within is a context for a call that must succeed; how long that takes is not the test's
// matter.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// inVain is a context for a call that can't succeed.
func inVain(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

// put writes until it is acknowledged. A write that was on its way to a leader which is
// gone is lost, and etcd takes seconds to say so.
func put(t *testing.T, client *clientv3.Client, key, value string) {
	t.Helper()
	ctx := within(t)
	for {
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		_, err := client.Put(attempt, key, value)
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("put %s: %v", key, err)
		}
	}
}

// value is what a linearizable read finds, "" for nothing.
func value(t *testing.T, client *clientv3.Client, key string) string {
	t.Helper()
	answer, err := client.Get(within(t), key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	if len(answer.Kvs) == 0 {
		return ""
	}
	return string(answer.Kvs[0].Value)
}

// others are all members but one.
func (c *Cluster) others(but *Member) []*Member {
	var all []*Member
	for _, m := range c.members {
		if m != but {
			all = append(all, m)
		}
	}
	return all
}

func TestMembersThatAreKilledKeepTheirData(t *testing.T) {
	for _, members := range []int{1, 3} {
		t.Run(map[int]string{1: "one", 3: "three"}[members], func(t *testing.T) {
			c := Start(t, Options{Members: members}) // with fsync, as operators have it
			client := c.Client(t)
			put(t, client, "/jiragate/a", "before")
			leader := c.Leader()
			leader.Kill()
			if leader.Running() {
				t.Error("a member that was killed runs")
			}
			if members == 3 { // goes on without it
				if next := c.Leader(); next == leader {
					t.Errorf("%s leads, dead", leader.Name())
				}
				put(t, client, "/jiragate/b", "meanwhile")
			}
			endpoint := leader.Endpoint()
			leader.Restart()
			if !leader.WaitReady() {
				t.FailNow()
			}
			if leader.Endpoint() != endpoint {
				t.Errorf("it is at %s now, was at %s", leader.Endpoint(), endpoint)
			}
			itself := c.Client(t, leader.Endpoint())
			if got := value(t, itself, "/jiragate/a"); got != "before" {
				t.Errorf("it has %q", got)
			}
			if got := value(t, itself, "/jiragate/b"); members == 3 && got != "meanwhile" {
				t.Errorf("of what it missed it has %q", got)
			}
		})
	}
}

func TestLeaderThatPausesIsReplaced(t *testing.T) {
	c := quick(t, Options{})
	paused := c.Leader()
	paused.Pause()
	next := c.Leader()
	if next == paused {
		t.Fatalf("%s leads, paused", paused.Name())
	}
	put(t, c.Client(t, next.Endpoint()), "/jiragate/a", "without it")
	if _, err := c.Client(t, paused.Endpoint()).Get(inVain(t), "/jiragate/a", clientv3.WithSerializable()); err == nil {
		t.Error("a paused member answers")
	}
	paused.Resume()
	if got := value(t, c.Client(t, paused.Endpoint()), "/jiragate/a"); got != "without it" {
		t.Errorf("after its pause it has %q", got)
	}
}

func TestMemberWithoutPeers(t *testing.T) {
	for _, who := range []string{"the leader", "another"} {
		t.Run(who, func(t *testing.T) {
			c := quick(t, Options{})
			lonely := c.Leader()
			if who == "another" {
				lonely = c.others(lonely)[0]
			}
			put(t, c.Client(t), "/jiragate/a", "before")
			// A majority may be without it.
			if got := value(t, c.Client(t, lonely.Endpoint()), "/jiragate/a"); got != "before" {
				t.Errorf("it has %q", got)
			}
			lonely.CutPeers()
			rest := c.others(lonely)
			put(t, c.Client(t, rest[0].Endpoint(), rest[1].Endpoint()), "/jiragate/a", "without it")
			itself := c.Client(t, lonely.Endpoint())
			if _, err := itself.Put(inVain(t), "/jiragate/a", "alone"); err == nil {
				t.Error("a member without peers has written")
			}
			// Clients still reach it: it tells what it had.
			if answer, err := itself.Get(within(t), "/jiragate/a", clientv3.WithSerializable()); err != nil {
				t.Errorf("it doesn't answer: %v", err)
			} else if got := string(answer.Kvs[0].Value); got != "before" {
				t.Errorf("it has heard of %q", got)
			}
			lonely.HealPeers()
			if !lonely.WaitReady() {
				t.FailNow()
			}
			put(t, c.Client(t, lonely.Endpoint()), "/jiragate/b", "together")
			if got := value(t, c.Client(t, rest[0].Endpoint()), "/jiragate/b"); got != "together" {
				t.Errorf("others have %q", got)
			}
		})
	}
}

// Between two members the wire is whole again when neither is cut.
func TestTwoMembersWithoutPeers(t *testing.T) {
	c := quick(t, Options{})
	one, two := c.members[0], c.members[1]
	one.CutPeers()
	two.CutPeers()
	one.HealPeers()
	if got := c.Leader(); got == two {
		t.Errorf("%s leads, without peers", two.Name())
	}
	put(t, c.Client(t, one.Endpoint()), "/jiragate/a", "two of three")
	if _, err := c.Client(t, two.Endpoint()).Put(inVain(t), "/jiragate/a", "alone"); err == nil {
		t.Error("a member without peers has written")
	}
	two.HealPeers()
	if got := value(t, c.Client(t, two.Endpoint()), "/jiragate/a"); got != "two of three" {
		t.Errorf("after it was healed it has %q", got)
	}
}

func TestUserStaysBelowItsPrefix(t *testing.T) {
	c := quick(t, Options{Members: 1, Auth: true, Prefix: "/mine/"})
	client := c.Client(t)
	put(t, client, "/mine/a", "1")
	if got := value(t, client, "/mine/a"); got != "1" {
		t.Errorf("the user finds %q", got)
	}
	put(t, c.Root(t), "/theirs", "2")
	calls := map[string]func() error{
		"get another key":   func() error { _, err := client.Get(within(t), "/theirs"); return err },
		"get all keys":      func() error { _, err := client.Get(within(t), "", clientv3.WithPrefix()); return err },
		"put another key":   func() error { _, err := client.Put(within(t), "/mine", ""); return err },
		"delete another":    func() error { _, err := client.Delete(within(t), "/theirs"); return err },
		"add a user":        func() error { _, err := client.UserAdd(within(t), "x", "y"); return err },
		"disable passwords": func() error { _, err := client.AuthDisable(within(t)); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, rpctypes.ErrPermissionDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	nobody, err := c.open(t.Context(), c.Endpoints(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	if _, err := nobody.Get(within(t), "/mine/a"); !errors.Is(err, rpctypes.ErrUserEmpty) {
		t.Errorf("without a user: %v", err)
	}
	if _, err := c.open(t.Context(), c.Endpoints(), c.User(), "wrong"); !errors.Is(err, rpctypes.ErrAuthFailed) {
		t.Errorf("with a wrong password: %v", err)
	}
}

func TestClientCertificates(t *testing.T) {
	c := quick(t, Options{Members: 1, ClientCertificates: true, AutoCompaction: time.Hour})
	put(t, c.Client(t), "/jiragate/a", "1")
	stranger, err := c.pki.clientTLS("")
	if err != nil {
		t.Fatal(err)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), TLS: stranger, Logger: c.Client(t).GetLogger()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Get(inVain(t), "/jiragate/a"); err == nil {
		t.Error("a client without a certificate is answered")
	}
}
