package egress

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// WarnUnpinned is the code of the warning that no egress address is configured.
const WarnUnpinned = "egress_unpinned"

// Unpinned is what [Conn.PublicIP] says where no egress address is configured.
const Unpinned = "unpinned"

// Conn is a TCP connection that knows under which public address its calls
// arrive. Beneath TLS it is found with [crypto/tls.Conn.NetConn]. It is as safe
// for concurrent use as any net.Conn.
type Conn struct {
	net.Conn
	public  string
	target  netip.AddrPort
	peer    string // target, as text
	release func() // it is open no more
}

// Close implements [net.Conn].
func (c *Conn) Close() error {
	c.release()
	return c.Conn.Close()
}

// PublicIP returns the egress address that Jira sees, or [Unpinned].
func (c *Conn) PublicIP() string { return c.public }

// RemoteAddr returns the upstream's address, also where the socket itself ends at
// a provider's proxy, which was asked for just that address.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.target) }

// Peer is the text of RemoteAddr.
func (c *Conn) Peer() string { return c.peer }

// SyscallConn implements [syscall.Conn]. It fails where what comes by the connection
// does not come by a socket of its own as it is, but within TLS to a proxy.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if socket, ok := c.Conn.(*net.TCPConn); ok {
		return socket.SyscallConn()
	}
	return nil, errNoSocket
}

var errNoSocket = errors.New("the connection is no socket of its own")
