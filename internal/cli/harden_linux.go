package cli

import (
	"errors"

	"golang.org/x/sys/unix"
)

// harden keeps the memory of the process, where credentials are in the clear
// for moments, out of core files and away from debuggers of the same user
// (setrlimit(2), prctl(2) PR_SET_DUMPABLE).
func harden() error {
	return errors.Join(
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0),
	)
}
