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
	"jiragate/tokenstore"
)

// NewTransport makes a transport whose every socket leaves by e for a
// connection: verified TLS of the baseline, by roots and the connection's own; no
// proxy whatever the environment says, no transparent compression. A nil roots
// means the system's. It is also what authorization servers must be called with
// (G8). The error is about the connection's CA certificates.
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

// transports keeps one transport a connection, so that no two customers ever
// share an upstream socket (threat H11). Its zero value is ready to use.
type transports struct {
	mu   sync.Mutex
	byID map[string]pooled
}

type pooled struct {
	*http.Transport
	incarnation uint64       // that it was made for: where it leads and whom it trusts
	inUse       egress.InUse // when its first socket was opened
	roots       *x509.CertPool
}

// of returns the transport of a connection, making it at first use, and anew
// when another connection has come into its place, when other egress addresses
// are in use, or other roots: no call may leave by a kept socket from a retired one, or
// to whom the new roots don't know.
func (ts *transports) of(c *tokenstore.Connection, e *egress.Egress, roots *x509.CertPool) (*http.Transport, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	p, ok := ts.byID[c.ID]
	inUse := e.InUse()
	if ok && p.incarnation == c.Incarnation && p.inUse == inUse && p.roots == roots {
		return p.Transport, nil
	}
	t, err := NewTransport(e, c, roots)
	if err != nil {
		return nil, err
	}
	if ok {
		p.CloseIdleConnections()
	}
	p = pooled{t, c.Incarnation, inUse, roots}
	if ts.byID == nil {
		ts.byID = make(map[string]pooled)
	}
	ts.byID[c.ID] = p
	return p.Transport, nil
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
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for id, p := range ts.byID {
		if _, ok := dir.Connection(id); !ok {
			p.CloseIdleConnections()
			delete(ts.byID, id)
		}
	}
}

// close closes what is idle.
func (ts *transports) close() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, p := range ts.byID {
		p.CloseIdleConnections()
	}
	ts.byID = nil
}
