package cli

import (
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jiragate/internal/jirasim"
)

// Each process may be killed at each step of a handover. Where the old one is left, it
// goes on; where the new one is left and the work is its own, it serves.

// slowCall makes a call that is under way for d, and returns when Jira has it.
func (f *fleeting) slowCall(c *http.Client, d time.Duration) <-chan error {
	f.t.Helper()
	f.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: d, Times: 1})
	before := len(f.sim.Requests())
	done := make(chan error, 1)
	go func() { done <- f.call(c) }()
	eventually(f.t, "the call is at Jira", func() bool { return len(f.sim.Requests()) > before })
	return done
}

// prepared tells the gateway to hand over, and waits until the new process is
// prepared. A call that takes d holds the rest back.
func (f *fleeting) prepared(c *http.Client, d time.Duration) (pid int, call <-chan error) {
	f.t.Helper()
	call = f.slowCall(c, d)
	f.signal(syscall.SIGUSR2)
	return f.number(`prepared to take over" .*pid=(\d+)`, 1), call
}

func (f *fleeting) number(line string, n int) int {
	f.t.Helper()
	i, err := strconv.Atoi(f.says(line, n))
	if err != nil {
		f.t.Fatal(err)
	}
	return i
}

func (f *fleeting) kill(pid int) {
	f.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		f.t.Fatal(err)
	}
	if pid == f.pids[0] {
		f.killed = true
	}
}

// locked takes the lock of the store as soon as the old process has let it go, so that
// the new one, whose turn it is, has to wait. It returns when that is so.
func (f *fleeting) locked() (unlock func()) {
	f.t.Helper()
	store, err := os.OpenFile(f.path("data/store.db"), os.O_RDWR, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	had := make(chan error, 1)
	go func() { had <- syscall.Flock(int(store.Fd()), syscall.LOCK_EX) }()
	f.signal(syscall.SIGUSR2)
	select {
	case err := <-had:
		if err != nil {
			f.t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		f.t.Fatal("the old process keeps the store")
	}
	return func() { store.Close() }
}

func gone(pid int) func() bool {
	return func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
}

func TestTheNewProcessIsKilled(t *testing.T) {
	t.Run("before it is prepared", func(t *testing.T) {
		f := startFleeting(t)
		f.install("#!/bin/sh\nkill -9 $$\n")
		f.signal(syscall.SIGUSR2)
		if line := f.says(`msg="no handover to a new program" error=(.*)`, 1); !strings.Contains(line, "signal: killed") {
			t.Errorf("the log says %s", line)
		}
		if err := f.call(f.client(http1)); err != nil {
			t.Error(err)
		}
	})
	t.Run("once it is prepared", func(t *testing.T) {
		f := startFleeting(t)
		client := f.client(http1)
		pid, call := f.prepared(client, 2*time.Second)
		f.kill(pid)
		if err := <-call; err != nil {
			t.Error(err)
		}
		f.says(`the old one does again`, 1)
		f.stillServes(client)
	})
	t.Run("while it begins to serve", func(t *testing.T) {
		f := startFleeting(t)
		client := f.client(http1)
		if err := f.call(client); err != nil { // whose connection is kept
			t.Error(err)
		}
		unlock := f.locked()
		f.kill(f.number(`prepared to take over" .*pid=(\d+)`, 1))
		unlock()
		f.says(`the old one does again`, 1)
		f.stillServes(client)
	})
	t.Run("while connections are passed on", func(t *testing.T) {
		f := startFleeting(t)
		if err := f.call(f.client(http1)); err != nil {
			t.Error(err)
		}
		f.upgrade()
		f.kill(f.pids[1])
		f.firstEnds() // it has nothing to do any more
	})
}

// stillServes: calls and commands go as before, and so does the next handover.
func (f *fleeting) stillServes(c *http.Client) {
	f.t.Helper()
	if err := f.call(c); err != nil {
		f.t.Error(err)
	}
	if err := f.call(f.client(http2)); err != nil {
		f.t.Error(err)
	}
	mustRun(f.t, f.environ, "", "status")
	f.upgrade()
	if err := f.call(c); err != nil {
		f.t.Error(err)
	}
}

func TestTheOldProcessIsKilled(t *testing.T) {
	t.Run("once the new one is prepared", func(t *testing.T) {
		f := startFleeting(t)
		pid, call := f.prepared(f.client(http1), time.Minute)
		f.kill(f.pids[0])
		if err := <-call; err == nil {
			t.Error("the call of a process that was killed succeeded")
		}
		f.says("the predecessor ended without handing over", 1)
		eventually(t, "the new process ends", gone(pid))
	})
	t.Run("while the new one begins to serve", func(t *testing.T) {
		// Between letting the store go and saying so there is a moment, in which the old
		// process is killed now and then.
		for try := 1; ; try++ {
			f := startFleeting(t)
			unlock := f.locked()
			pid := f.number(`prepared to take over" .*pid=(\d+)`, 1)
			f.kill(f.pids[0])
			unlock()
			f.pids = append(f.pids, pid)
			if f.says("gateway ready|(ended without handing over)", 2) == "" {
				f.stillServes(f.client(http1))
				return
			}
			if try == 10 {
				t.Fatal("the new process never began to serve")
			}
		}
	})
	t.Run("while it passes connections on", func(t *testing.T) {
		f := startFleeting(t)
		client := f.client(http1)
		if err := f.call(client); err != nil {
			t.Error(err)
		}
		f.upgrade()
		f.says("took over", 1)
		f.kill(f.pids[0])
		f.firstEnds()
		client.CloseIdleConnections() // of which the kernel tells a client when it looks
		if err := f.call(client); err != nil {
			t.Error(err)
		}
	})
}

// TestSignalsAtTheWrongTime: a second SIGUSR2 is the next handover, and SIGTERM ends the
// gateway, wherever it is.
func TestSignalsAtTheWrongTime(t *testing.T) {
	t.Run("SIGUSR2 twice", func(t *testing.T) {
		f := startFleeting(t)
		client := f.client(http1)
		_, call := f.prepared(client, time.Second)
		f.signal(syscall.SIGUSR2) // the old one has nothing to hand over when it comes to that
		if err := <-call; err != nil {
			t.Error(err)
		}
		f.pids = append(f.pids, f.number(`msg="handed over" pid=(\d+)`, 1))
		f.signal(syscall.SIGUSR2) // while connections are still passed on
		f.pids = append(f.pids, f.number(`msg="handed over" pid=(\d+)`, 2))
		if err := f.call(client); err != nil {
			t.Error(err)
		}
	})
	t.Run("SIGTERM while calls end", func(t *testing.T) {
		f := startFleeting(t)
		pid, call := f.prepared(f.client(http1), 2*time.Second)
		f.signal(syscall.SIGTERM)
		if err := <-call; err != nil {
			t.Error(err)
		}
		f.firstEnds()
		eventually(t, "the new process ends", gone(pid))
	})
	t.Run("SIGTERM to all while connections are passed on", func(t *testing.T) {
		f := startFleeting(t)
		client := f.client(http1)
		if err := f.call(client); err != nil {
			t.Error(err)
		}
		f.upgrade()
		f.says("took over", 1)
		call := f.slowCall(client, 2*time.Second) // by what the old process passes on
		for _, pid := range f.pids {
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		}
		if err := <-call; err != nil {
			t.Errorf("a call in flight: %v", err)
		}
		f.stop()
	})
}

// TestManyUpgrades, one after the other, leave nothing behind.
func TestManyUpgrades(t *testing.T) {
	f := startFleeting(t)
	client := f.client(http1)
	files := 0
	for i := range 10 {
		f.upgrade()
		if err := f.call(client); err != nil {
			t.Error(err)
		}
		f.says("took over", i+1)
		if i > 0 {
			continue // all but the last one end meanwhile
		}
		files = f.open()
	}
	client.CloseIdleConnections()
	for _, pid := range f.pids[1:10] {
		eventually(t, "the process ends", gone(pid))
	}
	eventually(t, "it has no more files open than at first", func() bool { return f.open() <= files })
}

// open counts the files that the process that serves has open.
func (f *fleeting) open() int {
	list, err := os.ReadDir("/proc/" + strconv.Itoa(f.pids[len(f.pids)-1]) + "/fd")
	if err != nil {
		f.t.Skip("open files can't be counted here")
	}
	return len(list)
}
