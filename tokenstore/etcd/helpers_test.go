package etcd_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/internal/etcdlab"
	"jiragate/tokenstore"
	"jiragate/tokenstore/etcd"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/secret"
)

// clock moves on each time it is read, beside the time that passes, so that no two changes
// have the same time.
func clock() func() time.Time {
	var n atomic.Int64
	return func() time.Time { return time.Now().Add(time.Duration(n.Add(1)) * time.Microsecond) }
}

func newAEAD(t testing.TB) tink.AEAD {
	t.Helper()
	k, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// site is a cluster in which each store has a prefix of its own.
type site struct {
	*etcdlab.Cluster
	stores atomic.Int64
}

func newSite(t *testing.T) *site {
	t.Helper()
	return &site{Cluster: etcdlab.Start(t, etcdlab.Options{Auth: true, NoFsync: true})}
}

// options are those of a store that doesn't exist yet. More than one gateway may open it.
func (s *site) options(t testing.TB) etcd.Options {
	t.Helper()
	return etcd.Options{
		Endpoints: s.Endpoints(), TLS: s.TLS(), Username: s.User(), Password: secret.New(s.Password()),
		Prefix: fmt.Sprintf("%s%d", s.Prefix(), s.stores.Add(1)), AEAD: newAEAD(t), Now: clock(), Node: "test",
	}
}

func mustOpen(t testing.TB, o etcd.Options) *etcd.Store {
	t.Helper()
	s, err := etcd.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("step %d: %v", i+1, err)
		}
	}
}

// eventually waits until holds does.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// whenBack is what comes of a change once etcd can be reached.
func whenBack(t testing.TB, change func() error) (err error) {
	t.Helper()
	eventually(t, "etcd can be reached", func() bool {
		err = change()
		return !errors.Is(err, tokenstore.ErrUnavailable)
	})
	return err
}
