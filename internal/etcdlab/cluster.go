package etcdlab

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Options are what a cluster is like. The zero Options are three members that keep what
// they have acknowledged and let anybody in who trusts their certificates.
type Options struct {
	// Members is 1 or 3; 0 is 3.
	Members int
	// Auth has etcd ask who comes: there is root, and [Cluster.User], who may read and
	// write below Prefix and nothing else.
	Auth bool
	// Prefix is where the user may be; empty is "/jiragate/".
	Prefix string
	// ClientCertificates has members refuse clients without a certificate of the lab's
	// authority. [Cluster.TLS] has one, [Cluster.ClientCertificate] its files.
	ClientCertificates bool
	// NoFsync has members not wait for the disk, which is much quicker. A member that
	// is killed still keeps what it has acknowledged, since the machine goes on.
	NoFsync bool
	// AutoCompaction is for how long members keep old revisions; 0 is forever. They
	// look every tenth of it.
	AutoCompaction time.Duration
}

const (
	clientPort    = 2379
	peerPort      = 2380
	egressPort    = 2381
	firstLinkPort = 2400

	patience = 60 * time.Second // for a cluster to be ready
)

// Cluster is a running cluster. It is safe for concurrent use, except for what takes a
// [testing.TB]: only the test's own goroutine may call that. What can't be done is an
// error of the test that started the cluster, which goes on.
type Cluster struct {
	t        testing.TB
	o        Options
	program  string
	pki      *authority
	members  []*Member
	password string // of the user
	root     string // password of root

	mu     sync.Mutex
	secure bool // etcd asks who comes
	links  int
}

const (
	userName = "gateway"
	rootName = "root"
)

// Start starts a cluster and returns when every member answers a linearizable read. The
// cluster ends with the test; if that has failed, the end of each member's log is shown.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	if o.Members == 0 {
		o.Members = 3
	}
	if o.Members != 1 && o.Members != 3 {
		t.Fatalf("etcdlab: a cluster of %d members: 1 and 3 are possible", o.Members)
	}
	if o.Prefix == "" {
		o.Prefix = "/jiragate/"
	}
	if err := supported(); err != nil {
		t.Fatalf("etcdlab: %v", err)
	}
	program, err := build(t.Context())
	if err != nil {
		t.Fatalf("etcdlab: %v", err)
	}
	c := &Cluster{t: t, o: o, program: program, password: rand.Text(), root: rand.Text()}
	if err := c.prepare(t.TempDir()); err != nil {
		t.Fatalf("etcdlab: %v", err)
	}
	for _, m := range c.members {
		m.run()
	}
	if !c.WaitReady() {
		t.FailNow()
	}
	if o.Auth {
		if err := c.enableAuth(); err != nil {
			t.Fatalf("etcdlab: make etcd's users: %v", err)
		}
	}
	return c
}

// prepare makes all that members need, in dir.
func (c *Cluster) prepare(dir string) error {
	var err error
	if c.pki, err = newAuthority(dir); err != nil {
		return err
	}
	if err := c.pki.issue(userName); err != nil {
		return err
	}
	network, proxies, err := claim(c.o.Members)
	if err != nil {
		return err
	}
	for i := range c.o.Members {
		m := &Member{c: c, index: i, host: hostOf(network, i), dir: dir}
		c.members = append(c.members, m)
		m.wires = make([]wire, c.o.Members)
		for j := range m.wires {
			m.wires[j].dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(m.host)}
		}
	}
	c.t.Cleanup(c.end)
	for i, m := range c.members {
		m.serveEgress(proxies[i])
	}
	for _, m := range c.members {
		if err := c.pki.issue(m.Name(), m.host, "127.0.0.1", m.peerName()); err != nil {
			return err
		}
	}
	return nil
}

// claim finds a network of which every address that members want is free, and takes it:
// while the listeners are open, no other cluster gets it.
func claim(members int) (network string, egress []net.Listener, err error) {
	const tries = 20
	for range tries {
		network = fmt.Sprintf("127.%d.%d", 1+mathrand.IntN(254), mathrand.IntN(256))
		if egress, err = listenAll(network, members); err == nil {
			return network, egress, nil
		}
	}
	return "", nil, fmt.Errorf("find free loopback addresses, in %d tries: %w; does something listen at port %d or %d of all addresses?", tries, err, clientPort, peerPort)
}

func listenAll(network string, members int) (egress []net.Listener, err error) {
	for i := range members {
		for _, port := range []int{egressPort, clientPort, peerPort} {
			l, e := net.Listen("tcp", net.JoinHostPort(hostOf(network, i), strconv.Itoa(port)))
			if e != nil {
				for _, l := range egress {
					err = errors.Join(err, l.Close())
				}
				return nil, errors.Join(err, e)
			}
			if port == egressPort {
				egress = append(egress, l)
			} else if err := l.Close(); err != nil {
				return nil, err
			}
		}
	}
	return egress, nil
}

func hostOf(network string, member int) string { return fmt.Sprintf("%s.%d", network, 11+member) }

// end ends everything.
func (c *Cluster) end() {
	for _, m := range c.members {
		m.Kill()
	}
	for _, m := range c.members {
		m.endEgress()
		if c.t.Failed() {
			c.t.Logf("the end of %s's log:\n%s", m.Name(), m.tail())
		}
	}
}

// Members returns all members, in order; whoever leads now may be another one later.
func (c *Cluster) Members() []*Member { return slices.Clone(c.members) }

// Endpoints returns the members' own addresses for clients, "host:port".
func (c *Cluster) Endpoints() []string {
	var all []string
	for _, m := range c.members {
		all = append(all, m.Endpoint())
	}
	return all
}

// CAFile returns the path of the certificate that clients must trust, in PEM form.
func (c *Cluster) CAFile() string { return c.pki.caFile() }

// ClientCertificate returns the paths of a certificate and its key, in PEM form, that
// members accept of clients. Its common name is the user's name, which is also who its
// bearer is to etcd if Auth is on and no password is sent.
func (c *Cluster) ClientCertificate() (certFile, keyFile string) { return c.pki.files(userName) }

// TLS returns what clients connect with.
func (c *Cluster) TLS() *tls.Config {
	name := ""
	if c.o.ClientCertificates {
		name = userName
	}
	config, err := c.pki.clientTLS(name)
	if err != nil {
		c.t.Errorf("etcdlab: %v", err)
	}
	return config
}

// Prefix returns below which keys the user may read and write.
func (c *Cluster) Prefix() string { return c.o.Prefix }

// User returns the name of the user that etcd knows, empty without Auth.
func (c *Cluster) User() string {
	if !c.o.Auth {
		return ""
	}
	return userName
}

// Password returns the user's password, empty without Auth.
func (c *Cluster) Password() string {
	if !c.o.Auth {
		return ""
	}
	return c.password
}

// WaitReady waits until every member that runs answers a linearizable read, and reports
// whether all do within a minute; if not, the test fails.
func (c *Cluster) WaitReady() bool {
	ready := make([]bool, len(c.members))
	var all sync.WaitGroup
	for i, m := range c.members {
		all.Go(func() { ready[i] = !m.Running() || m.WaitReady() })
	}
	all.Wait()
	for _, r := range ready {
		if !r {
			return false
		}
	}
	return true
}

// Leader returns the member that leads: that more than half of the members name as the
// leader of one and the same term, and that proves it with a linearizable read, which a
// leader without its peers can't. It waits for one; after a minute the test fails and the
// answer is nil.
func (c *Cluster) Leader() *Member {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for ctx.Err() == nil {
		if leader := c.leader(ctx); leader != nil && leader.read(ctx) == nil {
			return leader
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Errorf("etcdlab: no leader within %v: not enough members run and reach each other", patience)
	return nil
}

func (c *Cluster) leader(ctx context.Context) *Member {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	answers := make([]*clientv3.StatusResponse, len(c.members))
	var mu sync.Mutex
	var found *Member
	var all sync.WaitGroup
	for i, m := range c.members {
		all.Go(func() {
			status, err := m.status(ctx)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			answers[i] = status
			if l := agreed(answers); l >= 0 && found == nil {
				found = c.members[l]
				cancel() // a member that is paused need not answer
			}
		})
	}
	all.Wait()
	return found
}

// agreed returns which member leads according to most of them, -1 if none does. Those
// that have not answered are nil.
func agreed(answers []*clientv3.StatusResponse) int {
	type claim struct{ leader, term uint64 }
	votes := map[claim]int{}
	for _, a := range answers {
		if a != nil && a.Leader != 0 {
			votes[claim{a.Leader, a.RaftTerm}]++
		}
	}
	for who, n := range votes {
		for i, a := range answers {
			if n > len(answers)/2 && a != nil && a.Header.MemberId == who.leader {
				return i
			}
		}
	}
	return -1
}
