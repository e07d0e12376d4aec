package egress

import (
	"net"
	"net/netip"
)

// Unpinned is what [Conn.PublicIP] says where no egress address is configured.
const Unpinned = "unpinned"

// Conn is a TCP connection that knows under which public address its calls
// arrive. Beneath TLS it is found with [crypto/tls.Conn.NetConn]. It is as safe
// for concurrent use as any net.Conn.
type Conn struct {
	net.Conn
	public  string
	target  netip.AddrPort
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
