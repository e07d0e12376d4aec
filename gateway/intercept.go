package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"jiragate/gateway/limit"
	"jiragate/tokenstore"
)

// tunnels holds what all intercepted tunnels share: one TLS configuration for each
// root, so that sessions resume, and the counts that bound them.
type tunnels struct {
	gateway *Gateway
	tls     atomic.Pointer[insideTLS] // made when it is needed
	// noHTTP2 is set while HTTP/2 connections are brought to their end.
	noHTTP2 atomic.Bool

	places *limit.Places

	mu   sync.Mutex
	open map[*tunnel]bool // true while shaking hands
}

func newTunnels(g *Gateway) *tunnels {
	return &tunnels{gateway: g, open: make(map[*tunnel]bool), places: limit.NewPlaces(limit.PlacesOptions{
		Total: g.options.Limits.fitting(maxTunnels, tunnelMemory, memoryOfTunnels), Each: maxTunnelsPerClient,
	})}
}

// arrived says that t has shaken hands.
func (ts *tunnels) arrived(t *tunnel) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if _, ok := ts.open[t]; ok {
		ts.open[t] = false
	}
}

// abandon ends handshakes.
func (ts *tunnels) abandon() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for t, handshaking := range ts.open {
		if handshaking {
			_ = t.raw.Close()
		}
	}
}

// cut closes all tunnels.
func (ts *tunnels) cut() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for t := range ts.open {
		_ = t.raw.Close()
	}
}

// reserve takes a place for t, or says that there is none.
func (ts *tunnels) reserve(t *tunnel) *refusal {
	place, err := ts.places.Take(context.Background(), t.identity.client.Name, 1) // waits for nothing
	if err != nil {
		detail := "The gateway has as many tunnels open as it may. Try again shortly."
		if full, ok := errors.AsType[*limit.Full](err); ok && full.Own {
			detail = "The client has its share of tunnels open. Reuse or close some."
		}
		return limited(limitTunnels, CodeTunnelLimit, detail, busyRetry)
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t.place = place
	ts.open[t] = true
	return nil
}

func (ts *tunnels) release(t *tunnel) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.open, t)
	t.place.Release()
}

// tunnel is one CONNECT: who opened it and the one authority that requests
// inside may name. It is also the connection below the tunnel's TLS.
type tunnel struct {
	net.Conn           // the client's, after CONNECT
	raw       net.Conn // the same, never wrapped
	tunnels   *tunnels
	gateway   *Gateway
	identity  identity
	authority authority
	from      *origin       // the connection that CONNECT came by
	connect   *http.Request // nil once it has shaken hands
	opened    Connect       // what is left of it then
	place     *limit.Hold
	shut      sync.Once

	mu     sync.Mutex
	reason *refusal // why the handshake failed, where the gateway knows
}

// openTunnel decides whether a CONNECT may have its tunnel. If not, it
// answers and closes conn, and returns nil.
func (g *Gateway) openTunnel(r *http.Request, conn net.Conn) *tunnel {
	c := g.newCall(r, doorConnect)
	_, end := g.startSpan(c)
	defer end()
	conn = unframed(conn)
	t := &tunnel{Conn: conn, raw: conn, tunnels: g.tunnels, gateway: g, from: c.origin, connect: r}
	refused := g.admitTunnel(c, t)
	if refused == nil {
		return t
	}
	defer conn.Close()
	g.refuse(&rawResponse{conn: conn, header: make(http.Header)}, c, refused)
	return nil
}

func (g *Gateway) admitTunnel(c *Call, t *tunnel) (refused *refusal) {
	if c.origin.moved { // it was let in before: others' tries and a moment without memory don't cut it
		c.identity, refused = identify(g.directory(), c.in, c.origin.certificates())
	} else {
		c.identity, refused = g.identified(c)
	}
	t.identity = c.identity
	c.record.Client = c.client()
	if refused != nil {
		return refused
	}
	if g.bounds.memory.Short() && !c.origin.moved {
		return overloaded()
	}
	var err error
	if t.authority, err = parseAuthority(c.in.RequestURI, ""); err != nil {
		return refuse(CodeRequestMalformed, "The target of CONNECT must be host:port: "+err.Error()+".")
	}
	c.target.authority = t.authority
	s := g.resolver()
	if chosen := c.identity.chosen; chosen != "" && !s.granted(c.identity.client, chosen) {
		return notGranted()
	}
	if refused := s.reachable(c.identity.client, t.authority); refused != nil {
		return refused
	}
	return g.tunnels.reserve(t)
}

// origin is that of the requests inside.
func (t *tunnel) origin() *origin {
	return &origin{peer: t.from.peer, private: true, moved: t.from.moved, tunnel: t, life: t.gateway.bounds.newLife()}
}

// renew looks the tunnel's client up again.
func (t *tunnel) renew(dir *tokenstore.Directory) (identity, *refusal) {
	return t.identity.renew(dir, t.from.certificates())
}

// Close gives the tunnel's place back.
func (t *tunnel) Close() error {
	t.shut.Do(func() { t.tunnels.release(t) })
	return t.raw.Close()
}

// checkName holds the server name of the handshake to the tunnel's authority.
func (t *tunnel) checkName(serverName string) error {
	if serverName == "" {
		return nil
	}
	if a, err := parseAuthority(serverName, "443"); err == nil && a.host() == t.authority.host() {
		return nil
	}
	r := refuse(CodeAuthorityMismatch, "The TLS server name is not the host of the CONNECT request.")
	t.mu.Lock()
	t.reason = r
	t.mu.Unlock()
	return r
}

// intercept answers CONNECT, shakes hands with the client as the host it
// wants, and hands the decrypted connection to the inside server.
func (t *tunnel) intercept() {
	if err := t.handshake(); err != nil {
		_ = t.Close()
		t.fail(err)
	}
}

func (t *tunnel) handshake() error {
	_ = t.Conn.SetDeadline(time.Now().Add(readHeadTimeout))
	if _, err := t.Conn.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		return err
	}
	// The first byte tells TLS (RFC 8446 section 5.1: handshake is 22) from
	// what would otherwise leave as plain text.
	first := make([]byte, helloBytes)
	n, err := t.Conn.Read(first)
	if err != nil {
		return err
	}
	if first[0] != 22 {
		_, _ = t.Conn.Write([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
		return refuse(CodeTunnelNotTLS, "Speak TLS inside the tunnel; there are no raw tunnels.")
	}
	early := &earlyConn{Conn: t.Conn, early: first[:n]}
	t.Conn = early
	tc := tls.Server(t, t.tunnels.config())
	if err := shake(t.gateway.bounds.handshakes, limitHandshakes, t.identity.client.Name, tc); err != nil {
		return err
	}
	_ = t.Conn.SetDeadline(time.Time{})
	if len(early.early) == 0 {
		t.Conn = early.Conn
	}
	// net/http's request and what is under it have come to their end.
	t.connect, t.opened, t.from = nil, connectOf(t.connect), t.from.unframed()

	t.tunnels.arrived(t)
	if tc.ConnectionState().NegotiatedProtocol == "h2" {
		return t.gateway.serving.Load().serveHTTP2(tc, t)
	}
	return t.gateway.hold(&Held{tc, t.origin()})
}

// helloBytes is what a client's first message fits into, most likely.
const helloBytes = 2 << 10

// unframed is the connection of a CONNECT without the framing check, which has come to
// its end. What was read and not yet handed on comes first.
func unframed(c net.Conn) net.Conn {
	switch c := c.(type) {
	case *earlyConn:
		return &earlyConn{Conn: unframed(c.Conn), early: c.early}
	case *framedConn:
		if len(c.buf) > 0 {
			return &earlyConn{Conn: c.Conn, early: c.buf}
		}
		return c.Conn
	}
	return c
}

// unframed is where a CONNECT came from without its connection's framing check.
func (o *origin) unframed() *origin {
	return &origin{peer: o.peer, private: o.private, moved: o.moved, listener: o.listener, seat: o.seat, life: o.life}
}

// fail records a tunnel that did not come about. There is nobody left to
// answer.
func (t *tunnel) fail(err error) {
	var refused *refusal
	t.mu.Lock()
	reason := t.reason
	t.mu.Unlock()
	switch {
	case reason != nil:
		refused = reason
	case errors.As(err, &refused):
	case errors.Is(err, net.ErrClosed):
		return // shutting down
	default:
		refused = &refusal{code: CodeTunnelFailed, detail: "The TLS handshake inside the tunnel failed. Does the client trust the gateway's CA (jiragate ca show)?", cause: err}
	}
	r := t.connect
	if r == nil {
		r = t.opened.request(t.from)
	}
	c := t.gateway.newCall(r, doorConnect)
	c.origin, c.identity = t.from, t.identity
	_, end := t.gateway.startSpan(c)
	defer end()
	t.gateway.bounds.refused(c, refused)
	c.refused = refused
	c.record.Decision, c.record.Code, c.record.Status = decisionDeny, string(refused.code), refused.code.meaning().status
	t.gateway.complete(c)
	t.gateway.logRefusal(c, refused)
}

// serveTunnelled is the handler of requests inside tunnels.
func (g *Gateway) serveTunnelled(w http.ResponseWriter, c *Call) {
	if c.origin.tunnel == nil {
		// Only tunnels are handed to these servers.
		panic(http.ErrAbortHandler)
	}
	g.serve(w, c)
}
