package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// system is the seam to the operating system: tests put a network in its place
// that fails on command.
type system struct {
	// connect opens a TCP connection from local, or from wherever the system
	// likes if local is the zero Addr, to target. It calls check with the very
	// address that it is about to connect to, and gives up on an error.
	connect func(ctx context.Context, local netip.Addr, target netip.AddrPort, check checkFunc) (net.Conn, error)
	// bindable returns nil if sockets can be bound to local.
	bindable func(local netip.Addr) error
	// interfaces returns this machine's addresses.
	interfaces func() ([]net.Addr, error)
}

type checkFunc func(netip.AddrPort) error

func hostSystem() system {
	return system{connect: connectTCP, bindable: bindable, interfaces: net.InterfaceAddrs}
}

// connectTCP is system.connect on the real network.
func connectTCP(ctx context.Context, local netip.Addr, target netip.AddrPort, check checkFunc) (net.Conn, error) {
	network := "tcp6"
	if target.Addr().Is4() {
		network = "tcp4"
	}
	d := net.Dialer{
		ControlContext: control(local, check),
		FallbackDelay:  -1, // no second socket beside this one
		KeepAliveConfig: net.KeepAliveConfig{
			Enable:   true,
			Idle:     keepAliveIdle,
			Interval: keepAliveInterval,
			Count:    keepAliveCount,
		},
	}
	if local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	// Subflows of Multipath TCP leave from any address of the machine
	// (RFC 8684, section 3.2).
	d.SetMultipathTCP(false)
	return d.DialContext(ctx, network, target.String())
}

// control returns the hook that runs between socket(2) and bind(2). It judges
// the address that connect(2) is going to be given, whatever was resolved and
// judged before, and refuses what it cannot read.
func control(local netip.Addr, check checkFunc) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, _, address string, socket syscall.RawConn) error {
		target, err := netip.ParseAddrPort(address)
		if err != nil {
			return &AddressError{Host: address, Class: ClassMalformed}
		}
		if err := check(target); err != nil {
			return err
		}
		if !local.IsValid() {
			return boundSilence(socket)
		}
		if local.Is4() != target.Addr().Is4() {
			return &AddressError{Host: address, Addr: target.Addr(), Class: ClassOtherFamily}
		}
		return errors.Join(boundSilence(socket), bindWithoutPort(socket))
	}
}

// bindable tries local with a UDP socket, which nobody can connect to
// meanwhile.
func bindable(local netip.Addr) error {
	network := "udp6"
	if local.Is4() {
		network = "udp4"
	}
	socket, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0)))
	if err != nil {
		return err
	}
	return socket.Close()
}

// bindFailed reports whether err is bind(2)'s: the fault of the egress address
// and of nothing else.
func bindFailed(err error) bool {
	var syscallError *os.SyscallError
	return errors.As(err, &syscallError) && syscallError.Syscall == "bind"
}

// outOfPorts reports whether err is connect(2) finding no free local port for
// this upstream: with IP_BIND_ADDRESS_NO_PORT the port is chosen only there.
func outOfPorts(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) && !bindFailed(err)
}
