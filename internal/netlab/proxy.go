package netlab

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// DialFunc connects as [net.Dialer.DialContext] does, with the same contract.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// ProxyOptions are what a proxy is like while it behaves.
type ProxyOptions struct {
	// Username and Password are what clients must present, HTTP Basic to a
	// CONNECT proxy, RFC 1929 to SOCKS5. Without Username anyone may come.
	Username, Password string
	// Dial is how the proxy reaches targets: [Host.DialContext], [Host.DialFrom],
	// or a [net.Dialer] with a LocalAddr. Nil is a plain net.Dialer.
	Dial DialFunc
}

// ProxyRequest is what one client asked of a proxy.
type ProxyRequest struct {
	Client   netip.AddrPort // where the client's connection came from
	Username string         // as presented, right or wrong; passwords are not kept
	Refused  bool           // the credentials were missing or wrong
	Target   string         // "host:port" as asked for, a name where the client sent a name
	Source   netip.AddrPort // where the proxy's own connection to the target left from; zero if there was none
	Header   http.Header    // CONNECT only, without Proxy-Authorization
}

// Bounds of a proxy.
const (
	maxProxied    = 256              // connections at a time; more are closed at once
	maxRequests   = 1 << 14          // that are kept; later ones are served and not kept
	handshakeTime = 30 * time.Second // for a client to say what it wants
	dialTime      = 30 * time.Second
)

// Proxy is a running forward proxy. It is safe for concurrent use.
type Proxy struct {
	listener net.Listener
	options  ProxyOptions
	serve    func(*Proxy, net.Conn)
	ctx      context.Context // ends with the proxy
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu       sync.Mutex
	fault    *Fault
	accepted int
	open     map[net.Conn]struct{} // connections of clients
	requests []ProxyRequest
}

func startProxy(l net.Listener, o ProxyOptions, serve func(*Proxy, net.Conn)) *Proxy {
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	p := &Proxy{listener: l, options: o, serve: serve, open: map[net.Conn]struct{}{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.running.Go(p.accept)
	return p
}

// Addr returns where the proxy listens, as "host:port".
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Requests returns what was asked so far, oldest first. A request is there before
// its answer is sent.
func (p *Proxy) Requests() []ProxyRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Connections returns how many connections clients have made so far, and how many
// of them are still open.
func (p *Proxy) Connections() (accepted, open int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted, len(p.open)
}

// Close closes the listener and all connections, and waits until nothing of the
// proxy runs any more.
func (p *Proxy) Close() error {
	p.cancel()
	err := p.listener.Close()
	p.running.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.accepted++
		full := len(p.open) == maxProxied
		if !full {
			p.open[conn] = struct{}{}
		}
		p.mu.Unlock()
		if full {
			conn.Close()
			continue
		}
		p.running.Go(func() {
			stop := context.AfterFunc(p.ctx, func() { conn.Close() })
			defer stop()
			defer func() {
				conn.Close()
				p.mu.Lock()
				delete(p.open, conn)
				p.mu.Unlock()
			}()
			if !p.fails(conn, OnAccept, nil) {
				_ = conn.SetReadDeadline(time.Now().Add(handshakeTime))
				p.serve(p, conn)
			}
		})
	}
}

// note keeps a request and returns its place, which [Proxy.dial] wants.
func (p *Proxy) note(conn net.Conn, r ProxyRequest) int {
	r.Client = addrPort(conn.RemoteAddr())
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.requests) == maxRequests {
		return maxRequests
	}
	p.requests = append(p.requests, r)
	return len(p.requests) - 1
}

// dial connects to the target of the request at place.
func (p *Proxy) dial(place int, target string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(p.ctx, dialTime)
	defer cancel()
	upstream, err := p.options.Dial(ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if place < len(p.requests) {
		p.requests[place].Source = addrPort(upstream.LocalAddr())
	}
	return upstream, nil
}

// tunnel copies both ways until both are done, or the proxy is closed.
// fromClient has what was read of client already.
func (p *Proxy) tunnel(client net.Conn, fromClient io.Reader, upstream net.Conn) {
	_ = client.SetReadDeadline(time.Time{})
	defer upstream.Close()
	stop := context.AfterFunc(p.ctx, func() { upstream.Close() })
	defer stop()
	var up sync.WaitGroup
	up.Go(func() { pass(upstream, client, fromClient) })
	pass(client, upstream, upstream)
	up.Wait()
}

// pass copies what arrives from one end, through reader, to the other, and the
// end of it too. If that fails, neither end is of use any more.
func pass(to, from net.Conn, reader io.Reader) {
	_, err := io.Copy(to, reader)
	half, ok := to.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		to.Close()
		from.Close()
	}
}

// addrPort returns the address as a value, zero if it is not of the Internet.
func addrPort(a net.Addr) netip.AddrPort {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
