package cli

import (
	"net"
	"strconv"

	"golang.org/x/sys/unix"
)

// peer asks the kernel who is at the other end of the admin socket
// (SO_PEERCRED, unix(7)).
func peer(conn net.Conn) (uid, pid string) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return "", ""
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return "", ""
	}
	_ = raw.Control(func(fd uintptr) { // what fails leaves both empty
		if credentials, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid, pid = strconv.FormatUint(uint64(credentials.Uid), 10), strconv.Itoa(int(credentials.Pid))
		}
	})
	return uid, pid
}
