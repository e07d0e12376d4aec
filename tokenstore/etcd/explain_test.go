package etcd_test

import (
	"crypto/x509"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"jiragate/internal/etcdlab"
	"jiragate/tokenstore"
	"jiragate/tokenstore/etcd"
	"jiragate/tokenstore/records"
	"jiragate/tokenstore/secret"
)

// Who can't reach etcd is told what to look at, although etcd's client knows of nothing but
// the time that has passed.
func TestWhyEtcdCannotBeReached(t *testing.T) {
	cluster := etcdlab.Start(t, etcdlab.Options{Auth: true, NoFsync: true, ClientCertificates: true})
	options := func() etcd.Options {
		return etcd.Options{
			Endpoints: cluster.Endpoints(), TLS: cluster.TLS(), Username: cluster.User(), Password: secret.New(cluster.Password()),
			Prefix: cluster.Prefix() + "1", AEAD: newAEAD(t), Now: clock(), Node: "test",
		}
	}
	nobody := "127.0.0.1:1"
	other := httptest.NewTLSServer(nil)
	defer other.Close()
	_, port, _ := strings.Cut(other.Listener.Addr().String(), ":")
	var all sync.WaitGroup // each waits for etcd's client to give up
	for name, test := range map[string]struct {
		spoil func(*etcd.Options)
		want  string
		away  bool
	}{
		"wrong CA":              {func(o *etcd.Options) { o.TLS.RootCAs = x509.NewCertPool() }, "check the CA certificates of the store", true},
		"no client certificate": {func(o *etcd.Options) { o.TLS.Certificates = nil }, "check the client certificate of the store", true},
		"wrong name": {func(o *etcd.Options) {
			o.Endpoints = []string{"localhost:" + port}
			o.TLS.RootCAs.AddCert(other.Certificate())
		}, "name members as their certificates do", true},
		"nobody there": {func(o *etcd.Options) { o.Endpoints = []string{nobody} }, "connecting to " + nobody + ": dial tcp", true},
		"one is down, and the CA is wrong": {func(o *etcd.Options) {
			o.Endpoints = append([]string{nobody}, o.Endpoints...)
			o.TLS.RootCAs = x509.NewCertPool()
		}, "check the CA certificates of the store", true},
		"wrong password": {func(o *etcd.Options) { o.Password = secret.New("wrong") }, "check the user and password of the store", false},
	} {
		o := options()
		test.spoil(&o)
		check := func(what string, err error) {
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, tokenstore.ErrUnavailable) != test.away {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		all.Go(func() {
			_, err := etcd.Exists(t.Context(), o)
			check("looking for a store", err)
		})
		all.Go(func() {
			_, err := etcd.OpenTarget(o)
			check("moving a store there", err)
		})
	}
	all.Wait()

	members := cluster.Members()
	members[1].Kill()
	members[2].Kill()
	_, err := etcd.Exists(t.Context(), options())
	if !errors.Is(err, tokenstore.ErrUnavailable) || !strings.Contains(err.Error(), "connecting to "+members[1].Endpoint()) {
		t.Errorf("without a majority: %v", err)
	}
}

// So is who comes without a user where etcd asks for one.
func TestEtcdWantsAUser(t *testing.T) {
	cluster := etcdlab.Start(t, etcdlab.Options{Members: 1, Auth: true, NoFsync: true})
	o := etcd.Options{Endpoints: cluster.Endpoints(), TLS: cluster.TLS(), Prefix: cluster.Prefix() + "1"}
	if _, err := etcd.Exists(t.Context(), o); err == nil || !strings.Contains(err.Error(), "check the user and password of the store") {
		t.Errorf("looking for a store: %v", err)
	}
	target, err := etcd.OpenTarget(o)
	must(t, err)
	defer target.Close()
	if _, _, err := target.Begin(t.Context(), records.Mark{}); err == nil || !strings.Contains(err.Error(), "check the user and password of the store") {
		t.Errorf("moving a store there: %v", err)
	}
}

// A store is found although members are just electing a leader, who refuse what has waited for
// one.
func TestElectionWhileConnecting(t *testing.T) {
	site := newSite(t)
	o := site.options(t)
	members := site.Members()
	members[1].Kill()
	members[2].Kill()
	done := make(chan error)
	go func() {
		_, err := etcd.Exists(t.Context(), o)
		done <- err
	}()
	members[1].Restart()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
