package netlab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace without a name: it exists as long as the
// file is open, a thread is in it, or a socket belongs to it.
type namespace struct{ file *os.File }

// newNamespace makes an empty namespace: only a loopback interface, which is down.
func newNamespace() (namespace, error) {
	var n namespace
	err := onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		var err error
		n.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	return n, err
}

// run calls fn on a thread in the namespace and returns its error.
func (n namespace) run(fn func() error) error {
	return onOwnThread(func() error {
		if err := n.enter(); err != nil {
			return err
		}
		return fn()
	})
}

// enter moves the calling thread, which must be [onOwnThread]'s.
func (n namespace) enter() error {
	raw, err := n.file.SyscallConn() // keeps the descriptor from being closed meanwhile
	if err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Setns(int(fd), unix.CLONE_NEWNET) }); err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	if failed != nil {
		return fmt.Errorf("enter network namespace: %w", failed)
	}
	return nil
}

// ipTime bounds one run of the ip command, which takes milliseconds.
const ipTime = 30 * time.Second

// ip runs lines, each the arguments of one ip command, in the namespace. The
// namespace peer, if it has a file, is at /proc/self/fd/3 for them.
func (n namespace) ip(peer namespace, lines ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), ipTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if peer.file != nil {
		cmd.ExtraFiles = []*os.File{peer.file}
	}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := n.run(cmd.Run); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(lines, "; ip "), err, strings.Join(strings.Fields(output.String()), " "))
	}
	return nil
}

var errLeft = errors.New("the function ended its goroutine (t.FailNow, t.Fatal or runtime.Goexit) instead of returning an error")

// onOwnThread calls fn on an operating system's thread that nothing else uses
// and that ends with fn, so that whatever fn does to it is undone.
func onOwnThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errLeft
		defer func() { done <- err }()
		runtime.LockOSThread() // without unlocking, the goroutine takes the thread with it
		if unix.Gettid() == unix.Getpid() {
			// The main thread never ends (Go parks it instead), and is what
			// /proc/self shows. It is held here, so another one gets the work.
			defer runtime.UnlockOSThread()
			err = onOwnThread(fn)
			return
		}
		err = fn()
	}()
	return <-done
}
