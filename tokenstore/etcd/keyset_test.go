package etcd_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jiragate/tokenstore"
	"jiragate/tokenstore/etcd"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/storetest"
)

// gatewayWithKeys is a gateway of a fleet, and its own copy of the keyset.
type gatewayWithKeys struct {
	*etcd.Store
	keys *keyset.Live
	file string
}

// copyKeyset is what an operator does.
func copyKeyset(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	must(t, err, os.WriteFile(to, content, 0o600))
}

func (g *gatewayWithKeys) reload(t *testing.T) {
	t.Helper()
	put, err := g.keys.Reload(t.Context())
	must(t, err)
	if put != nil {
		put()
	}
}

// fleetOfTwo are gateways with one store and two copies of its keyset.
func fleetOfTwo(t *testing.T, site *site) (a, b *gatewayWithKeys) {
	t.Helper()
	o := site.options(t)
	open := func(file string) *gatewayWithKeys {
		keys, err := keyset.Open(t.Context(), "file:"+file, keyset.Options{Create: true})
		must(t, err)
		o.AEAD = keys
		return &gatewayWithKeys{Store: mustOpen(t, o), keys: keys, file: file}
	}
	dir := t.TempDir()
	a = open(filepath.Join(dir, "a.json"))
	copyKeyset(t, a.file, filepath.Join(dir, "b.json"))
	return a, open(filepath.Join(dir, "b.json"))
}

// A fleet gets a new key without a call that fails: prepared, copied, promoted on one
// gateway, copied, and everything sealed anew.
func TestRotationInAFleet(t *testing.T) {
	ctx := t.Context()
	a, b := fleetOfTwo(t, newSite(t))
	old := a.keys.PrimaryKeyID()
	must(t, a.AddConnection(ctx, storetest.CloudConnection("before"), storetest.OAuth2("before")))

	next, err := a.keys.Prepare(ctx)
	must(t, err)
	must(t, a.AddConnection(ctx, storetest.CloudConnection("prepared"), storetest.OAuth2("prepared")))
	copyKeyset(t, a.file, b.file)
	b.reload(t)
	_, err = a.keys.Promote(ctx)
	must(t, err)
	must(t,
		a.AddConnection(ctx, storetest.CloudConnection("new-key"), storetest.OAuth2("new-key")),
		b.AddConnection(ctx, storetest.CloudConnection("old-key"), storetest.OAuth2("old-key")))
	use, err := a.KeyUse(ctx)
	must(t, err)
	if use[next] != 1 || use[old] != 4 { // and the canary
		t.Errorf("under %d, the old key, and %d are %v", old, next, use)
	}
	wantAll := func(when string) {
		t.Helper()
		for name, g := range map[string]*gatewayWithKeys{"a": a, "b": b} {
			for _, id := range []string{"before", "prepared", "new-key", "old-key"} {
				eventually(t, name+" sees connection "+id, func() bool { _, there := g.Directory().Connection(id); return there })
				if _, err := g.Credential(ctx, id); err != nil {
					t.Errorf("%s: %s doesn't open %s: %v", when, name, id, err)
				}
			}
		}
	}
	wantAll("rotated on one")

	copyKeyset(t, a.file, b.file)
	b.reload(t)
	left, err := b.Rewrap(ctx, 100)
	must(t, err)
	use, err = a.KeyUse(ctx)
	must(t, err)
	if left != 0 || len(use) != 1 || use[next] != 5 {
		t.Errorf("%d are left, and under key %d should be all of %v", left, next, use)
	}
	must(t, a.keys.Drop(ctx, old), b.keys.Drop(ctx, old))
	wantAll("without the old key")
	must(t, a.Check(ctx), b.Check(ctx))
}

// Out of order, the gateway that lacks the key says so, and goes on once the keyset is
// there, without a reload.
func TestRotationInAFleetOutOfOrder(t *testing.T) {
	ctx := t.Context()
	a, b := fleetOfTwo(t, newSite(t))
	_, err := a.keys.Rotate(ctx)
	must(t, err)
	must(t, a.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("acme")))
	eventually(t, "b sees the connection", func() bool { _, there := b.Directory().Connection("acme"); return there })
	if _, err := b.Credential(ctx, "acme"); !errors.Is(err, tokenstore.ErrWrongKey) || !strings.Contains(err.Error(), "jiragate reload") || strings.Contains(err.Error(), "damaged") {
		t.Errorf("without the key: %v", err)
	}
	copyKeyset(t, a.file, b.file)
	eventually(t, "b opens it", func() bool { _, err := b.Credential(ctx, "acme"); return err == nil })
}
