package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elazarl/goproxy"
)

// frontListener accepts clients of the proxy, plain or by TLS, and puts the
// framing check under net/http.
type frontListener struct {
	net.Listener
	gateway *Gateway
}

func (l *frontListener) Accept() (net.Conn, error) {
	c, err := l.gateway.bounds.accept(l.Listener)
	if err != nil {
		return nil, err
	}
	o := &origin{
		peer: addrPort(c.RemoteAddr()), private: addrPort(c.LocalAddr()).Addr().IsLoopback(),
		seat: c.seat, life: l.gateway.bounds.newLife(),
	}
	f := newFramedConn(c, o, l.gateway.marker)
	if cfg := l.gateway.proxyTLS.Load(); cfg != nil {
		tc := newShakenConn(c, cfg, l.gateway.bounds)
		shown := func() []*x509.Certificate { return tc.ConnectionState().PeerCertificates }
		o.private, o.listener = true, &listenerTLS{shown: shown, present: &l.gateway.proxyTLS}
		f.shakesHands(tc, tc.shake)
	}
	l.gateway.conns.add(f)
	return f, nil
}

// listenerTLS is the TLS side of an HTTPS proxy's client connection.
type listenerTLS struct {
	shown   func() []*x509.Certificate  // by the client, once the handshake is over
	present *atomic.Pointer[tls.Config] // whose ClientCAs are nil where certificates identify nobody

	mu       sync.Mutex
	verified *x509.CertPool // by which chain was found
	chain    []*x509.Certificate
}

// certificates are those by which the client identified itself, verified
// against the present client CAs; none where they don't lead there.
func (o *origin) certificates() []*x509.Certificate {
	if o.listener == nil {
		return nil
	}
	return o.listener.certificates()
}

// certificates verifies again when other client CAs are in force: a connection that is
// open, or a session that was resumed, is no way around them.
func (l *listenerTLS) certificates() []*x509.Certificate {
	config := l.present.Load()
	if config == nil || config.ClientCAs == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.verified == nil || !l.verified.Equal(config.ClientCAs) {
		l.chain = l.verify(config.ClientCAs)
	}
	l.verified = config.ClientCAs
	return l.chain
}

// verify is called once the handshake is over, which has proved that the
// client holds the key of its first certificate.
func (l *listenerTLS) verify(clientCAs *x509.CertPool) []*x509.Certificate {
	shown := l.shown()
	if len(shown) == 0 {
		return nil
	}
	options := x509.VerifyOptions{
		Roots: clientCAs, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range shown[1:] {
		options.Intermediates.AddCert(c)
	}
	chains, err := shown[0].Verify(options)
	if err != nil {
		return nil
	}
	return chains[0]
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

type originKey struct{}

// withOrigin is the ConnContext of the servers of HTTP/1.x.
func withOrigin(ctx context.Context, c net.Conn) context.Context {
	if f, ok := c.(*framedConn); ok {
		return context.WithValue(ctx, originKey{}, f.origin)
	}
	return ctx
}

func (g *Gateway) newCall(r *http.Request, d door) *Call {
	o, _ := r.Context().Value(originKey{}).(*origin)
	if o == nil {
		o = &origin{}
	}
	return &Call{in: r, door: d, origin: o, started: time.Now()}
}

// frontHandler takes what arrives at the proxy listener. goproxy is the front:
// it dispatches CONNECT, which is hijacked, and what is no proxy request. The
// absolute-form door is taken before it, because goproxy would neither flush
// an answer nor drop its trailers.
func (g *Gateway) frontHandler() http.HandlerFunc {
	proxy := goproxy.NewProxyHttpServer()
	// Nothing may ever leave by goproxy itself: its own transport skips
	// verification and obeys proxy variables.
	proxy.Tr = &http.Transport{Proxy: nil, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, refuse(CodeInternal, "goproxy does not dial")
	}}
	proxy.ConnectDial, proxy.ConnectDialWithReq = nil, nil
	proxy.Logger = noGoproxyLog{}
	proxy.NonproxyHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(w, g.newCall(r, doorBase)) })
	proxy.OnRequest().HandleConnectFunc(func(_ string, ctx *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) {
		return g.connect(ctx.Req)
	})
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodConnect:
			g.connecting.Add(1)
			defer g.connecting.Add(-1)
			proxy.ServeHTTP(&connectWriter{ResponseWriter: w}, r)
		case strings.HasPrefix(r.RequestURI, "/") || r.RequestURI == "*":
			proxy.ServeHTTP(w, r)
		default:
			g.serve(w, g.newCall(r, doorAbsolute))
		}
	}
}

// noGoproxyLog drops goproxy's own log lines, which may quote requests.
type noGoproxyLog struct{}

func (noGoproxyLog) Printf(string, ...any) {}

// connect takes a CONNECT request: the client must be identified, the
// authority must be that of one of its connections, and there must be room.
// All of that comes before the 200 and before any name is looked up. goproxy
// hands the connection over either way, so that a refusal is written here, too.
func (g *Gateway) connect(r *http.Request) (*goproxy.ConnectAction, string) {
	return &goproxy.ConnectAction{
		Action: goproxy.ConnectHijack,
		Hijack: func(_ *http.Request, conn net.Conn, _ *goproxy.ProxyCtx) {
			if t := g.openTunnel(r, conn); t != nil {
				t.intercept()
			}
		},
	}, r.RequestURI
}

// connectWriter hands goproxy a hijacked connection that begins with the bytes
// the server had already read. A client may send its TLS hello together with
// CONNECT; goproxy would drop it.
type connectWriter struct{ http.ResponseWriter }

func (w *connectWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ := rw.Reader.Peek(n)
		conn = &earlyConn{Conn: conn, early: append([]byte(nil), early...)}
	}
	return conn, rw, nil
}

// earlyConn reads early before the connection.
type earlyConn struct {
	net.Conn
	early []byte
}

func (c *earlyConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// rawResponse writes one answer to a hijacked connection, which is then closed.
type rawResponse struct {
	conn   net.Conn
	header http.Header
}

func (w *rawResponse) Header() http.Header { return w.header }

func (w *rawResponse) WriteHeader(status int) {
	_ = w.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	w.header.Set("Connection", "close")
	var b strings.Builder
	b.WriteString("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n")
	_ = w.header.Write(&b)
	b.WriteString("\r\n")
	_, _ = io.WriteString(w.conn, b.String())
}

func (w *rawResponse) Write(p []byte) (int, error) { return w.conn.Write(p) }
