package netlab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// RequireVariable names the environment variable that makes a lab a must: if it
// is set (to 1, by custom), [New] fails tests that it would skip otherwise. It
// is for CI, where a skipped proof would go unnoticed.
const RequireVariable = "CI_REQUIRE_NETNS"

// Lab is one Ethernet segment with its hosts. It is safe for concurrent use.
// Labs know nothing of each other and may use the same addresses.
type Lab struct {
	t      testing.TB
	bridge namespace
	ended  chan struct{}  // closed when the lab ends
	held   sync.WaitGroup // threads that processes depend on

	mu        sync.Mutex
	hosts     map[string]*Host
	addresses map[netip.Addr]*Host
	closing   []func() // called when the lab ends, last first
}

// New makes a lab without hosts. With the end of the test all that belongs to it
// goes: processes are killed, listeners and captures closed, namespaces given
// back. The test is skipped where labs are impossible, see the package comment;
// any other failure is fatal to it.
func New(t testing.TB) *Lab {
	t.Helper()
	l := &Lab{t: t, ended: make(chan struct{}), hosts: map[string]*Host{}, addresses: map[netip.Addr]*Host{}}
	t.Cleanup(l.end)
	if err := l.setUp(); err != nil {
		if missing, ok := errors.AsType[*missingError](err); ok && os.Getenv(RequireVariable) == "" {
			t.Skipf("no lab of network namespaces here (set %s=1 to make this a failure): %v", RequireVariable, missing)
		}
		t.Fatalf("make a lab of network namespaces: %v", err)
	}
	return l
}

// missingError is the error of a machine that cannot have labs.
type missingError struct {
	what string
	err  error
}

func (e *missingError) Error() string { return e.what + ": " + e.err.Error() }
func (e *missingError) Unwrap() error { return e.err }

// setUp makes the bridge, and tries what hosts will need.
func (l *Lab) setUp() error {
	if _, err := exec.LookPath("ip"); err != nil {
		return &missingError{"the ip command is missing; install iproute2", err}
	}
	var err error
	if l.bridge, err = newNamespace(); err != nil {
		for _, forbidden := range []error{unix.EPERM, unix.ENOSYS, unix.EINVAL} {
			if errors.Is(err, forbidden) {
				return &missingError{"the kernel allows no network namespaces; run as root", err}
			}
		}
		return err // a limit, say: not this machine's nature
	}
	if err := l.bridge.run(keepSecondaries); err != nil {
		return &missingError{"the namespace's settings cannot be written", err}
	}
	if err := l.bridge.run(tryPacketSocket); err != nil {
		return &missingError{"packets cannot be captured; CAP_NET_RAW is needed", err}
	}
	// No spanning tree, so ports forward at once.
	if err := l.bridge.ip(namespace{}, "link add br0 type bridge mcast_snooping 0", "link set br0 addrgenmode none", "link set br0 up",
		"link add try0 type veth peer name try1", "link delete try0"); err != nil {
		return &missingError{"the kernel has no bridges or no veth pairs", err}
	}
	return nil
}

// keepSecondaries makes the kernel keep the other addresses of a network when
// the first one is removed, as systemd does on most machines (ip-sysctl,
// promote_secondaries).
func keepSecondaries() error {
	return os.WriteFile("/proc/sys/net/ipv4/conf/all/promote_secondaries", []byte("1"), 0)
}

func tryPacketSocket() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open packet socket: %w", err)
	}
	return unix.Close(fd)
}

// end gives everything back. It works on a lab that is half made.
func (l *Lab) end() {
	close(l.ended)
	l.mu.Lock()
	closing := l.closing
	l.closing = nil
	l.mu.Unlock()
	for i := range closing {
		closing[len(closing)-1-i]()
	}
	l.held.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.hosts {
		h.namespace.file.Close()
	}
	if l.bridge.file != nil {
		l.bridge.file.Close()
	}
}

// atEnd has fn called when the lab ends, or now if it has ended.
func (l *Lab) atEnd(fn func()) {
	l.mu.Lock()
	select {
	case <-l.ended:
		l.mu.Unlock()
		fn()
		return
	default:
	}
	l.closing = append(l.closing, fn)
	l.mu.Unlock()
}
