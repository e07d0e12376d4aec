package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// CutError tells what was still going on when a time to finish was over.
type CutError struct {
	Calls int // under way; they were cut, or go on
}

func (e *CutError) Error() string {
	return fmt.Sprintf("%d calls were still under way", e.Calls)
}

// Is makes a CutError a context.DeadlineExceeded.
func (e *CutError) Is(target error) bool { return target == context.DeadlineExceeded }

// Held is a client connection of HTTP/1.x between two requests, that no server has.
type Held struct {
	conn   net.Conn // what requests come by, decrypted
	origin *origin
}

// Close ends the connection.
func (h *Held) Close() error { return h.conn.Close() }

// Conn is what the client's requests come by, decrypted. It is the caller's now.
func (h *Held) Conn() net.Conn { return h.conn }

// Yield ends serving so that it can be taken up again, by this gateway with [Gateway.Resume]
// or by that of another process with [Gateway.Adopt]. It
// takes no more connections, lets calls in flight finish, those inside tunnels included, and
// returns the connections that are left, with nothing of a request in them. HTTP/2
// connections come to their end by GOAWAY.
//
// For HTTP/2, and up to patience, it serves on while that is under way, and
// new tunnels speak HTTP/1.1; so most of the time that it takes nobody waits.
//
// When ctx ends first, calls in flight go on, and the error is a [*CutError].
func (g *Gateway) Yield(ctx context.Context, patience time.Duration) ([]*Held, error) {
	g.turnover.Lock()
	defer g.turnover.Unlock()
	s := g.serving.Load()

	g.tunnels.noHTTP2.Store(true)
	early, cancel := context.WithTimeout(ctx, patience)
	_ = s.goAway(early, func() bool { return g.http2Tunnels.Load() == 0 })
	cancel()

	h := &holding{}
	g.holding = h
	g.yielded = time.Now()
	g.conns.call(func(f *framedConn) { h.take(f.held()) })
	s.close()
	var err error
	for {
		round, cancel := context.WithTimeout(ctx, handshakePatience)
		err = s.goAway(round, g.empty)
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
		// Who doesn't begin to speak is cut.
		g.tunnels.abandon()
		g.conns.abandon()
	}
	if err != nil {
		err = &CutError{Calls: int(g.calls.Load())}
	}
	return h.all(), err
}

// Yielded tells since when clients wait, after [Gateway.Yield].
func (g *Gateway) Yielded() time.Time {
	g.turnover.Lock()
	defer g.turnover.Unlock()
	return g.yielded
}

// empty reports whether no client is served, and none is about to be. A connection is
// among conns, then connecting, and in the end among conns again or HTTP/2's: who looks
// into these one after the other must look twice so as not to miss one.
func (g *Gateway) empty() bool {
	return g.conns.count() == 0 && g.connecting.Load() == 0 && g.conns.count() == 0 &&
		g.http2Tunnels.Load() == 0 && g.calls.Load() == 0
}

// goAway waits for something, and meanwhile tells HTTP/2 connections to go away: again
// and again, since one that is only beginning would not hear it.
func (s *servers) goAway(ctx context.Context, is func() bool) error {
	const again = 100 * time.Millisecond
	for {
		s.http2.GoAway()
		round, cancel := context.WithTimeout(ctx, again)
		err := until(round, is)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// held is the connection without its server, and what has come of a head.
func (f *framedConn) held() *Held {
	conn := f.Conn
	if len(f.buf) > 0 {
		conn = &earlyConn{Conn: conn, early: f.buf}
	}
	return &Held{conn, f.origin}
}

// Resume takes up serving after [Gateway.Yield], with the connections that it
// returned. Serve must be called again for each listener.
func (g *Gateway) Resume(held []*Held) {
	g.turnover.Lock()
	defer g.turnover.Unlock()
	s := g.newServers()
	s.begin()
	g.tunnels.noHTTP2.Store(false)
	g.conns.call(nil)
	g.serving.Swap(s).end()
	serve := func(h *Held) { _ = g.hold(h) }
	for _, h := range held {
		serve(h)
	}
	// Calls of before that end from now on.
	g.holding.divert(serve)
}

// hold gives a connection to the servers, or closes it where none serve any more.
func (g *Gateway) hold(h *Held) error {
	_ = h.conn.SetDeadline(time.Time{})
	f := newFramedConn(h.conn, h.origin, g.marker)
	g.conns.add(f)
	for {
		s := g.serving.Load()
		switch {
		case h.origin.tunnel != nil && !s.moved.closed():
			go g.serveHTTP1(f)
			return nil
		case h.origin.tunnel == nil && s.moved.give(f):
			return nil
		case g.serving.Load() == s:
			g.conns.remove(f)
			return errors.Join(net.ErrClosed, h.conn.Close())
		}
	}
}

// Shutdown stops accepting clients, lets calls in flight finish, those inside
// tunnels included, and closes the rest. When ctx ends first, what is left is
// cut and a [*CutError] returned.
func (g *Gateway) Shutdown(ctx context.Context) error {
	held, err := g.Yield(ctx, 0)
	for _, h := range held {
		_ = h.Close()
	}
	s := g.serving.Load()
	if err != nil {
		g.holding.divert(func(h *Held) { _ = h.Close() })
		g.tunnels.cut()
		g.conns.cut() // those of servers before these, too
		// What was cut gets its record, which its client's going away ends.
		cut, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutPatience)
		_ = until(cut, func() bool { return g.calls.Load() == 0 })
		cancel()
	}
	s.end()
	g.bounds.memory.Stop()
	g.transports.close()
	return err
}

// holding are the connections that were taken from their servers.
type holding struct {
	mu   sync.Mutex
	held []*Held
	to   func(*Held) // takes those to come, once set
}

func (h *holding) take(c *Held) {
	h.mu.Lock()
	to := h.to
	if to == nil {
		h.held = append(h.held, c)
	}
	h.mu.Unlock()
	if to != nil {
		to(c)
	}
}

// all hands over what is held.
func (h *holding) all() []*Held {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.held
	h.held = nil
	return held
}

// divert gives what is held, and what will be, to to.
func (h *holding) divert(to func(*Held)) {
	h.mu.Lock()
	h.to = to
	h.mu.Unlock()
	for _, c := range h.all() {
		to(c)
	}
}

// Provenance is what another process must know of a connection whose requests it
// is to serve. It holds what the client identified itself by, which may be its token.
type Provenance struct {
	Peer         netip.AddrPort `json:"peer"`
	Private      bool           `json:"private"`                // the listener is TLS or loopback
	Certificates [][]byte       `json:"certificates,omitempty"` // that the client showed, in DER
	Connect      *Connect       `json:"connect,omitempty"`      // of a tunnel
}

// Connect is the CONNECT request that a tunnel was opened by.
type Connect struct {
	Target string      `json:"target"`
	Host   string      `json:"host"`
	Minor  int         `json:"minor"` // of HTTP/1
	Header http.Header `json:"header"`
}

// connectFields are all that identify looks at.
var connectFields = []string{"Proxy-Authorization", connectionField}

// Provenance tells where the connection comes from.
func (h *Held) Provenance() Provenance {
	o := h.origin
	if o.tunnel == nil {
		return o.provenance()
	}
	p := o.tunnel.from.provenance()
	c := o.tunnel.opened
	c.Header = c.Header.Clone()
	p.Connect = &c
	return p
}

// connectOf is what is needed of a CONNECT while its tunnel is open. It holds nothing of
// the rest of the head.
func connectOf(r *http.Request) Connect {
	c := Connect{Target: strings.Clone(r.RequestURI), Minor: r.ProtoMinor, Header: make(http.Header, len(connectFields))}
	c.Host = c.Target
	if r.Host != c.Target {
		c.Host = strings.Clone(r.Host)
	}
	for _, name := range connectFields {
		for _, value := range r.Header[name] {
			c.Header[name] = append(c.Header[name], strings.Clone(value))
		}
	}
	return c
}

// request is the CONNECT again, as far as it is known.
func (c *Connect) request(o *origin) *http.Request {
	r := &http.Request{
		Method: http.MethodConnect, RequestURI: c.Target, Host: c.Host, Header: c.Header,
		Proto: "HTTP/1." + string(rune('0'+c.Minor)), ProtoMajor: 1, ProtoMinor: c.Minor,
	}
	return r.WithContext(context.WithValue(context.Background(), originKey{}, o))
}

func (o *origin) provenance() Provenance {
	p := Provenance{Peer: o.peer, Private: o.private}
	if o.listener != nil {
		for _, c := range o.listener.shown() {
			p.Certificates = append(p.Certificates, c.Raw)
		}
	}
	return p
}

// Adopt serves the requests that come by conn, at whose other end another process
// has the client, until it is closed. Clients are asked to close such a connection after
// the first answer. The error says why conn was closed at once: the client of a
// tunnel may have been removed.
func (g *Gateway) Adopt(p Provenance, conn net.Conn) error {
	s := g.serving.Load()
	if s.isClosed() {
		return errors.Join(http.ErrServerClosed, conn.Close())
	}
	s.begin()
	o := &origin{peer: p.Peer, private: p.Private, moved: true, life: g.bounds.newLife()}
	if len(p.Certificates) > 0 {
		var shown []*x509.Certificate
		for _, der := range p.Certificates {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				return errors.Join(fmt.Errorf("read a client's certificate: %w", err), conn.Close())
			}
			shown = append(shown, c)
		}
		o.listener = &listenerTLS{shown: func() []*x509.Certificate { return shown }, present: &g.proxyTLS}
	}
	if p.Connect == nil {
		return g.hold(&Held{conn, o})
	}
	c := &Call{in: p.Connect.request(o), door: doorConnect, origin: o, started: time.Now()}
	_, end := g.startSpan(c)
	defer end()
	t := &tunnel{Conn: conn, raw: conn, tunnels: g.tunnels, gateway: g, from: o, opened: *p.Connect}
	if refused := g.admitTunnel(c, t); refused != nil {
		return errors.Join(refused, conn.Close())
	}
	g.tunnels.arrived(t)
	return g.hold(&Held{t, t.origin()})
}

// Relay passes bytes between the client and conn, at whose other end another
// process adopts the connection, until either has ended. Both are closed then. A
// client that takes nothing of an answer for too long is cut.
func (h *Held) Relay(conn net.Conn) {
	_ = h.conn.SetDeadline(time.Time{})
	var both sync.WaitGroup
	both.Go(func() {
		pass(conn, h.conn)
		closeWrite(conn)
	})
	both.Go(func() {
		pass(patientWriter{h.conn}, conn)
		if closeWrite(h.conn) {
			// A client that is still sending can read its answer.
			_ = h.conn.SetReadDeadline(time.Now().Add(lastWords))
			return
		}
		_ = h.conn.Close() // ends the other direction
	})
	both.Wait()
	_, _ = conn.Close(), h.conn.Close()
}

// pass copies until either end is over. Thousands of connections wait in it, so
// that its buffer is small until it is of use.
func pass(to io.Writer, from io.Reader) {
	buffer := make([]byte, 512)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				return
			}
		}
		if err != nil {
			return
		}
		if n == len(buffer) && n < streamBuffer {
			buffer = make([]byte, streamBuffer)
		}
	}
}

// closeWrite ends one direction of a connection that can do that.
func closeWrite(conn net.Conn) bool {
	c, ok := conn.(interface{ CloseWrite() error })
	return ok && c.CloseWrite() == nil
}

// patientWriter gives each piece its time.
type patientWriter struct{ net.Conn }

func (w patientWriter) Write(p []byte) (int, error) {
	_ = w.SetWriteDeadline(time.Now().Add(writeTimeout))
	return w.Conn.Write(p)
}
