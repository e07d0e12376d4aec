//go:build unix

package upstream

import (
	"io"
	"os"
	"syscall"
)

const canLook = true

// readNow reads what a socket has, without waiting: those of Go never block.
func readNow(fd uintptr, p []byte) (int, error) {
	for {
		switch n, err := syscall.Read(int(fd), p); {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, nothing{}
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// writeNow writes what a socket takes, without waiting.
func writeNow(fd uintptr, p []byte) (int, error) {
	for {
		switch n, err := syscall.Write(int(fd), p); {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, nil
		case err != nil:
			return 0, os.NewSyscallError("write", err)
		default:
			return n, nil
		}
	}
}
