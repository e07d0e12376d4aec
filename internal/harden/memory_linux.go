package harden

import (
	"errors"
	"fmt"
	"math"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NoDumps keeps the memory of the process out of core files, for good, and away from
// debuggers of the same user: its files in /proc are root's from then on (setrlimit(2),
// PR_SET_DUMPABLE(2const)). A program that it executes begins dumpable again, and without
// core files.
func NoDumps() error {
	return errors.Join(
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0),
	)
}

// ErrLockLimit: the process may not lock as much memory as it may come to need.
var ErrLockLimit = errors.New("the limit of locked memory is too low")

// LockMemory keeps all memory of the process, that of now and of later, out of swap
// (mlockall(2)). Nothing less would do, since Go moves what it holds as it likes. Pages are
// locked once they are used, so that what the runtime merely reserves takes no memory, and
// the runtime goes on giving back what it doesn't use. A hibernating machine writes locked
// pages, too.
//
// It needs RLIMIT_MEMLOCK to be unlimited, the right to make it so, or CAP_IPC_LOCK;
// otherwise the error is [ErrLockLimit]. A limit that is merely high would end the process
// later: reserved memory counts, and a reservation that fails is fatal to Go's runtime.
func LockMemory() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return fmt.Errorf("lock the memory: %w", err)
	}
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if limit.Cur != unlimited.Cur && unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unlimited) != nil && !mayExceed(limit.Cur) {
		return fmt.Errorf("lock the memory: %w: %d bytes", ErrLockLimit, limit.Cur)
	}
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		return fmt.Errorf("lock the memory: %w", err)
	}
	return nil
}

// mayExceed reports whether the process may lock more than the limit, in bytes. It tries,
// since in a user namespace a process can have CAP_IPC_LOCK in vain.
func mayExceed(limit uint64) bool {
	if limit > math.MaxInt>>1 {
		return false
	}
	region, err := unix.Mmap(-1, 0, int(limit)+os.Getpagesize(), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Munmap(region) }() // it can't fail
	_, _, errno := unix.Syscall(unix.SYS_MLOCK2, uintptr(unsafe.Pointer(unsafe.SliceData(region))), uintptr(len(region)), unix.MLOCK_ONFAULT)
	return errno == 0
}
