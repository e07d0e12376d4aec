//go:build unix

package gateway

import "golang.org/x/sys/unix"

// readable reports whether a socket has something to be read, an end or an error included.
func readable(fd uintptr) bool {
	var one [1]byte
	_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK)
	return err != unix.EAGAIN && err != unix.EINTR
}
