package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
)

// dial is one that is under way for whoever needs it when it is done. The call that
// caused it may end before: the next one is glad of the connection.
type dial struct{ cancel context.CancelFunc }

func newPool(t *Transport, authority, host, address string) *pool {
	p := &pool{options: &t.options, authority: authority, address: address, dials: make(map[*dial]struct{})}
	p.tls = t.options.TLS.Clone()
	p.tls.ServerName = host
	p.tls.NextProtos = []string{"h2", "http/1.1"}
	p.tls.DynamicRecordSizingDisabled = true // a request is one record and one packet, or few
	p.streams = sync.OnceValue(p.newStreams)
	return p
}

// start dials for w, while the pool is locked.
func (p *pool) start(w *waiter) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.ctx))
	w.dial = &dial{cancel}
	p.dials[w.dial] = struct{}{}
	p.open++
	go p.run(ctx, w.dial)
}

// run dials, and hands out what came of it.
func (p *pool) run(ctx context.Context, d *dial) {
	defer d.cancel()
	c, streams, err := p.connect(ctx)
	if streams != nil {
		err = p.share(c, streams)
	}
	p.mu.Lock()
	delete(p.dials, d)
	var surplus *conn
	switch {
	case err != nil:
		p.doubtful = true
		p.tell(d, err)
	case streams == nil:
		p.speaks, p.doubtful = http1, false
		surplus = p.put(c)
	default:
		p.doubtful = false
		for p.hand(place{http2: true}) {
		}
	}
	p.pump()
	p.mu.Unlock()
	if surplus != nil {
		surplus.close()
	}
}

// tell tells the one for whom a dial was that it failed, if it still waits.
func (p *pool) tell(d *dial, err error) {
	for at := p.waiters.Front(); at != nil; at = at.Next() {
		if w := at.Value.(*waiter); w.dial == d {
			p.waiters.Remove(at)
			w.place <- place{err: err}
			return
		}
	}
}

// connect opens a socket, which counts as open already, and makes the handshake.
// Streams is not nil where that leads to HTTP/2.
func (p *pool) connect(ctx context.Context) (c *conn, streams *tls.Conn, _ error) {
	bare, err := p.options.Dial(ctx, "tcp", p.address)
	if err != nil {
		p.closed(nil)
		return nil, nil, err
	}
	s := newSocket(bare, p.closed)
	secure := tls.Client(s, p.tls)
	c = &conn{pool: p, socket: s, secure: secure}
	ctx, cancel := context.WithTimeout(ctx, p.options.TLSTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		c.drop()
		return nil, nil, fmt.Errorf("TLS handshake with the server: %w", err)
	}
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		streams = secure
	}
	return c, streams, nil
}

// bare is the connection as it was dialled.
func bare(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if s, ok := c.(*socket); ok {
		c = s.Conn
	}
	return c
}
