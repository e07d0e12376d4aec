package upstream

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// socket is what is beneath TLS. While it is probed, reads don't wait.
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
}

// probePatience is how long a read waits that should not wait, where the system
// can't be asked so: a proxy's tunnel within TLS, say.
const probePatience = 50 * time.Microsecond

func newSocket(c net.Conn, closed func(*socket)) *socket {
	s := &socket{Conn: c, closed: closed}
	if sc, ok := c.(syscall.Conn); ok && canLook {
		if raw, err := sc.SyscallConn(); err == nil {
			s.raw = raw
			s.look = func(fd uintptr) { s.n, s.err = readNow(fd, s.piece) }
		}
	}
	return s
}

// Read implements [net.Conn].
func (s *socket) Read(p []byte) (int, error) {
	if !s.probing {
		return s.Conn.Read(p)
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
