package gateway

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"
)

// A goroutine that waits inside of TLS keeps the stack that it once needed, 8 KiB and more,
// as long as its tunnel is idle. So after a short while without a request a tunnel sleeps:
// that goroutine ends, and another one waits for the socket, whose stack is small.

// sleepAfter is how long a tunnel waits for a request until it sleeps. It may be half of
// that, and must be long enough that a client that keeps calling pays nothing.
const sleepAfter = time.Second

// errSleeps ends a goroutine that has nothing to do.
var errSleeps = errors.New("the connection sleeps")

// socketOf is what a tunnel's TLS is on, or nil.
func socketOf(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return nil
}

// drowsy reports whether reading ended since it is time to sleep. If so, from now on the
// deadline is that of the connection.
func (x *http1Conn) drowsy(err error) bool {
	if x.socket == nil || len(x.framed.buf) > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(x.due) {
		return false
	}
	_ = x.framed.SetReadDeadline(x.due)
	x.writesUntilDue()
	x.deadline = time.Time{}
	return true
}

// sleep waits until something comes, and goes on. TLS has nothing left of what came
// before: then its read would not have timed out. Whatever ends the wait, reading finds again.
func (x *http1Conn) sleep() {
	_, _ = x.socket.Read(nil)
	x.goOn(x.await())
}

// wakingListener accepts connections for which reading nothing waits until there is
// something to be read, or the end.
type wakingListener struct{ net.Listener }

func (l wakingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok && err == nil {
		return &wakingConn{t}, nil
	}
	return c, err
}

type wakingConn struct{ *net.TCPConn }

func (c *wakingConn) Read(p []byte) (int, error) {
	if len(p) > 0 {
		return c.TCPConn.Read(p)
	}
	raw, err := c.TCPConn.SyscallConn()
	if err != nil {
		return 0, err
	}
	return 0, raw.Read(readable)
}
