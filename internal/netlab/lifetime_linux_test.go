package netlab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Nothing is left of a lab, even of one whose test failed half-way.
func TestNothingIsLeft(t *testing.T) {
	named := netnsList(t)
	var inodes []string
	fake := &fakeT{TB: t, dir: t.TempDir()}
	var l *Lab
	fake.run(func() {
		l = New(fake)
		gateway := l.Host("gateway", "10.0.0.5/24")
		for _, n := range []namespace{l.bridge, gateway.namespace} {
			stat, err := n.file.Stat()
			if err != nil {
				t.Fatal(err)
			}
			inodes = append(inodes, fmt.Sprintf("net:[%d]", stat.Sys().(*syscall.Stat_t).Ino))
		}
		if got := namespaceUsers(inodes); len(got) == 0 {
			t.Errorf("namespaces %v are not found while they are in use: the test is blind", inodes)
		}
		gateway.Capture()
		if _, err := gateway.Listen("tcp", "10.0.0.5:443"); err != nil {
			t.Error(err)
		}
		if err := gateway.Start(child("sleep")); err != nil {
			t.Error(err)
		}
		l.Host("gateway") // fatal
		t.Error("a second host of the same name was made")
	})
	if !strings.Contains(fake.fatal, "has a host gateway already") {
		t.Errorf("fatal %q", fake.fatal)
	}
	if len(inodes) != 2 {
		t.Skip("no lab was made: " + fake.skipped)
	}
	var users []string
	for range 500 { // threads and killed processes take a moment to go
		if users = namespaceUsers(inodes); len(users) == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if len(users) > 0 {
		t.Errorf("namespaces still in use by %v", users)
	}
	runtime.KeepAlive(l) // so that nothing was closed by collecting it
	if got := netnsList(t); got != named {
		t.Errorf("ip netns list: %q, before %q", got, named)
	}
}

func netnsList(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("ip", "netns", "list").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// namespaceUsers returns the threads and descriptors that hold a namespace.
// Zombies hold none.
func namespaceUsers(inodes []string) []string {
	var users []string
	for _, pattern := range []string{"/proc/[0-9]*/task/[0-9]*/ns/net", "/proc/self/fd/*", "/proc/[0-9]*/fd/*"} {
		links, _ := filepath.Glob(pattern)
		for _, link := range links {
			if to, err := os.Readlink(link); err == nil && slices.Contains(inodes, to) {
				users = append(users, link)
			}
		}
	}
	return users
}

// A machine without labs skips, and where labs are a must it fails.
func TestWithoutWhatALabNeeds(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, test := range []struct{ variable, skipped, fatal string }{
		{"", "install iproute2", ""},
		{"1", "", "install iproute2"},
	} {
		t.Run("variable "+test.variable, func(t *testing.T) {
			t.Setenv(RequireVariable, test.variable)
			fake := &fakeT{TB: t}
			fake.run(func() {
				New(fake)
				t.Error("a lab was made without the ip command")
			})
			if !strings.Contains(fake.skipped, test.skipped) || (fake.skipped == "") != (test.skipped == "") ||
				!strings.Contains(fake.fatal, test.fatal) || (fake.fatal == "") != (test.fatal == "") {
				t.Errorf("skipped %q, fatal %q", fake.skipped, fake.fatal)
			}
		})
	}
}

// fakeT is a test whose end can be watched from outside.
type fakeT struct {
	testing.TB
	dir            string
	cleanups       []func()
	skipped, fatal string
}

func (f *fakeT) Cleanup(fn func()) { f.cleanups = append(f.cleanups, fn) }
func (f *fakeT) TempDir() string   { return f.dir }
func (f *fakeT) Skipf(format string, args ...any) {
	f.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
func (f *fakeT) Fatalf(format string, args ...any) {
	f.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (f *fakeT) run(test func()) {
	var running sync.WaitGroup
	running.Go(test)
	running.Wait()
	for _, fn := range slices.Backward(f.cleanups) {
		fn()
	}
}
