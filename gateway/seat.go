package gateway

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"jiragate/gateway/limit"
)

// seat is a connection's place at the proxy listener: among those of its address
// until a client has said who it is, then among those of the client. All methods
// may be called on a nil seat.
type seat struct {
	mu      sync.Mutex
	hold    *limit.Hold
	claimed bool
	left    bool
}

// claim gives a stranger's seat to a client, once.
func (s *seat) claim(clients *limit.Places, client string) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claimed || s.left {
		return nil
	}
	h, err := clients.Take(context.Background(), client, 1) // waits for nothing
	if err != nil {
		return err
	}
	s.hold.Release()
	s.hold, s.claimed = h, true
	return nil
}

func (s *seat) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
	s.hold.Release()
}

// seatedConn is a connection that gives its seat back when it closes.
type seatedConn struct {
	net.Conn
	seat *seat
}

func (c *seatedConn) Close() error {
	c.seat.leave()
	return c.Conn.Close()
}

// accept takes the next connection that there is room for. One of too many
// strangers is closed: there is nobody to tell.
func (b *bounds) accept(l net.Listener) (*seatedConn, error) {
	for {
		c, err := l.Accept()
		if err != nil {
			return nil, err
		}
		from := limit.Network(addrPort(c.RemoteAddr()).Addr())
		h, err := b.strangers.Take(context.Background(), from.String(), 1) // waits for nothing
		if err == nil {
			return &seatedConn{Conn: c, seat: &seat{hold: h}}, nil
		}
		b.count(limitStrangers, false)
		_ = c.Close()
	}
}

// shakenConn is a TLS connection to the proxy listener. The handshake takes place at
// the first read, under the server's header deadline, once its first byte is there:
// who sends nothing holds no place among those that shake hands.
type shakenConn struct {
	*tls.Conn
	below  *earlyConn
	bounds *bounds
}

func newShakenConn(c net.Conn, config *tls.Config, b *bounds) *shakenConn {
	below := &earlyConn{Conn: c}
	return &shakenConn{Conn: tls.Server(below, config), below: below, bounds: b}
}

func (c *shakenConn) shake() error {
	first := make([]byte, 1)
	if _, err := c.below.Conn.Read(first); err != nil {
		return err
	}
	c.below.early = first
	// net/http sets one for writing with the first header.
	_ = c.below.SetWriteDeadline(time.Now().Add(readHeadTimeout))
	from := limit.Network(addrPort(c.below.RemoteAddr()).Addr())
	err := shake(c.bounds.greetings, limitGreetings, from.String(), c.Conn)
	if refused, ok := err.(*refusal); ok {
		c.bounds.count(refused.limit, false)
		_ = c.below.Close() // what net/http writes would begin the handshake again
	}
	return err
}

// shake makes the handshake when it is somebody's turn. The deadline is c's own.
func shake(places *limit.Places, name limitName, whose string, c *tls.Conn) error {
	var place limit.Hold
	if refused := take(context.Background(), places, &place, name, whose, 1); refused != nil {
		return refused
	}
	defer place.Release()
	return c.HandshakeContext(context.Background())
}
