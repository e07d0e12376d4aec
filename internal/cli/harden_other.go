//go:build unix && !linux

package cli

import "golang.org/x/sys/unix"

// harden keeps the memory of the process, where credentials are in the clear
// for moments, out of core files (setrlimit(2)).
func harden() error {
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}
