package etcdlab

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// enableAuth does what etcd's operations guide says: root first, then a role with
// nothing but its prefix, then the user with that role, and only then ask for them.
func (c *Cluster) enableAuth() error {
	client, err := c.open(context.Background(), c.Endpoints(), "", "")
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	steps := []struct {
		what string
		do   func() error
	}{
		{"add root", func() error { _, err := client.UserAdd(ctx, rootName, c.root); return err }},
		{"grant root its role", func() error { _, err := client.UserGrantRole(ctx, rootName, "root"); return err }},
		{"add the role", func() error { _, err := client.RoleAdd(ctx, userName); return err }},
		{"grant the role its prefix", func() error {
			_, err := client.RoleGrantPermission(ctx, userName, c.o.Prefix, clientv3.GetPrefixRangeEnd(c.o.Prefix), clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		}},
		{"add the user", func() error { _, err := client.UserAdd(ctx, userName, c.password); return err }},
		{"grant the user its role", func() error { _, err := client.UserGrantRole(ctx, userName, userName); return err }},
		{"enable authentication", func() error { _, err := client.AuthEnable(ctx); return err }},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	c.mu.Lock()
	c.secure = true
	c.mu.Unlock()
	if !c.WaitReady() { // a linearizable read comes after all that was changed before it
		return errors.New("not all members ask for users")
	}
	return nil
}

// Client returns a client of the cluster that is the user, if there is one, for the test
// itself: by the given endpoints, or all members' own. It is closed with the test. Its
// calls wait as long as their contexts let them.
func (c *Cluster) Client(t testing.TB, endpoints ...string) *clientv3.Client {
	t.Helper()
	return c.openFor(t, endpoints, c.User(), c.Password())
}

// Root returns a client like that of [Cluster.Client] that may do everything.
func (c *Cluster) Root(t testing.TB, endpoints ...string) *clientv3.Client {
	t.Helper()
	user, password := c.rootLogin()
	return c.openFor(t, endpoints, user, password)
}

func (c *Cluster) openFor(t testing.TB, endpoints []string, user, password string) *clientv3.Client {
	t.Helper()
	if len(endpoints) == 0 {
		endpoints = c.Endpoints()
	}
	client, err := c.open(context.Background(), endpoints, user, password)
	if err != nil {
		t.Fatalf("etcdlab: connect to %q: %v", endpoints, err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// open makes a client that lives as long as ctx. With a user it calls the cluster at
// once, otherwise when it is used.
func (c *Cluster) open(ctx context.Context, endpoints []string, user, password string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Context: ctx, Endpoints: endpoints, TLS: c.TLS(), Username: user, Password: password,
		DialTimeout: 5 * time.Second, Logger: zap.NewNop(),
		// gRPC's own first wait is a second, which is long for a test.
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 5 * time.Second,
		})},
	})
}

func (c *Cluster) rootLogin() (user, password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.secure {
		return "", ""
	}
	return rootName, c.root
}
