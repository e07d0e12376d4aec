package netlab

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Start starts a process in the host; all that it opens is there. The caller
// waits for it ([exec.Cmd.Wait]) and reads its output as usual. A test binary can
// start itself, [os.Executable] with a variable in the environment that its
// TestMain looks for. The process is killed when the lab ends or the test process
// dies; its own children are not. Start sets cmd.SysProcAttr.Pdeathsig.
func (h *Host) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error, 1)
	h.lab.held.Go(func() {
		_ = onOwnThread(func() error {
			err := h.enter()
			if err == nil {
				err = cmd.Start() // clone(2) copies the namespaces of the calling thread
			}
			started <- err
			if err == nil {
				<-h.lab.ended // the death signal comes with the end of this thread (prctl(2), PR_SET_PDEATHSIG)
				_ = cmd.Process.Kill()
			}
			return err
		})
	})
	if err := <-started; err != nil {
		return fmt.Errorf("lab host %s: start %s: %w", h.name, cmd.Path, err)
	}
	return nil
}

// Run calls fn on a thread of the host, which it has for itself, and returns its
// error. Sockets that the calling goroutine opens are in the host and may be used
// from any goroutine later; so may processes that it starts. What other
// goroutines open, those that fn starts too, is not. fn must return: after
// t.FailNow or t.Fatal in it, Run returns an error.
func (h *Host) Run(fn func() error) error {
	return onOwnThread(func() error {
		if err := h.enter(); err != nil {
			return err
		}
		return fn()
	})
}

// enter moves the calling thread, which must be [onOwnThread]'s, into the host.
func (h *Host) enter() error {
	if err := h.namespace.enter(); err != nil {
		return fmt.Errorf("lab host %s: %w", h.name, err)
	}
	if err := h.resolver.enter(); err != nil {
		return fmt.Errorf("lab host %s: put its resolv.conf in place: %w", h.name, err)
	}
	return nil
}

// resolvers is which name servers a host asks.
type resolvers struct {
	mu   sync.Mutex
	file string // what /etc/resolv.conf is for the host; empty means the machine's
}

// SetResolvers makes processes that are started in the host from now on ask these
// name servers, on port 53: they find them in /etc/resolv.conf. /etc/hosts stays
// the machine's. Without it, they have the machine's servers, which a lab cannot
// reach.
func (h *Host) SetResolvers(servers ...netip.Addr) error {
	var text strings.Builder
	for _, server := range servers {
		fmt.Fprintf(&text, "nameserver %s\n", server)
	}
	file := filepath.Join(h.lab.t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("lab host %s: set name servers: %w", h.name, err)
	}
	h.resolver.mu.Lock()
	defer h.resolver.mu.Unlock()
	h.resolver.file = file
	return nil
}

// enter gives the calling thread a view of the file system of its own, with the
// host's resolv.conf in it.
func (r *resolvers) enter() error {
	r.mu.Lock()
	file := r.file
	r.mu.Unlock()
	if file == "" {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	// Without this the mount would be the machine's too.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount(file, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount on /etc/resolv.conf: %w", err)
	}
	return nil
}
