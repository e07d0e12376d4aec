package harden

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// atExecFn is AT_EXECFN of getauxval(3), which x/sys doesn't have.
	atExecFn = 31
	// maxStrings bounds what arguments and environment take, in bytes: three quarters of
	// 8 MiB, whatever the limit of the stack is (execve(2)).
	maxStrings = 6 << 20
)

// HideEnvironment overwrites what the kernel shows of the environment in
// /proc/PID/environ, all of it: names, values, and what is malformed, since nobody can
// know in which variable somebody has put a secret. What the parent of the process has of
// it stays, and so does that of a child until it does the same.
//
// os.Environ, os.Getenv and the environment of children are not touched: Go's runtime has
// copied each variable to its heap before main (goenvs_unix in runtime/runtime1.go). C code
// would find its variables gone. Repeating it does nothing.
//
// It needs neither /proc nor a system call, so that it works in any sandbox, and in a
// program that may not be read.
func HideEnvironment() error {
	block, err := environment()
	if err != nil {
		return fmt.Errorf("hide the environment: %w", err)
	}
	clear(block)
	return nil
}

// environment is the memory that the kernel made for the environment at the top of the
// first thread's stack. There, from below, are the strings of the arguments, those of the
// environment, and the name of the program (do_execveat_common in fs/exec.c of Linux, and
// create_elf_tables in fs/binfmt_elf.c).
func environment() ([]byte, error) {
	vector, err := unix.Auxv()
	if err != nil {
		return nil, err
	}
	var end uintptr
	for _, entry := range vector {
		if entry[0] == atExecFn {
			end = entry[1]
		}
	}
	if end == 0 || len(os.Args) == 0 {
		return nil, errors.New("the kernel doesn't say where it is")
	}
	// The arguments are not copied (goargs), so that the last one leads there.
	last := os.Args[len(os.Args)-1]
	at := unsafe.Pointer(unsafe.StringData(last))
	start := uintptr(at) + uintptr(len(last)) + 1
	if start > end || end-start > maxStrings {
		return nil, errors.New("it is not where Linux puts it: behind the arguments")
	}
	if end == start {
		return nil, nil
	}
	return unsafe.Slice((*byte)(unsafe.Add(at, len(last)+1)), end-start), nil
}
