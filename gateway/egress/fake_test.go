package egress

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// The two addresses of the tests. Connection "initech" prefers usEast, "acme"
// prefers usWest, see TestRankIsTheSameInEveryRelease.
var (
	usEast = address("52.54.159.237", "10.0.0.5")
	usWest = address("52.73.143.252", "10.0.0.6")
)

// attempt is one call of system.connect.
type attempt struct{ local, target string }

// fakeNetwork stands for the network and notes who was asked for. Its
// functions say what fails; nil is success.
type fakeNetwork struct {
	onConnect  func(ctx context.Context, a attempt) error
	onBindable func(local netip.Addr) error
	source     string // where sockets really leave from, if not where they should

	mu       sync.Mutex
	attempts []attempt
}

func (n *fakeNetwork) system() system {
	return system{
		connect: n.connect,
		bindable: func(local netip.Addr) error {
			if n.onBindable == nil {
				return nil
			}
			return n.onBindable(local)
		},
		interfaces: func() ([]net.Addr, error) { return nil, nil },
	}
}

func (n *fakeNetwork) connect(ctx context.Context, local netip.Addr, target netip.AddrPort, check checkFunc) (net.Conn, error) {
	if err := check(target); err != nil {
		return nil, err
	}
	a := attempt{target: target.String()}
	if local.IsValid() {
		a.local = local.String()
	}
	n.mu.Lock()
	n.attempts = append(n.attempts, a)
	n.mu.Unlock()
	if n.onConnect != nil {
		if err := n.onConnect(ctx, a); err != nil {
			return nil, err
		}
	}
	source := n.source
	if source == "" {
		source = netip.AddrPortFrom(local, 40000).String()
	}
	return &fakeConn{source: source}, nil
}

// made returns the attempts since the last call.
func (n *fakeNetwork) made() []attempt {
	n.mu.Lock()
	defer n.mu.Unlock()
	made := n.attempts
	n.attempts = nil
	return made
}

func (n *fakeNetwork) expect(t *testing.T, want ...attempt) {
	t.Helper()
	if got := n.made(); !slices.Equal(got, want) {
		t.Errorf("attempts %v, want %v", got, want)
	}
}

type fakeConn struct {
	net.Conn
	source string
	closed bool
}

func (c *fakeConn) LocalAddr() net.Addr { return fakeAddr(c.source) }
func (c *fakeConn) Close() error        { c.closed = true; return nil }

type fakeAddr string

func (fakeAddr) Network() string  { return "tcp" }
func (a fakeAddr) String() string { return string(a) }

// resolverFunc answers lookups.
type resolverFunc func(ctx context.Context, network, host string) ([]netip.Addr, error)

func (f resolverFunc) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return f(ctx, network, host)
}

// answers is a resolver that always gives the same addresses.
func answers(addrs ...string) Resolver {
	var parsed []netip.Addr
	for _, a := range addrs {
		parsed = append(parsed, netip.MustParseAddr(a))
	}
	return resolverFunc(func(context.Context, string, string) ([]netip.Addr, error) { return parsed, nil })
}

// failing returns the error of a system call as the net package gives it.
func failing(call string, errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError(call, errno)}
}

func newFake(t *testing.T, n *fakeNetwork, o Options) *Egress {
	t.Helper()
	e, err := newOn(n.system(), o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// open lists networks that are open to every connection.
func open(cidrs ...string) []PrivateNetwork {
	var networks []PrivateNetwork
	for _, c := range cidrs {
		networks = append(networks, PrivateNetwork{Prefix: netip.MustParsePrefix(c)})
	}
	return networks
}
