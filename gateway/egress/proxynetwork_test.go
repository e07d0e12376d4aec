package egress

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Where the proxies of the tests are. They are seen as usEast and usWest are.
const (
	proxyEast = "10.9.0.1:3128"
	proxyWest = "10.9.0.2:3128"
)

var (
	eastByProxy = viaProxy("52.54.159.237", proxyEast)
	westByProxy = viaProxy("52.73.143.252", proxyWest)

	toProxyEast = attempt{"", proxyEast}
	toProxyWest = attempt{"", proxyWest}
)

func viaProxy(public, at string) Address {
	p := netip.MustParseAddrPort(at)
	return Address{Public: netip.MustParseAddr(public), Proxy: &Proxy{Scheme: ProxyHTTP, Host: p.Addr().String(), Port: p.Port()}}
}

// ask is a CONNECT that a proxy got.
type ask struct{ proxy, target string }

// proxyNetwork is a fakeNetwork in which HTTP proxies are whatever is not dialled
// from a local address. Of its attempts only the way to the proxy is one.
type proxyNetwork struct {
	fakeNetwork
	// answer is all that a proxy says before it hangs up; nil means 200.
	answer func(proxy, target string) string

	asking sync.Mutex
	asked  []ask
	conns  []*proxyConn
}

func newProxied(t *testing.T, n *proxyNetwork, o Options) *Egress {
	t.Helper()
	sys := n.system()
	direct := sys.connect
	sys.connect = func(ctx context.Context, local netip.Addr, target netip.AddrPort, check checkFunc) (net.Conn, error) {
		conn, err := direct(ctx, local, target, check)
		if err != nil || local.IsValid() {
			return conn, err
		}
		p := &proxyConn{network: n, at: target.String()}
		n.asking.Lock()
		defer n.asking.Unlock()
		n.conns = append(n.conns, p)
		return p, nil
	}
	e, err := newOn(sys, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// expectAsked compares with what all proxies were asked since the last call, in
// any order.
func (n *proxyNetwork) expectAsked(t *testing.T, want ...ask) {
	t.Helper()
	n.asking.Lock()
	defer n.asking.Unlock()
	got := n.asked
	n.asked = nil
	byName := func(a, b ask) int { return strings.Compare(a.proxy+a.target, b.proxy+b.target) }
	slices.SortFunc(got, byName)
	slices.SortFunc(want, byName)
	if !slices.Equal(got, want) {
		t.Errorf("the proxies were asked %v, want %v", got, want)
	}
}

// left counts the connections to proxies that are not closed.
func (n *proxyNetwork) left() int {
	n.asking.Lock()
	defer n.asking.Unlock()
	left := 0
	for _, c := range n.conns {
		if !c.closed {
			left++
		}
	}
	return left
}

// proxyConn is a connection to a proxy of a proxyNetwork, for one goroutine.
type proxyConn struct {
	network *proxyNetwork
	at      string
	sent    strings.Builder
	answer  io.Reader // nil until the request was read
	closed  bool
}

func (c *proxyConn) Write(b []byte) (int, error) { return c.sent.Write(b) }

func (c *proxyConn) Read(b []byte) (int, error) {
	if c.answer == nil {
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(c.sent.String())))
		if err != nil {
			return 0, err
		}
		c.network.asking.Lock()
		c.network.asked = append(c.network.asked, ask{c.at, request.Host})
		c.network.asking.Unlock()
		says := "HTTP/1.1 200 OK\r\n\r\n"
		if c.network.answer != nil {
			says = c.network.answer(c.at, request.Host)
		}
		c.answer = strings.NewReader(says)
	}
	return c.answer.Read(b)
}

func (c *proxyConn) Close() error {
	c.network.asking.Lock()
	defer c.network.asking.Unlock()
	c.closed = true
	return nil
}

func (c *proxyConn) LocalAddr() net.Addr              { return fakeAddr("10.9.0.9:40000") }
func (c *proxyConn) RemoteAddr() net.Addr             { return fakeAddr(c.at) }
func (c *proxyConn) SetDeadline(time.Time) error      { return nil }
func (c *proxyConn) SetReadDeadline(time.Time) error  { return nil }
func (c *proxyConn) SetWriteDeadline(time.Time) error { return nil }
