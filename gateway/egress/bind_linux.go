package egress

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// boundSilence makes the kernel give a connection up when what was sent stays
// unacknowledged for userTimeout (tcp(7), TCP_USER_TIMEOUT). Keep-alive probes
// are not sent while there is such data, and retransmission alone goes on for a
// quarter of an hour.
func boundSilence(socket syscall.RawConn) error {
	var failed error
	if err := socket.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
	}); err != nil {
		return fmt.Errorf("prepare socket: %w", err)
	}
	if failed != nil {
		return fmt.Errorf("set TCP_USER_TIMEOUT: %w", failed)
	}
	return nil
}

// bindWithoutPort makes bind(2) fix the source address only and leaves the
// port to connect(2), which can then use a port once for each upstream instead
// of once in all (ip(7), IP_BIND_ADDRESS_NO_PORT, since Linux 4.2; it holds for
// IPv6 sockets too). A kernel that lacks the option does without: the address
// is pinned all the same.
func bindWithoutPort(socket syscall.RawConn) error {
	var failed error
	if err := socket.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}); err != nil {
		return fmt.Errorf("prepare socket: %w", err)
	}
	if failed != nil && !errors.Is(failed, unix.ENOPROTOOPT) {
		return fmt.Errorf("set IP_BIND_ADDRESS_NO_PORT: %w", failed)
	}
	return nil
}
