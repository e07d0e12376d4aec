package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options is what [New] needs: all of it.
type Options struct {
	// Dial opens a TCP connection. One that is a [syscall.Conn] is looked at for what
	// has come unasked by a system call, any other by a short wait.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is what is spoken, but for the server's name and the protocols offered.
	TLS *tls.Config
	// MaxConns bounds the sockets, MaxIdle those of them that are kept for calls to come.
	MaxConns, MaxIdle int
	// ConnTimeout bounds the wait for a connection, TLSTimeout the handshake,
	// HeaderTimeout the wait for the server to take a piece of the request, and then to
	// begin its answer. IdleTimeout is how long an idle connection is kept.
	ConnTimeout, TLSTimeout, HeaderTimeout, IdleTimeout time.Duration
	// MaxHeadBytes bounds an answer's head, 1xx answers included.
	MaxHeadBytes int64
	// PingAfter and PingTimeout find out that an HTTP/2 connection is dead.
	PingAfter, PingTimeout time.Duration
}

// ErrBusy ends a call that has waited for a connection for ConnTimeout. Nothing of it
// was sent.
var ErrBusy = errors.New("no connection to the server became free in time")

// maxTries bounds how often a request is sent.
const maxTries = 4

// Transport calls one server. It is safe for concurrent use.
type Transport struct {
	options Options
	buffers buffers

	mu   sync.Mutex
	pool atomic.Pointer[pool]
}

// New makes a Transport. It opens nothing.
func New(o Options) *Transport { return &Transport{options: o} }

// RoundTrip sends a request, and returns the answer once its head was read. It follows
// no redirect and decodes nothing. Ctx, not that of the request, ends it, the reading of
// the body included. Got is told of each connection that was had, as Dial returned it,
// before anything is sent by it; it is not called after RoundTrip has returned.
//
// The body of a request must have its length said, and be ready to be read. The body
// of an answer is a [Body]. It must be read to its end or closed.
func (t *Transport) RoundTrip(ctx context.Context, req *http.Request, got func(net.Conn)) (*http.Response, error) {
	p, err := t.poolFor(req.URL)
	if err != nil {
		return nil, err
	}
	m := message{request: req, buffers: &t.buffers}
	defer m.free()
	full := false
	var until time.Time
	for try := 1; ; try++ {
		at, err := p.acquire(ctx, full, &until)
		switch {
		case err != nil:
			return nil, err
		case at.http2:
			response, err := p.roundTripHTTP2(ctx, m.again(), got)
			if full = errors.Is(err, errNoStream); full {
				try--
				continue
			}
			return response, err
		}
		if err := m.build(); err != nil {
			p.giveBack(at.conn)
			return nil, err
		}
		if at.conn.used && !at.conn.fit(&m) {
			at.conn.drop()
			try-- // nothing was sent, and there is one less of these
			continue
		}
		response, again, err := at.conn.roundTrip(ctx, &m, got)
		if errors.Is(err, errStale) {
			try-- // the same
			continue
		}
		if err == nil || !again || try >= maxTries {
			return response, err
		}
	}
}

// CloseIdleConnections closes the connections that no call uses, and those that are
// in use as they become idle, until there is a call again.
func (t *Transport) CloseIdleConnections() {
	if p := t.pool.Load(); p != nil {
		p.closeIdle()
	}
}

// poolFor returns the connections to the server of u. There is one: should another be
// called, those to the first are given up.
func (t *Transport) poolFor(u *url.URL) (*pool, error) {
	if u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("call %q: only https is spoken", u.Redacted())
	}
	if p := t.pool.Load(); p != nil && p.authority == u.Host {
		return p, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.pool.Load()
	if old != nil && old.authority == u.Host {
		return old, nil
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	p := newPool(t, u.Host, u.Hostname(), net.JoinHostPort(u.Hostname(), port))
	t.pool.Store(p)
	if old != nil {
		go old.closeIdle()
	}
	return p, nil
}

// replayable reports whether a request may be sent twice (RFC 9110 section 9.2.2).
func replayable(r *http.Request) bool {
	return slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace}, r.Method) &&
		(r.Body == nil || r.Body == http.NoBody)
}

// buffers are used by one call after the other.
type buffers struct{ readers, requests sync.Pool }
