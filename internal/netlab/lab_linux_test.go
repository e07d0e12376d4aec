package netlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// echoSource serves on l: each client is told where it came from. It ends with
// the listener, hence before the test does.
func echoSource(t *testing.T, l net.Listener) {
	t.Helper()
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, addrPort(conn.RemoteAddr()).Addr().String())
			conn.Close()
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
}

func listen(t *testing.T, h *Host, address string) net.Listener {
	t.Helper()
	l, err := h.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ask connects and returns what the other side says.
func ask(t *testing.T, dial DialFunc, address string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	b, err := io.ReadAll(conn)
	return string(b), err
}

// The sockets are in the host and nowhere else, even those that live on after the
// thread that made them.
func TestTheMachineIsNotInTheLab(t *testing.T) {
	h := New(t).Host("jira", "203.0.113.9/24")
	echoSource(t, listen(t, h, "203.0.113.9:443"))
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("203.0.113.9")}}
	if _, err := ask(t, dialer.DialContext, "203.0.113.9:443"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("the machine has the host's address: %v", err)
	}
	before, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var inside []net.Addr
	if err := h.Run(func() (err error) { inside, err = net.InterfaceAddrs(); return err }); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(inside, func(a net.Addr) bool { return a.String() == "203.0.113.9/24" }) {
		t.Errorf("the host has %v", inside)
	}
	after, err := net.InterfaceAddrs()
	if err != nil || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("the machine had %v, has %v, %v", before, after, err)
	}
}

// Threads of labs are thrown away: none comes back to other goroutines, and the
// main thread is never one of them.
func TestThreadsDoNotWander(t *testing.T) {
	h := New(t).Host("jira", "203.0.113.9/24")
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	there := func() error {
		ns, err := os.Readlink("/proc/thread-self/ns/net")
		if err == nil && (ns == home || unix.Gettid() == unix.Getpid()) {
			err = fmt.Errorf("in namespace %s on thread %d of process %d", ns, unix.Gettid(), unix.Getpid())
		}
		return err
	}
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for range 25 {
				if err := h.Run(there); err != nil {
					t.Error(err)
				}
				if ns, err := os.Readlink("/proc/thread-self/ns/net"); err != nil || ns != home {
					t.Errorf("back in %s, %v, want %s", ns, err, home)
				}
				runtime.Gosched()
			}
		})
	}
	running.Wait()
	if ns, err := os.Readlink("/proc/self/ns/net"); err != nil || ns != home {
		t.Errorf("the main thread is in %s, %v, want %s", ns, err, home)
	}
}

func TestRunReturnsWhateverHappens(t *testing.T) {
	h := New(t).Host("jira")
	if err := h.Run(func() error { runtime.Goexit(); return nil }); !errors.Is(err, errLeft) {
		t.Errorf("error %v, want %v", err, errLeft)
	}
	if err := h.Run(func() error { return io.ErrUnexpectedEOF }); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
}

// Labs side by side have the same addresses and do not meet.
func TestParallelLabs(t *testing.T) {
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			l := New(t)
			gateway := l.Host("gateway", fmt.Sprintf("10.0.0.%d/24", 100+i))
			jira := l.Host("jira", "10.0.0.9/24")
			capture := jira.Capture()
			echoSource(t, listen(t, jira, "10.0.0.9:443"))
			for range 5 {
				if got, err := ask(t, gateway.DialContext, "10.0.0.9:443"); err != nil || got != fmt.Sprintf("10.0.0.%d", 100+i) {
					t.Errorf("came from %q, %v", got, err)
				}
			}
			for _, p := range capture.Stop() {
				if from := p.Src.Addr().String(); from != "10.0.0.9" && from != fmt.Sprintf("10.0.0.%d", 100+i) && p.Protocol == TCP {
					t.Errorf("a packet of another lab: %s", p)
				}
			}
		})
	}
}
