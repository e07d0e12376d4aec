package etcd_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/etcd"
	"jiragate/tokenstore/records"
	"jiragate/tokenstore/storetest"
)

func TestContract(t *testing.T) {
	site := newSite(t)
	storetest.Run(t, func(t *testing.T) tokenstore.Store {
		o := site.options(t)
		o.Export = bolt.Export
		s, err := etcd.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// What a gateway changes every other one sees.
func TestChangesAreSeenByAll(t *testing.T) {
	site := newSite(t)
	o := site.options(t)
	a, b := mustOpen(t, o), mustOpen(t, o)
	ctx := t.Context()

	must(t,
		a.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("1")),
		a.AddClient(ctx, tokenstore.Client{Name: "billing", TokenSHA256: storetest.Token("t"), Connections: []string{"acme"}}),
	)
	eventually(t, "b sees the client", func() bool {
		c, ok := b.Directory().Client("billing")
		return ok && len(c.Connections) == 1
	})
	first := storetest.FirstGeneration(b, "acme")
	if c, err := b.Credential(ctx, "acme"); err != nil || c.AccessToken.Reveal() != "access-1" {
		t.Fatalf("credential %+v, %v", c, err)
	}
	if !b.Remembers("acme") {
		t.Fatal("it isn't remembered: the test proves nothing")
	}

	must(t, a.ReplaceCredential(ctx, "acme", first, storetest.OAuth2("2")))
	eventually(t, "b has the new credential", func() bool {
		c, err := b.Credential(ctx, "acme")
		return err == nil && c.AccessToken.Reveal() == "access-2"
	})
	must(t, a.Revoke(ctx, "billing", "acme"))
	eventually(t, "b sees that the grant is revoked", func() bool {
		c, _ := b.Directory().Client("billing")
		return len(c.Connections) == 0
	})
	must(t, a.RecordIssue(ctx, storetest.Issue(a, "acme", "7", "ACME-7")))
	if published, err := b.IssuePublished(ctx, "acme", "ACME-7"); err != nil || !published {
		t.Errorf("what a has published, b knows: %v, %v", published, err)
	}
	must(t, b.RemoveConnection(ctx, "acme", 1))
	eventually(t, "a sees that the connection is removed", func() bool {
		_, there := a.Directory().Connection("acme")
		return !there
	})
	if _, err := a.Credential(ctx, "acme"); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("the credential of a removed connection: %v", err)
	}
}

// Two gateways that start at once make one store; and one with another keyset is refused.
func TestOpen(t *testing.T) {
	site := newSite(t)
	o := site.options(t)
	if there, err := etcd.Exists(t.Context(), o); err != nil || there {
		t.Errorf("there is a store: %v, %v", there, err)
	}
	opened := make(chan error, 4)
	for range cap(opened) {
		go func() {
			s, err := etcd.Open(t.Context(), o)
			if err == nil {
				err = s.Close()
			}
			opened <- err
		}()
	}
	for range cap(opened) {
		must(t, <-opened)
	}
	if there, err := etcd.Exists(t.Context(), o); err != nil || !there {
		t.Errorf("there is a store: %v, %v", there, err)
	}
	o.AEAD = newAEAD(t)
	if _, err := etcd.Open(t.Context(), o); !errors.Is(err, tokenstore.ErrWrongKey) {
		t.Errorf("with another keyset: %v", err)
	}
}

func TestLifecycle(t *testing.T) {
	site := newSite(t)
	storetest.RunLifecycle(t, func(t *testing.T) []tokenstore.Store {
		o := site.options(t)
		var views []tokenstore.Store
		for range 3 {
			s, err := etcd.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			views = append(views, s)
		}
		return views
	})
}

func TestFleetContract(t *testing.T) {
	site := newSite(t)
	storetest.RunFleet(t, func(t *testing.T) (a, b tokenstore.Store, lapse func()) {
		o := site.options(t)
		first, err := etcd.Open(t.Context(), o)
		must(t, err)
		second, err := etcd.Open(t.Context(), o)
		must(t, err)
		return first, second, first.Lapse
	})
}

// What etcd takes in one transaction is made, and what it doesn't is refused before it is sent.
func TestLargeChanges(t *testing.T) {
	site := newSite(t)
	s := mustOpen(t, site.options(t))
	for _, n := range []int{1, 15, 30, 40, 60, 200} {
		var entries []records.Entry
		for i := range n {
			entries = append(entries, records.Entry{Connection: storetest.CloudConnection(fmt.Sprintf("c-%d-%d", n, i)), Credential: storetest.OAuth2("1")})
		}
		before := len(s.Directory().Connections())
		err := s.AddAll(t.Context(), entries, nil)
		switch added := len(s.Directory().Connections()) - before; {
		case err == nil && added != n:
			t.Errorf("%d of %d connections are added", added, n)
		case err != nil && added != 0:
			t.Errorf("%d of %d connections are added, and %v", added, n, err)
		case err != nil && n <= 30, err != nil && !strings.Contains(err.Error(), "too large for one transaction of etcd"):
			t.Errorf("%d connections: %v", n, err)
		}
	}
	must(t, s.Check(t.Context()))
}
