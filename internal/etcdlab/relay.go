package etcdlab

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

const (
	relayDial = 10 * time.Second // for a member's kernel to answer
	relayBind = 10 * time.Second // to have an address back that was given up
)

// relay passes connections on to a member over a wire.
type relay struct {
	address, target string
	wire            *wire
	running         sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	clients  map[net.Conn]struct{}
}

// listen accepts connections from now on.
func (r *relay) listen() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener != nil {
		return nil
	}
	for deadline := time.Now().Add(relayBind); ; time.Sleep(50 * time.Millisecond) {
		l, err := net.Listen("tcp", r.address)
		if err != nil && time.Now().Before(deadline) {
			continue
		} else if err != nil {
			return fmt.Errorf("relay to etcd member at %s: %w", r.target, err)
		}
		r.listener = l
		r.running.Go(func() { r.accept(l) })
		return nil
	}
}

// refuse refuses new connections, and resets those that clients have.
func (r *relay) refuse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener != nil {
		_ = r.listener.Close()
		r.listener = nil
	}
	for client := range r.clients {
		abort(client)
	}
	clear(r.clients)
}

func (r *relay) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		if r.listener != l { // refused meanwhile
			r.mu.Unlock()
			abort(client)
			return
		}
		if r.clients == nil {
			r.clients = map[net.Conn]struct{}{}
		}
		r.clients[client] = struct{}{}
		r.mu.Unlock()
		r.running.Go(func() { r.pass(client) })
	}
}

// pass copies both ways until both are done.
func (r *relay) pass(client net.Conn) {
	defer func() {
		client.Close()
		r.mu.Lock()
		delete(r.clients, client)
		r.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(context.Background(), relayDial)
	upstream, err := r.wire.dial(ctx, r.target)
	cancel()
	if err != nil {
		abort(client) // the member is gone, which its own kernel would have said
		return
	}
	defer upstream.Close()
	var up sync.WaitGroup
	up.Go(func() { copyAndEnd(upstream, client) })
	copyAndEnd(client, upstream)
	up.Wait()
}

// copyAndEnd copies what arrives and its end. If that fails, neither side is of use.
func copyAndEnd(to, from net.Conn) {
	_, err := io.Copy(to, from)
	half, ok := to.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		to.Close()
		from.Close()
	}
}
