package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"jiragate/gateway/downstream"
)

// servers are the servers of one time of serving. HTTP/1.x inside tunnels has none:
// see http1Conn. They can't begin anew
// once they were shut down; who goes on makes others.
type servers struct {
	gateway *Gateway
	front   *http.Server       // the proxy listener
	http2   *downstream.Server // tunnels that speak HTTP/2

	moved   *feed // connections to the proxy listener that were served elsewhere before
	begun   sync.Once
	running sync.WaitGroup

	mu        sync.Mutex
	listeners []net.Listener
	closed    bool // nothing is accepted any more
	accepting sync.WaitGroup
}

func (g *Gateway) newServers() *servers {
	log := g.options.Privacy.ErrorLog(g.log)
	s := &servers{gateway: g, moved: newFeed()}
	s.front = &http.Server{
		Handler:           g.frontHandler(),
		Protocols:         new(http.Protocols),
		ReadHeaderTimeout: readHeadTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeadBytes,
		ConnContext:       withOrigin,
		ConnState:         g.conns.follow,
		ErrorLog:          log,

		DisableGeneralOptionsHandler: true, // "OPTIONS *" is refused like any other
	}
	s.front.Protocols.SetHTTP1(true)
	s.http2 = downstream.New(downstream.Config{
		MaxStreams: maxStreams, MaxFrame: maxFrameBytes, MaxHeader: maxHTTP2HeadBytes, ReceiveBuffer: receiveBuffer,
		GreetTimeout: readHeadTimeout, FrameTimeout: frameTimeout, IdleTimeout: idleTimeout, PingTimeout: pingTimeout,
		WriteTimeout: writeTimeout, SleepAfter: sleepAfter,
		Log: log, Panicked: func(p any) { panicked(g.log, p) },
	})
	return s
}

// begin lets the servers take what they are given, once.
func (s *servers) begin() {
	s.begun.Do(func() {
		s.running.Go(func() {
			if err := s.front.Serve(s.moved); !errors.Is(err, http.ErrServerClosed) && !s.isClosed() {
				s.gateway.log.Error("serving ended", "what", "connections that were taken over", "error", err, "hint", "restart the gateway: these calls are not served until then")
			}
		})
	})
}

// Serve accepts clients on l until Shutdown or Yield is called or l fails; it may be
// called for several listeners. Like http.Server.Serve it always returns an
// error, http.ErrServerClosed after Shutdown and Yield, and closes l.
func (g *Gateway) Serve(l net.Listener) error {
	s := g.serving.Load()
	g.bounds.memory.Start()
	g.resolver() // where there are very many connections the first call would wait for it
	s.begin()
	// It is the limited one that is closed: who waits for room must see that, too.
	l = netutil.LimitListener(wakingListener{l}, maxConnections)
	if !s.accept(l) {
		_ = l.Close()
		return http.ErrServerClosed
	}
	defer s.accepting.Done()
	err := s.front.Serve(&frontListener{Listener: l, gateway: g})
	if s.isClosed() {
		return http.ErrServerClosed
	}
	return err
}

func (s *servers) accept(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.listeners = append(s.listeners, l)
		s.accepting.Add(1)
	}
	return !s.closed
}

func (s *servers) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// close stops accepting, and waits until what was accepted is known. It is not a
// shutdown, in which net/http would leave requests unanswered that are just arriving.
func (s *servers) close() {
	s.mu.Lock()
	s.closed = true
	for _, l := range s.listeners {
		_ = l.Close()
	}
	s.listeners = nil
	s.mu.Unlock()
	s.accepting.Wait()
}

// end lets the servers' goroutines end, which have nothing more to take.
func (s *servers) end() {
	s.close()
	_ = s.moved.Close()
	s.http2.Close()
	s.begun.Do(func() {}) // what has not begun begins no more
	s.running.Wait()
}

// serveHTTP2 has a tunnel that speaks HTTP/2 served.
func (s *servers) serveHTTP2(c *tls.Conn, t *tunnel) error {
	origin := t.origin()
	s.gateway.http2Tunnels.Add(1)
	gone := func() { s.gateway.http2Tunnels.Add(-1) }
	err := s.http2.Serve(c, socketOf(c), func(w http.ResponseWriter, r *http.Request) {
		call := newScratch(r, origin)
		s.gateway.serveTunnelled(w, &call.call)
		call.free() // not if it panics: somebody may have something of it
	}, gone)
	if err != nil {
		gone()
		return errors.Join(net.ErrClosed, err)
	}
	return nil
}

// feed is a listener whose connections are given to it.
type feed struct {
	conns chan net.Conn
	done  chan struct{}
	end   sync.Once
}

func newFeed() *feed {
	return &feed{conns: make(chan net.Conn), done: make(chan struct{})}
}

// give hands c over, unless the feed is closed.
func (f *feed) give(c net.Conn) bool {
	select {
	case f.conns <- c:
		return true
	case <-f.done:
		return false
	}
}

func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

func (f *feed) closed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

func (f *feed) Close() error   { f.end.Do(func() { close(f.done) }); return nil }
func (f *feed) Addr() net.Addr { return feedAddr{} }

type feedAddr struct{}

func (feedAddr) Network() string { return "feed" }
func (feedAddr) String() string  { return "feed" }

// until waits for something that nobody tells of. It is for times of change, not for
// the way of a call.
func until(ctx context.Context, is func() bool) error {
	const step = 2 * time.Millisecond
	for !is() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(step):
		}
	}
	return nil
}
