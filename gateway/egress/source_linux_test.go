package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// On Linux the whole of 127.0.0.0/8 is on the loopback interface, so these
// tests have real source addresses to choose from.

var (
	loopback2 = address("52.54.159.237", "127.0.0.2")
	loopback3 = address("52.73.143.252", "127.0.0.3")
)

// upstream is a real listener that notes the source of each connection.
func upstream(t *testing.T, listen string) (netip.AddrPort, <-chan netip.Addr) {
	t.Helper()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	sources := make(chan netip.Addr, 16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			sources <- netip.MustParseAddrPort(conn.RemoteAddr().String()).Addr()
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return netip.MustParseAddrPort(l.Addr().String()), sources
}

func TestUpstreamSeesTheEgressAddress(t *testing.T) {
	addr, sources := upstream(t, "127.0.0.1:0")
	e := newReal(t, Options{Addresses: []Address{loopback2, loopback3}})
	for connection, want := range map[string]Address{"initech": loopback2, "demo-dc": loopback2, "acme": loopback3, "umbrella": loopback3} {
		for range 2 {
			conn, err := e.DialContext(t.Context(), connection, "tcp", addr.String())
			if err != nil {
				t.Fatal(err)
			}
			if got := <-sources; got != want.Local {
				t.Errorf("%s came from %s, want %s", connection, got, want.Local)
			}
			if got := conn.(*Conn).PublicIP(); got != want.Public.String() {
				t.Errorf("%s says it came from %s, want %s", connection, got, want.Public)
			}
			if got := conn.RemoteAddr().String(); got != addr.String() {
				t.Errorf("%s reached %s, want %s", connection, got, addr)
			}
			conn.Close()
		}
	}
}

func TestUpstreamOverIPv6(t *testing.T) {
	addr, sources := upstream(t, "[::1]:0")
	e := newReal(t, Options{Addresses: []Address{address("2600:1f18::5", "::1")}})
	conn, err := e.DialContext(t.Context(), "acme", "tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := <-sources; got != netip.IPv6Loopback() {
		t.Errorf("came from %s", got)
	}
}

func TestUnpinnedReachesUpstream(t *testing.T) {
	addr, sources := upstream(t, "127.0.0.1:0")
	conn, err := newReal(t, Options{}).DialContext(t.Context(), "acme", "tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	<-sources
}

func TestConnCarriesTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.RemoteAddr)
	}))
	defer server.Close()
	e := newReal(t, Options{Addresses: []Address{loopback2}})
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return e.DialContext(ctx, "acme", network, address)
	}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || !strings.HasPrefix(string(body), "127.0.0.2:") {
		t.Errorf("upstream saw %q, %v", body, err)
	}
}

func TestSocketOptions(t *testing.T) {
	addr, _ := upstream(t, "127.0.0.1:0")
	conn, err := newReal(t, Options{Addresses: []Address{loopback2}}).DialContext(t.Context(), "acme", "tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*Conn).Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name          string
		level, option int
		want          int
	}{
		{"IP_BIND_ADDRESS_NO_PORT", unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1},
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(keepAliveIdle / time.Second)},
		{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(keepAliveInterval / time.Second)},
		{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveCount},
		{"SO_PROTOCOL, not Multipath TCP", unix.SOL_SOCKET, unix.SO_PROTOCOL, unix.IPPROTO_TCP},
	}
	for _, test := range tests {
		var got int
		var failed error
		if err := raw.Control(func(fd uintptr) { got, failed = unix.GetsockoptInt(int(fd), test.level, test.option) }); err != nil {
			t.Fatal(err)
		}
		if failed != nil || got != test.want {
			t.Errorf("%s is %d, %v; want %d", test.name, got, failed, test.want)
		}
	}
}

// A real bind failure, as the kernel reports it.
func TestFailoverWhenAnAddressLeavesTheMachine(t *testing.T) {
	addr, sources := upstream(t, "127.0.0.1:0")
	sys := hostSystem()
	sys.bindable = func(netip.Addr) error { return nil } // it was there at the start
	e, err := newOn(sys, Options{
		Addresses:    []Address{address("52.54.159.237", "203.0.113.9"), loopback3},
		AllowPrivate: open("127.0.0.0/8"),
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := e.DialContext(t.Context(), "initech", "tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := <-sources; got != loopback3.Local {
		t.Errorf("came from %s, want %s", got, loopback3.Local)
	}

	e, err = newOn(sys, Options{Addresses: []Address{address("52.54.159.237", "203.0.113.9")}, AllowPrivate: open("127.0.0.0/8")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.DialContext(t.Context(), "initech", "tcp", addr.String()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want %v", err, ErrUnavailable)
	}
	if len(sources) != 0 {
		t.Errorf("a connection from %s got through", <-sources)
	}
}

func TestRefusedByUpstream(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	e := newReal(t, Options{Addresses: []Address{loopback2, loopback3}})
	if _, err := e.DialContext(t.Context(), "acme", "tcp", l.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want %v", err, syscall.ECONNREFUSED)
	}
}

func TestNewRefusesAnAddressOfAnotherMachine(t *testing.T) {
	_, err := New(Options{Addresses: []Address{loopback2, address("52.73.143.252", "203.0.113.9")}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"52.73.143.252=203.0.113.9", "203.0.113.9 is not on this machine", "ip address add"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not contain %q", err, part)
		}
	}
}

// Settings that would send everything through a proxy in other programs.
func TestProxyEnvironmentIsIgnored(t *testing.T) {
	proxy, proxied := upstream(t, "127.0.0.1:0")
	addr, sources := upstream(t, "127.0.0.1:0")
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, "http://"+proxy.String())
	}
	t.Setenv("NO_PROXY", "")
	e := newReal(t, Options{Addresses: []Address{loopback2}, Resolver: answers("127.0.0.1")})
	conn, err := e.DialContext(t.Context(), "acme", "tcp", net.JoinHostPort("jira.acme.com", addr.String()[len("127.0.0.1:"):]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := <-sources; got != loopback2.Local {
		t.Errorf("came from %s", got)
	}
	if len(proxied) != 0 {
		t.Error("the proxy was used")
	}
}

func TestAddressesIsACopy(t *testing.T) {
	e := newReal(t, Options{Addresses: []Address{loopback2, loopback3}})
	e.Addresses()[0] = Address{}
	if got := e.Addresses(); !slices.Equal(got, []Address{loopback2, loopback3}) {
		t.Errorf("addresses %v", got)
	}
	if err := e.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// A connection whose peer is silent is given up by the kernel in time.
func TestSilenceIsBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, local := range map[string]netip.Addr{"pinned": netip.MustParseAddr("127.0.0.2"), "unpinned": {}} {
		conn, err := connectTCP(t.Context(), local, netip.MustParseAddrPort(l.Addr().String()), func(netip.AddrPort) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var got int
		if err := raw.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) }); err != nil {
			t.Fatal(err)
		}
		if err != nil || got != int(userTimeout.Milliseconds()) {
			t.Errorf("%s: TCP_USER_TIMEOUT is %d ms, %v", name, got, err)
		}
	}
}
