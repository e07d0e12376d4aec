package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jiragate/internal/netlab"
)

// Credentials with all that a URL, HTTP Basic and RFC 1929 have to carry.
const (
	proxyUser     = "token-5e1f ü"
	proxyPassword = "hunter2:9c4d/@,%?#"
)

// provider is a proxy, and the egress address that leads through it.
type provider struct {
	*netlab.Proxy
	address Address
	roots   *x509.CertPool
}

// login is whether a proxy asks for credentials, and what it is told.
type login string

const (
	noLogin login = "without credentials"
	known   login = "with credentials"
	wrong   login = "with the wrong credentials"
	missing login = "without the credentials it wants"
)

// provide runs a proxy of a scheme on l, which is seen as public. host is its name
// in the URL, or empty for its address.
func provide(t *testing.T, scheme ProxyScheme, public, host string, l net.Listener, as login, o netlab.ProxyOptions) *provider {
	t.Helper()
	p := &provider{}
	at := netip.MustParseAddrPort(l.Addr().String())
	if host == "" {
		host = at.Addr().String()
	}
	u := url.URL{Scheme: string(scheme), Host: net.JoinHostPort(host, strconv.Itoa(int(at.Port())))}
	if as != noLogin {
		o.Username, o.Password = proxyUser, proxyPassword
	}
	switch as {
	case known:
		u.User = url.UserPassword(proxyUser, proxyPassword)
	case wrong:
		u.User = url.UserPassword(proxyUser, proxyPassword+"x")
	}
	parsed, err := ParseProxy(u.String())
	if err != nil {
		t.Fatal(err)
	}
	p.address = Address{Public: netip.MustParseAddr(public), Proxy: parsed}
	switch scheme {
	case ProxyHTTP:
		p.Proxy = netlab.ServeConnect(l, o)
	case ProxySOCKS5:
		p.Proxy = netlab.ServeSOCKS5(l, o)
	case ProxyHTTPS:
		certificate, root := netlab.NewCertificate(t, host)
		p.roots = x509.NewCertPool()
		p.roots.AppendCertsFromPEM(root)
		p.Proxy = netlab.ServeConnect(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}}), o)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func loopbackListener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// newReal is an egress on the machine's own network, to loopback.
func newReal(t *testing.T, o Options) *Egress {
	t.Helper()
	if o.AllowPrivate == nil {
		o.AllowPrivate = open("127.0.0.0/8", "::1/128")
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// expectClosed waits until the proxy has no connection of a client any more.
func (p *provider) expectClosed(t *testing.T) {
	t.Helper()
	if !soon(func() bool { _, open := p.Connections(); return open == 0 }) {
		t.Error("the connection to the proxy is still open")
	}
}

// soon reports whether done comes to hold, on a machine however busy.
func soon(done func() bool) bool {
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// echoing is an upstream that sends back what it gets.
type echoing struct {
	at netip.AddrPort

	mu       sync.Mutex
	accepted int
}

func echo(t *testing.T, l net.Listener) *echoing {
	e := &echoing{}
	e.at, _ = netip.ParseAddrPort(l.Addr().String())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			e.mu.Lock()
			e.accepted++
			e.mu.Unlock()
			running.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return e
}

func (e *echoing) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.accepted
}

// expectEcho proves that conn is usable in both directions, and closes it.
func expectEcho(t *testing.T, conn net.Conn) {
	t.Helper()
	defer conn.Close()
	const said = "hello"
	if _, err := io.WriteString(conn, said); err != nil {
		t.Errorf("send: %v", err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	heard := make([]byte, len(said))
	if _, err := io.ReadFull(conn, heard); err != nil || string(heard) != said {
		t.Errorf("the upstream sends back %q, %v", heard, err)
	}
}

// names is a resolver that knows these names. It counts its lookups.
type names struct {
	known map[string][]string

	mu      sync.Mutex
	lookups int
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lookups++
	addrs, ok := n.known[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var parsed []netip.Addr
	for _, a := range addrs {
		parsed = append(parsed, netip.MustParseAddr(a))
	}
	return parsed, nil
}

// quiet is a log that may be written and read at the same time.
type quiet struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (q *quiet) Write(b []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.buffer.Write(b)
}

func (q *quiet) String() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.buffer.String()
}

func (q *quiet) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(q, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// expectNoCredentials fails the test if text holds the user name or the password in
// any form that they have on their way.
func expectNoCredentials(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{proxyUser, proxyPassword, "token-5e1f", "hunter2", url.QueryEscape(proxyPassword), url.UserPassword(proxyUser, proxyPassword).String(),
		base64.StdEncoding.EncodeToString([]byte(proxyUser + ":" + proxyPassword)), base64.StdEncoding.EncodeToString([]byte(proxyPassword)), "dG9rZW4t"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %q", secret, text)
		}
	}
}

// expectNoLeaks fails the test if goroutines or sockets are left when it and
// the cleanups that come after this call are over.
func expectNoLeaks(t *testing.T) {
	t.Helper()
	before, current := sockets(), goleak.IgnoreCurrent()
	collecting := debug.SetGCPercent(-1) // which would close what is forgotten
	t.Cleanup(func() {
		defer debug.SetGCPercent(collecting)
		if err := goleak.Find(current); err != nil {
			t.Error(err)
		}
		if !soon(func() bool { return sockets() <= before }) {
			t.Errorf("%d sockets are open, there were %d", sockets(), before)
		}
	})
}

// sockets counts the open ones; 0 where the system does not tell. Other
// descriptors come and go: io.Copy keeps pipes for later.
func sockets() int {
	count := 0
	files, _ := os.ReadDir("/proc/self/fd")
	for _, f := range files {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			count++
		}
	}
	return count
}

// kind is what a failed dial is to whoever asked for it.
type kind string

const (
	ofProxy    kind = "of the proxy"    // *ProxyError, so ErrUnavailable
	ofTarget   kind = "of its refusal"  // *ProxyError too, about one upstream
	ofUpstream kind = "of the upstream" // with an errno
	ofEither   kind = "of either"       // not known whose
)

// kindOf checks that an error is of one kind alone.
func kindOf(t *testing.T, err error) kind {
	t.Helper()
	proxied, isProxy := errors.AsType[*ProxyError](err)
	_, silent := errors.AsType[*silentError](err)
	switch unavailable := errors.Is(err, ErrUnavailable); {
	case isProxy != unavailable, isProxy && silent:
		t.Errorf("error %v: of the proxy %v, egress unavailable %v, silent %v", err, isProxy, unavailable, silent)
	case isProxy:
		if !strings.Contains(err.Error(), proxied.Proxy) {
			t.Errorf("error %v does not name the proxy", err)
		}
		if proxied.refused {
			return ofTarget
		}
		return ofProxy
	case silent:
		return ofEither
	}
	if network, ok := errors.AsType[*net.OpError](err); !ok || network.Op != "dial" {
		t.Errorf("error %v is not of a dial", err)
	}
	return ofUpstream
}
