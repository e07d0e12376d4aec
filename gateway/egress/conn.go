package egress

import "net"

// Unpinned is what [Conn.PublicIP] says where no egress address is configured.
const Unpinned = "unpinned"

// Conn is a TCP connection that knows under which public address its calls
// arrive. Beneath TLS it is found with [crypto/tls.Conn.NetConn]. It is as safe
// for concurrent use as any net.Conn.
type Conn struct {
	net.Conn
	public string
}

// PublicIP returns the egress address that Jira sees, or [Unpinned].
func (c *Conn) PublicIP() string { return c.public }
