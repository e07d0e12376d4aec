//go:build unix && !linux

package harden

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// HideEnvironment does nothing: what the system shows of the environment remains.
func HideEnvironment() error { return nil }

// NoDumps keeps the memory of the process out of core files (setrlimit(2)). Debuggers of
// the same user remain.
func NoDumps() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }

// ErrLockLimit is for Linux.
var ErrLockLimit = errors.New("the limit of locked memory is too low")

// LockMemory fails: it is for Linux.
func LockMemory() error { return fmt.Errorf("lock the memory: %w", errors.ErrUnsupported) }
