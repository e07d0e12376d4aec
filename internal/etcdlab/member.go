package etcdlab

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"jiragate/internal/netlab"
)

// Member is one member of a cluster. It is safe for concurrent use.
type Member struct {
	c      *Cluster
	index  int
	host   string // its address
	dir    string // where its data and log are
	egress *netlab.Proxy
	wires  []wire // to each member, by index; its own is unused

	cut bool // off from its peers, whatever they are; the cluster's mu guards it

	mu      sync.Mutex
	process *process // nil if it doesn't run
}

// process is one life of a member.
type process struct {
	cmd      *exec.Cmd
	exited   chan struct{}
	mu       sync.Mutex
	expected bool // to end
}

// Name returns its name in the cluster: m1, m2, m3.
func (m *Member) Name() string { return fmt.Sprintf("m%d", m.index+1) }

// Endpoint returns its own address for clients, "host:port".
func (m *Member) Endpoint() string { return net.JoinHostPort(m.host, strconv.Itoa(clientPort)) }

// peerName is what other members know it by; only the lab can tell where that is.
func (m *Member) peerName() string { return m.Name() + ".etcdlab.invalid" }

func (m *Member) peerURL() string { return fmt.Sprintf("https://%s:%d", m.peerName(), peerPort) }

func (m *Member) logFile() string { return filepath.Join(m.dir, m.Name()+".log") }

// Running reports whether it has a process, which may be paused.
func (m *Member) Running() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process != nil
}

// Kill ends it at once, with SIGKILL, and returns when it is gone. Its data stay.
func (m *Member) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process == nil {
		return
	}
	m.process.mu.Lock()
	m.process.expected = true
	m.process.mu.Unlock()
	_ = m.process.cmd.Process.Kill() // a process that is paused too
	<-m.process.exited
	m.process = nil
}

// Restart starts it again with its data, at its address; if it still runs, it is killed
// first. It doesn't wait for the member to be of use, see [Member.WaitReady]: without
// most of the others it never is.
func (m *Member) Restart() {
	m.Kill()
	m.run()
}

// Pause stops its process, with SIGSTOP: the kernel still accepts connections for it and
// keeps what is sent, and nothing is answered.
func (m *Member) Pause() { m.signal(pause) }

// Resume lets it go on, as if no time had passed for it.
func (m *Member) Resume() { m.signal(resume) }

func (m *Member) signal(s syscall.Signal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process == nil {
		m.c.t.Errorf("etcdlab: send %v to %s: it does not run", s, m.Name())
	} else if err := m.process.cmd.Process.Signal(s); err != nil {
		m.c.t.Errorf("etcdlab: send %v to %s: %v", s, m.Name(), err)
	}
}

// CutPeers cuts it off from the other members, in both directions and without a word.
// Clients still reach it.
func (m *Member) CutPeers() { m.setCut(true) }

// HealPeers ends what [Member.CutPeers] began. Connections of before are reset, so that
// members notice at once.
func (m *Member) HealPeers() { m.setCut(false) }

func (m *Member) setCut(cut bool) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.cut = cut
	for _, other := range m.c.members {
		if other == m {
			continue
		}
		for _, w := range []*wire{&m.wires[other.index], &other.wires[m.index]} {
			w.setCut(m.cut || other.cut)
			if !m.cut && !other.cut {
				w.reset()
			}
		}
	}
}

// serveEgress has the member reach others by their names, each over a wire of its own.
func (m *Member) serveEgress(l net.Listener) {
	m.egress = netlab.ServeConnect(l, netlab.ProxyOptions{Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
		name, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		for _, other := range m.c.members {
			if other.peerName() == name {
				return m.wires[other.index].dial(ctx, net.JoinHostPort(other.host, port))
			}
		}
		return nil, fmt.Errorf("%s is no member", name)
	}})
}

func (m *Member) endEgress() {
	if m.egress == nil {
		return
	}
	for i := range m.wires {
		m.wires[i].reset()
	}
	_ = m.egress.Close()
}

// run starts a process for it.
func (m *Member) run() {
	m.mu.Lock()
	defer m.mu.Unlock()
	log, err := os.OpenFile(m.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.c.t.Errorf("etcdlab: start %s: %v", m.Name(), err)
		return
	}
	p := &process{cmd: exec.Command(m.c.program, m.flags()...), exited: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = m.dir, log, log
	// Nothing of the test's environment: etcd takes flags from there, too.
	p.cmd.Env = []string{"HTTPS_PROXY=http://" + m.egress.Addr()}
	p.cmd.SysProcAttr = attributes()
	started := make(chan error, 1)
	go func() {
		defer close(p.exited)
		defer log.Close()
		// The death signal comes with the end of this thread (prctl(2), PR_SET_PDEATHSIG).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := p.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		err := p.cmd.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.expected {
			m.c.t.Errorf("etcdlab: %s has ended by itself: %v", m.Name(), err)
		}
	}()
	if err := <-started; err != nil {
		m.c.t.Errorf("etcdlab: start %s: %v", m.Name(), err)
		return
	}
	m.process = p
}

func (m *Member) flags() []string {
	c := m.c
	var cluster []string
	for _, other := range c.members {
		cluster = append(cluster, other.Name()+"="+other.peerURL())
	}
	client := "https://" + m.Endpoint()
	cert, key := c.pki.files(m.Name())
	flags := []string{
		"--name=" + m.Name(), "--data-dir=" + filepath.Join(m.dir, m.Name()),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		fmt.Sprintf("--listen-peer-urls=https://%s:%d", m.host, peerPort),
		"--initial-advertise-peer-urls=" + m.peerURL(),
		"--initial-cluster=" + strings.Join(cluster, ","), "--initial-cluster-state=new",
		// A member of another cluster that once was at this address stays a stranger.
		"--initial-cluster-token=" + c.members[0].host,
		// Quicker than etcd's own 100 and 1000 ms, and not so quick that a machine
		// with little time to spare loses its leader.
		"--heartbeat-interval=50", "--election-timeout=500",
		"--cert-file=" + cert, "--key-file=" + key,
		"--peer-cert-file=" + cert, "--peer-key-file=" + key, "--peer-trusted-ca-file=" + c.pki.caFile(),
		"--peer-client-cert-auth",
		fmt.Sprintf("--unsafe-no-fsync=%v", c.o.NoFsync),
		"--bcrypt-cost=4", // the least; passwords here are random
		"--log-level=warn", "--log-outputs=stderr",
	}
	if c.o.ClientCertificates { // the CA alone would ask for them already
		flags = append(flags, "--client-cert-auth", "--trusted-ca-file="+c.pki.caFile())
	}
	if c.o.AutoCompaction > 0 {
		flags = append(flags, "--auto-compaction-mode=periodic", "--auto-compaction-retention="+c.o.AutoCompaction.String())
	}
	return flags
}

// WaitReady waits until it answers a linearizable read, for which it needs most of the
// others, and reports whether it does within a minute; if not, the test fails.
func (m *Member) WaitReady() bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var last error
	for {
		if last = m.read(ctx); last == nil {
			return true
		}
		m.mu.Lock()
		p := m.process
		m.mu.Unlock()
		if p == nil {
			m.c.t.Errorf("etcdlab: wait for %s: it does not run", m.Name())
			return false
		}
		select {
		case <-p.exited:
			m.c.t.Errorf("etcdlab: wait for %s: it has ended", m.Name())
			return false
		case <-ctx.Done():
			m.c.t.Errorf("etcdlab: wait %v for %s to answer a read: %v", patience, m.Name(), last)
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// read makes one attempt at a linearizable read by this member alone.
func (m *Member) read(ctx context.Context) error {
	return m.ask(ctx, func(ctx context.Context, client *clientv3.Client) error {
		_, err := client.Get(ctx, m.c.o.Prefix)
		return err
	})
}

func (m *Member) status(ctx context.Context) (status *clientv3.StatusResponse, err error) {
	err = m.ask(ctx, func(ctx context.Context, client *clientv3.Client) error {
		status, err = client.Status(ctx, m.Endpoint())
		return err
	})
	return status, err
}

// ask makes one attempt at something, as root. A client of its own for each attempt
// waits for no backoff of the last one.
func (m *Member) ask(ctx context.Context, do func(context.Context, *clientv3.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	user, password := m.c.rootLogin()
	client, err := m.c.open(ctx, []string{m.Endpoint()}, user, password)
	if err != nil {
		return err
	}
	defer client.Close()
	return do(ctx, client)
}

// tail is the end of its log.
func (m *Member) tail() string {
	const lines = 20
	b, err := os.ReadFile(m.logFile())
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}
