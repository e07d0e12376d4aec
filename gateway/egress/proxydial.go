package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/proxy"

	"jiragate/certs/baseline"
)

// ProxyError is a failure of a provider's proxy itself, or of the way to it, or its
// refusal of one upstream: the upstream was not asked. It matches [ErrUnavailable].
// It holds no credentials.
type ProxyError struct {
	Proxy  string // scheme, host and port
	Detail string // what was attempted, and what to do about it
	Err    error  // the cause; may be nil

	// refused: the proxy works, and does not connect to this upstream. That is no
	// reason to keep others from it.
	refused bool
}

func (e *ProxyError) Error() string {
	text := "proxy " + e.Proxy + ": " + e.Detail
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap makes a ProxyError match ErrUnavailable, and its cause.
func (e *ProxyError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrUnavailable}
	}
	return []error{ErrUnavailable, e.Err}
}

// silentError is a proxy that did not answer in time, or hung up, after it was
// asked for an upstream: the fault of either of them.
type silentError struct{ err error }

func (e *silentError) Error() string {
	return "the proxy did not say whether it reached the upstream: " + e.err.Error()
}
func (e *silentError) Unwrap() error { return e.err }

// tunnelled asks the proxy p for a connection to target, which has been judged.
// The error is a *ProxyError, a *silentError, or what the proxy said of the
// upstream in the form of a failed connect(2).
func (w *ways) tunnelled(ctx context.Context, p *Proxy, target netip.AddrPort) (net.Conn, error) {
	conn, err := w.reachProxy(ctx, p)
	if err != nil {
		return nil, err
	}
	// What a handshake waits for ends with ctx.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	if p.Scheme == ProxySOCKS5 {
		err = askSOCKS5(ctx, conn, p, target)
	} else {
		err = askCONNECT(conn, p, target)
	}
	if _, silent := errors.AsType[*silentError](err); !stop() && err == nil || silent && ctx.Err() != nil {
		err = &silentError{ctx.Err()} // rather than the deadline's words
	}
	if err != nil {
		conn.Close() // of no use to anybody
		return nil, err
	}
	return conn, nil
}

// reachProxy connects to the proxy, as far as TLS where it has that. The error is
// a *ProxyError.
func (w *ways) reachProxy(ctx context.Context, p *Proxy) (net.Conn, error) {
	targets, err := w.proxyTargets(ctx, p)
	if err != nil {
		return nil, &ProxyError{Proxy: p.String(), Detail: "its name could not be resolved", Err: err}
	}
	for i, t := range targets {
		var conn net.Conn
		if conn, err = w.reachProxyAt(ctx, p, t, len(targets)-i); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// reachProxyAt is reachProxy at one address of the proxy, in its share of the time
// that ctx has left.
func (w *ways) reachProxyAt(ctx context.Context, p *Proxy, target netip.AddrPort, left int) (net.Conn, error) {
	ctx, cancel := share(ctx, left)
	defer cancel()
	check := func(actual netip.AddrPort) error { return w.judge.checkProxy(p.Host, actual) }
	conn, err := w.system.connect(ctx, netip.Addr{}, target, check)
	if err != nil {
		return nil, &ProxyError{Proxy: p.String(), Detail: "no connection to it could be made", Err: err}
	}
	if p.Scheme != ProxyHTTPS {
		return conn, nil
	}
	// No ALPN: what is spoken is HTTP/1.1.
	secured := tls.Client(conn, baseline.TLS(&tls.Config{ServerName: p.Host, RootCAs: w.proxyRoots}))
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close() // never used
		return nil, &ProxyError{Proxy: p.String(), Detail: "its TLS could not be verified; a private CA goes into JIRAGATE_UPSTREAM_CA_FILE", Err: err}
	}
	return secured, nil
}

// proxyTargets resolves the proxy's own name. Its family is its own business.
func (w *ways) proxyTargets(ctx context.Context, p *Proxy) ([]netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(p.Host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(addr, p.Port)}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	answers, err := w.resolver.LookupNetIP(ctx, "ip", p.Host)
	if err != nil {
		return nil, err
	}
	var targets []netip.AddrPort
	var refused error
	for _, addr := range answers[:min(len(answers), maxTargets)] {
		t := netip.AddrPortFrom(addr.Unmap(), p.Port)
		if err := w.judge.checkProxy(p.Host, t); err != nil {
			refused = err
			continue
		}
		targets = append(targets, t)
	}
	switch {
	case refused != nil && len(targets) == 0:
		return nil, refused
	case len(targets) == 0:
		return nil, errors.New("no address")
	}
	return targets, nil
}

// askSOCKS5 asks a SOCKS5 proxy at the end of conn for target.
func askSOCKS5(ctx context.Context, conn net.Conn, p *Proxy, target netip.AddrPort) error {
	var auth *proxy.Auth
	if !p.Username.IsZero() {
		auth = &proxy.Auth{User: p.Username.Reveal(), Password: p.Password.Reveal()}
	}
	talk := &socksTalk{Conn: conn}
	dialer, err := proxy.SOCKS5("tcp", p.authority(), auth, madeConn{talk})
	if err != nil {
		return &ProxyError{Proxy: p.String(), Detail: "SOCKS5", Err: err}
	}
	_, err = dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", target.String())
	if err == nil {
		return nil
	}
	// Its errors have no types, only the texts of the replies (RFC 1928, section 6).
	reason := innermostText(err)
	for text, errno := range map[string]syscall.Errno{
		"network unreachable": syscall.ENETUNREACH,
		"host unreachable":    syscall.EHOSTUNREACH,
		"connection refused":  syscall.ECONNREFUSED,
		"TTL expired":         syscall.ETIMEDOUT,
	} {
		if reason == "unknown error "+text {
			return upstreamFailed(target, errno)
		}
	}
	if talk.asked && (ctx.Err() != nil || hungUp(err)) {
		return &silentError{err}
	}
	if ctx.Err() != nil {
		return &ProxyError{Proxy: p.String(), Detail: "SOCKS5 handshake did not come to an end", Err: ctx.Err()}
	}
	if strings.HasPrefix(reason, "unknown error ") {
		return &ProxyError{Proxy: p.String(), Detail: "it refuses to connect", Err: errors.New(strings.TrimPrefix(reason, "unknown error ")), refused: true}
	}
	// The library's errors are its own words.
	return &ProxyError{Proxy: p.String(), Detail: "SOCKS5 handshake failed; where it is about authentication, see to the credentials in JIRAGATE_EGRESS", Err: errors.New(reason)}
}

// socksTalk notes whether the proxy was asked for an upstream yet: of what a client
// writes, the greeting and the request begin with the version, the credentials do
// not (RFC 1928, sections 3 and 4; RFC 1929, section 2).
type socksTalk struct {
	net.Conn
	greeted, asked bool
}

func (s *socksTalk) Write(b []byte) (int, error) {
	if len(b) > 0 && b[0] == 5 {
		s.asked, s.greeted = s.greeted, true
	}
	return s.Conn.Write(b)
}

// hungUp reports whether err is the other end's falling silent or leaving.
func hungUp(err error) bool {
	network, ok := errors.AsType[net.Error](err)
	return ok && network.Timeout() || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// innermostText is the text of the error at the bottom of err, which leaves the
// addresses around it out.
func innermostText(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return strings.TrimSpace(err.Error())
		}
		err = inner
	}
}

// upstreamFailed is what a proxy says of an upstream, in the form that a connect
// of our own would have.
func upstreamFailed(target netip.AddrPort, errno syscall.Errno) error {
	return &net.OpError{
		Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(target),
		Err: os.NewSyscallError("connect, by the proxy's word", errno), // which knows a timeout
	}
}

// madeConn is a dialer that has dialled already.
type madeConn struct{ conn net.Conn }

func (m madeConn) Dial(string, string) (net.Conn, error) { return m.conn, nil }

func (m madeConn) DialContext(context.Context, string, string) (net.Conn, error) {
	return m.conn, nil
}
