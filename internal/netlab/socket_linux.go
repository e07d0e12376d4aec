package netlab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// Listen is [net.Listen] in the host. The address is an IP address with a port,
// or a port alone. The listener works from any goroutine and is closed when the
// lab ends.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	var l net.Listener
	err := h.open(address, func() (err error) {
		l, err = net.Listen(network, address)
		return err
	})
	if err != nil {
		return nil, err
	}
	h.lab.atEnd(func() { l.Close() })
	return l, nil
}

// ListenPacket is [net.ListenPacket] in the host, as [Host.Listen].
func (h *Host) ListenPacket(network, address string) (net.PacketConn, error) {
	var c net.PacketConn
	err := h.open(address, func() (err error) {
		c, err = net.ListenPacket(network, address)
		return err
	})
	if err != nil {
		return nil, err
	}
	h.lab.atEnd(func() { c.Close() })
	return c, nil
}

// DialContext connects from the host, from the address that its kernel chooses.
// The address is an IP address with a port. The caller closes the connection.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return h.dial(ctx, &net.Dialer{}, network, address)
}

// DialFrom returns a function that makes TCP connections from the host and the
// local address given, as [Host.DialContext].
func (h *Host) DialFrom(local netip.Addr) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		d := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))}
		return h.dial(ctx, d, network, address)
	}
}

func (h *Host) dial(ctx context.Context, d *net.Dialer, network, address string) (net.Conn, error) {
	// With one address there is no race of families, hence no other goroutine
	// than this one that would open a socket.
	var conn net.Conn
	err := h.open(address, func() (err error) {
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// open runs fn in the host, unless address has a name in it: net looks names up
// in other goroutines, so not in the host.
func (h *Host) open(address string, fn func() error) error {
	host, _, err := net.SplitHostPort(address)
	if err == nil && host != "" {
		_, err = netip.ParseAddr(host)
	}
	if err != nil {
		return fmt.Errorf("lab host %s: %q is not an IP address with a port: %w", h.name, address, err)
	}
	if err := h.namespace.run(fn); err != nil {
		return fmt.Errorf("lab host %s: %w", h.name, err)
	}
	return nil
}
