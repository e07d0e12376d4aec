package etcdlab

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// wire is a way that connections take, and that can be cut. The zero wire is whole and
// ready for use; it is safe for concurrent use.
type wire struct {
	dialer net.Dialer

	mu    sync.Mutex
	cut   bool
	flows map[*flow]struct{}
}

// dial connects. While the wire is cut it seems to, and nothing comes of it: no packet
// reaches anybody, but whoever asked for the connection has been answered by the lab
// already.
func (w *wire) dial(ctx context.Context, address string) (net.Conn, error) {
	w.mu.Lock()
	cut := w.cut
	w.mu.Unlock()
	var conn net.Conn
	if cut {
		conn, _ = net.Pipe()
	} else {
		var err error
		if conn, err = w.dialer.DialContext(ctx, "tcp", address); err != nil {
			return nil, err
		}
	}
	f := &flow{Conn: conn, wire: w, closed: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	f.dead.Store(cut || w.cut)
	if w.flows == nil {
		w.flows = map[*flow]struct{}{}
	}
	w.flows[f] = struct{}{}
	return f, nil
}

// setCut cuts the wire or mends it. What has been cut stays dead: the bytes in between
// are lost, so there is no going on.
func (w *wire) setCut(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for f := range w.flows {
			f.dead.Store(true)
		}
	}
}

// reset breaks all connections, the dead ones too, so that both ends learn of it.
func (w *wire) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for f := range w.flows {
		f.end()
		abort(f.Conn)
	}
	clear(w.flows)
}

// flow is one connection through a wire. A dead one swallows what is written to it and
// says nothing any more, not even that the other end has gone; and the other end
// doesn't learn when this one is closed.
type flow struct {
	net.Conn
	wire   *wire
	dead   atomic.Bool
	once   sync.Once
	closed chan struct{}
}

func (f *flow) end() { f.once.Do(func() { close(f.closed) }) }

func (f *flow) Read(p []byte) (int, error) {
	for {
		n, err := f.Conn.Read(p)
		if !f.dead.Load() {
			return n, err
		}
		if err != nil {
			<-f.closed
			return 0, net.ErrClosed
		}
	}
}

func (f *flow) Write(p []byte) (int, error) {
	if f.dead.Load() {
		return len(p), nil
	}
	n, err := f.Conn.Write(p)
	if f.dead.Load() {
		return len(p), nil
	}
	return n, err
}

func (f *flow) CloseWrite() error {
	if half, ok := f.Conn.(interface{ CloseWrite() error }); ok && !f.dead.Load() {
		return half.CloseWrite()
	}
	return nil
}

func (f *flow) Close() error {
	f.end()
	f.wire.mu.Lock()
	defer f.wire.mu.Unlock()
	if f.dead.Load() {
		return f.Conn.SetReadDeadline(longAgo) // wakes Read; the wire's reset closes it
	}
	delete(f.wire.flows, f)
	return f.Conn.Close()
}

// abort closes a connection with a TCP reset.
func abort(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
