package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"jiragate/certs/baseline"
	"jiragate/gateway/egress"
	"jiragate/gateway/upstream"
	"jiragate/tokenstore"
)

// NewTransport makes a transport whose every socket leaves by e for a
// connection: verified TLS of the baseline, by roots and the connection's own; no
// proxy whatever the environment says, no transparent compression. A nil roots
// means the system's. It is what authorization servers must be called with (G8); calls
// go by transports. The error is about the connection's CA certificates.
func NewTransport(e *egress.Egress, c *tokenstore.Connection, roots *x509.CertPool) (*http.Transport, error) {
	roots, err := withRoots(roots, c.UpstreamCA)
	if err != nil {
		return nil, fmt.Errorf("read the CA certificates of connection %s: %w", c.ID, err)
	}
	return newTransport(e, c.ID, roots, pings{upstreamPingAfter, upstreamPingTimeout}), nil
}

// pings say how a dead HTTP/2 connection is found out: without them it would
// be used until the kernel gives it up, a quarter of an hour later.
type pings struct{ after, timeout time.Duration }

func newTransport(e *egress.Egress, connection string, roots *x509.CertPool, p pings) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		Proxy: nil,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return e.DialContext(ctx, connection, network, address)
		},
		TLSClientConfig: baseline.TLS(&tls.Config{
			RootCAs:            roots,
			ClientSessionCache: tls.NewLRUClientSessionCache(8),
		}),
		Protocols:              protocols,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: p.after, PingTimeout: p.timeout, WriteByteTimeout: p.after + p.timeout},
		DisableCompression:     true,
		TLSHandshakeTimeout:    upstreamTLSTimeout,
		ResponseHeaderTimeout:  upstreamHeaderTimeout,
		IdleConnTimeout:        upstreamKeepAlive,
		MaxConnsPerHost:        maxUpstreamConns,
		MaxIdleConnsPerHost:    maxIdleUpstreamConns,
		MaxIdleConns:           maxIdleUpstreamConns,
		MaxResponseHeaderBytes: maxResponseHeadBytes,
	}
}

// newUpstream makes the way to a connection's Jira for calls.
func newUpstream(e *egress.Egress, c *tokenstore.Connection, roots *x509.CertPool, p pings) (*upstream.Transport, error) {
	roots, err := withRoots(roots, c.UpstreamCA)
	if err != nil {
		return nil, fmt.Errorf("read the CA certificates of connection %s: %w", c.ID, err)
	}
	connection := c.ID
	return upstream.New(upstream.Options{
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return e.DialContext(ctx, connection, network, address)
		},
		TLS: baseline.TLS(&tls.Config{
			RootCAs:            roots,
			ClientSessionCache: tls.NewLRUClientSessionCache(8),
		}),
		MaxConns:      maxUpstreamConns,
		MaxIdle:       maxIdleUpstreamConns,
		ConnTimeout:   upstreamConnTimeout,
		TLSTimeout:    upstreamTLSTimeout,
		HeaderTimeout: upstreamHeaderTimeout,
		IdleTimeout:   upstreamKeepAlive,
		MaxHeadBytes:  maxResponseHeadBytes,
		PingAfter:     p.after,
		PingTimeout:   p.timeout,
	}), nil
}

// transports keeps one transport a connection, so that no two customers ever
// share an upstream socket (threat H11). Its zero value is ready to use.
type transports struct {
	byID sync.Map   // from string to *pooled
	mu   sync.Mutex // for changes
}

type pooled struct {
	*upstream.Transport
	incarnation uint64       // that it was made for: where it leads and whom it trusts
	inUse       egress.InUse // when its first socket was opened
	roots       *x509.CertPool
}

// of returns the transport of a connection, making it at first use, and anew
// when another connection has come into its place, when other egress addresses
// are in use, or other roots: no call may leave by a kept socket from a retired one, or
// to whom the new roots don't know.
func (ts *transports) of(c *tokenstore.Connection, e *egress.Egress, roots *x509.CertPool) (*upstream.Transport, error) {
	inUse := e.InUse()
	fits := func() *pooled {
		if known, ok := ts.byID.Load(c.ID); ok {
			if p := known.(*pooled); p.incarnation == c.Incarnation && p.inUse == inUse && p.roots == roots {
				return p
			}
		}
		return nil
	}
	if p := fits(); p != nil {
		return p.Transport, nil
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if p := fits(); p != nil {
		return p.Transport, nil
	}
	t, err := newUpstream(e, c, roots, pings{upstreamPingAfter, upstreamPingTimeout})
	if err != nil {
		return nil, err
	}
	if old, ok := ts.byID.Swap(c.ID, &pooled{t, c.Incarnation, inUse, roots}); ok {
		old.(*pooled).CloseIdleConnections()
	}
	return t, nil
}

// withRoots adds a connection's own roots to those of the gateway.
func withRoots(roots *x509.CertPool, pem string) (*x509.CertPool, error) {
	if pem == "" {
		return roots, nil
	}
	if roots == nil {
		var err error
		if roots, err = x509.SystemCertPool(); err != nil {
			return nil, err
		}
	}
	roots = roots.Clone()
	if !roots.AppendCertsFromPEM([]byte(pem)) {
		return nil, fmt.Errorf("no certificate in PEM form")
	}
	return roots, nil
}

// keep drops the transports of connections that are no more.
func (ts *transports) keep(dir *tokenstore.Directory) {
	ts.drop(func(id string) bool {
		_, ok := dir.Connection(id)
		return !ok
	})
}

// close closes what is idle.
func (ts *transports) close() { ts.drop(func(string) bool { return true }) }

func (ts *transports) drop(gone func(id string) bool) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for id, p := range ts.byID.Range {
		if gone(id.(string)) {
			p.(*pooled).CloseIdleConnections()
			ts.byID.Delete(id)
		}
	}
}
