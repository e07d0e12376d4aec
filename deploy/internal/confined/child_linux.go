package confined

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// orders is the variable that has the test's program confine itself.
const orders = "CONFINED_ORDERS"

// order is what a process that confines itself is to do then.
type order struct {
	Filter Filter
	User   int      // to be, if it is root
	Listen bool     // the sockets that it has are for the program (sd_listen_fds(3))
	Args   []string // the program to become
	Probe  *probe   // or else a system call to make
}

// Main is the TestMain of a package that uses this one.
func Main(m *testing.M) {
	if text := os.Getenv(orders); text != "" {
		fmt.Fprintln(os.Stderr, "confining:", confine(text))
		os.Exit(125)
	}
	dir, err := os.MkdirTemp("", "confined-")
	if err == nil {
		self = filepath.Join(dir, "self")
		err = buildSelf()
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// self is the test's own program as the gateway is built: without C's library, which ends
// a program that has a thread in the making when the filter comes.
var self string

func buildSelf() error {
	cmd := exec.Command("go", "test", "-c", "-o", self, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the tests without C's library: %w\n%s", err, out)
	}
	return nil
}

// confine returns only if it fails.
func confine(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	if err := os.Unsetenv(orders); err != nil {
		return err
	}
	if o.Listen {
		// Only the process itself knows its id.
		if err := os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())); err != nil {
			return err
		}
	}
	policy, err := o.Filter.policy()
	if err != nil {
		return err
	}
	environ := os.Environ()
	runtime.LockOSThread()
	unix.Umask(0o077)
	err = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	if os.Geteuid() == 0 && o.Probe == nil {
		err = errors.Join(err, dropRoot(o.User))
	}
	if err != nil {
		return err
	}
	// For each thread: one that was there before would be outside of the filter.
	if err := seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: policy}); err != nil {
		return err
	}
	if o.Probe != nil {
		o.Probe.make()
	}
	return fmt.Errorf("start %s: %w", o.Args[0], syscall.Exec(o.Args[0], o.Args, environ))
}

// dropRoot gives up all capabilities for good.
func dropRoot(user int) error {
	for c := uintptr(0); c <= 63; c++ { // as many as fit; the kernel knows fewer
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setresgid(user, user, user); err != nil {
		return err
	}
	return syscall.Setresuid(user, user, user)
}
