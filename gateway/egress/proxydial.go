package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/proxy"
)

// ProxyError is a failure of a provider's proxy itself, or of the way to it: the
// upstream was not asked. It matches [ErrUnavailable]. It holds no credentials.
type ProxyError struct {
	Proxy  string // scheme, host and port
	Detail string // what was attempted, and what to do about it
	Err    error  // the cause; may be nil
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
func (e *Egress) tunnelled(ctx context.Context, p *Proxy, target netip.AddrPort) (net.Conn, error) {
	conn, err := e.reachProxy(ctx, p)
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
	if !stop() && err == nil {
		err = &silentError{ctx.Err()}
	}
	if err != nil {
		conn.Close() // of no use to anybody
		return nil, err
	}
	return conn, nil
}

// reachProxy connects to the proxy, as far as TLS where it has that. The error is
// a *ProxyError.
func (e *Egress) reachProxy(ctx context.Context, p *Proxy) (net.Conn, error) {
	targets, err := e.proxyTargets(ctx, p)
	if err != nil {
		return nil, &ProxyError{p.String(), "its name could not be resolved", err}
	}
	check := func(actual netip.AddrPort) error { return e.judge.checkProxy(p.Host, actual) }
	var failed error
	for i, t := range targets {
		conn, err := e.connectShared(ctx, netip.Addr{}, t, check, len(targets)-i)
		if err != nil {
			failed = &ProxyError{p.String(), "no connection to it could be made", err}
			continue
		}
		if p.Scheme != ProxyHTTPS {
			return conn, nil
		}
		// TLS 1.2 at least, and no ALPN: what is spoken is HTTP/1.1.
		secured := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: p.Host, RootCAs: e.proxyRoots})
		if err := secured.HandshakeContext(ctx); err != nil {
			conn.Close() // never used
			failed = &ProxyError{p.String(), "its TLS could not be verified; a private CA goes into JIRAGATE_UPSTREAM_CA_FILE", err}
			continue
		}
		return secured, nil
	}
	return nil, failed
}

// proxyTargets resolves the proxy's own name. Its family is its own business.
func (e *Egress) proxyTargets(ctx context.Context, p *Proxy) ([]netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(p.Host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(addr, p.Port)}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	answers, err := e.resolver.LookupNetIP(ctx, "ip", p.Host)
	if err != nil {
		return nil, err
	}
	var targets []netip.AddrPort
	var refused error
	for _, addr := range answers[:min(len(answers), maxTargets)] {
		t := netip.AddrPortFrom(addr.Unmap(), p.Port)
		if err := e.judge.checkProxy(p.Host, t); err != nil {
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
	dialer, err := proxy.SOCKS5("tcp", p.authority(), auth, madeConn{conn})
	if err != nil {
		return &ProxyError{p.String(), "SOCKS5", err}
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
	if network, ok := errors.AsType[net.Error](err); ctx.Err() != nil || ok && network.Timeout() {
		return &silentError{err}
	}
	// The library's errors are its own words, and codes of the reply.
	return &ProxyError{p.String(), "SOCKS5 handshake failed; where it is about authentication, see to the credentials in JIRAGATE_EGRESS", errors.New(reason)}
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
		Err: fmt.Errorf("by the proxy's word: %w", errno),
	}
}

// madeConn is a dialer that has dialled already.
type madeConn struct{ conn net.Conn }

func (m madeConn) Dial(string, string) (net.Conn, error) { return m.conn, nil }

func (m madeConn) DialContext(context.Context, string, string) (net.Conn, error) {
	return m.conn, nil
}
