package upstream

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// socket is what is beneath TLS. While it is probed, reads don't wait. While it is armed,
// a write is a turn.
type socket struct {
	net.Conn // as it was dialled
	http2    bool
	closed   func(*socket) // called once
	once     sync.Once

	probing bool
	asked   bool            // something had come when it was probed
	raw     syscall.RawConn // nil: not known
	look    func(uintptr)   // reads into piece
	piece   []byte
	n       int
	err     error

	within bool               // probing finds only what TLS holds
	armed  func(net.Conn)     // told of Conn before a turn's bytes are written
	turn   func(uintptr) bool // writes piece
	begun  bool               // a turn has come to its write
	waited bool               // a turn has written all, and waited
	one    [1]byte
}

// errStale ends a turn before anything is written: the other side has closed, or has said
// something unasked.
var errStale = errors.New("the connection can't be used again")

// probePatience is how long a read waits that should not wait, where the system
// can't be asked so: a proxy's tunnel within TLS, say.
const probePatience = 50 * time.Microsecond

func newSocket(c net.Conn, closed func(*socket)) *socket {
	s := &socket{Conn: c, closed: closed}
	if sc, ok := c.(syscall.Conn); ok && canLook {
		if raw, err := sc.SyscallConn(); err == nil {
			s.raw = raw
			s.look = func(fd uintptr) { s.n, s.err = readNow(fd, s.piece) }
			s.turn = s.takeTurn
		}
	}
	return s
}

// Read implements [net.Conn].
func (s *socket) Read(p []byte) (int, error) {
	switch {
	case !s.probing:
		return s.Conn.Read(p)
	case s.within:
		return 0, nothing{}
	}
	n, err := s.readNow(p)
	s.asked = s.asked || n > 0
	return n, err
}

// readNow reads what is there. A nothing says that the other side has said nothing.
func (s *socket) readNow(p []byte) (int, error) {
	if s.raw == nil {
		_ = s.SetReadDeadline(time.Now().Add(probePatience))
		n, err := s.Conn.Read(p)
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, nothing{}
		}
		return n, err
	}
	s.piece = p
	err := s.raw.Control(s.look)
	s.piece = nil
	if err == nil {
		err = s.err
	}
	return max(s.n, 0), err
}

// Write implements [net.Conn]. A turn writes only if nothing has come, and then waits for
// the answer to begin: as a read does that finds nothing and waits, with the write between
// the two. So nothing that comes, before or after it, is waited for in vain, and the read
// of the answer isn't tried before there is one.
func (s *socket) Write(p []byte) (int, error) {
	if s.armed == nil {
		return s.Conn.Write(p)
	}
	s.piece, s.begun, s.n, s.err = p, false, 0, nil
	err := s.raw.Read(s.turn)
	s.piece, s.armed = nil, nil
	switch {
	case s.err != nil:
		return s.n, s.err
	case !s.begun:
		return 0, err
	case s.n < len(p): // the rest waits for room
		n, err := s.Conn.Write(p[s.n:])
		return s.n + n, err
	}
	s.waited = true
	return s.n, nil // what has ended the wait but an answer ends the next read, too
}

// takeTurn is called with the socket until it returns true, and before each but the first
// call there was something to be read.
func (s *socket) takeTurn(fd uintptr) (done bool) {
	if s.begun {
		return true
	}
	if _, err := readNow(fd, s.one[:]); !errors.Is(err, nothing{}) {
		s.err = errStale
		return true
	}
	s.armed(s.Conn)
	s.begun = true
	if s.n, s.err = writeNow(fd, s.piece); s.err != nil {
		s.err = &net.OpError{Op: "write", Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: s.err}
	}
	return s.n < len(s.piece)
}

// Close implements [net.Conn].
func (s *socket) Close() error {
	err := s.Conn.Close()
	s.once.Do(func() { s.closed(s) })
	return err
}

// nothing is the error of a read for which nothing is there. To TLS it is one of those
// after which a connection may be read again.
type nothing struct{}

func (nothing) Error() string   { return "nothing to read" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }
