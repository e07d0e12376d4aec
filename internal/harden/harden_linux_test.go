package harden_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jiragate/internal/harden"
)

// part makes the test program another process, which does one thing, says what came of it
// in one line, and waits until its standard input ends.
const part = "HARDEN_TEST_PART"

func TestMain(m *testing.M) {
	parts := map[string]func() string{
		"environment": func() string {
			if err := errors.Join(harden.HideEnvironment(), harden.HideEnvironment()); err != nil {
				return err.Error()
			}
			child, err := exec.Command("/bin/sh", "-c", "printf %s $A_SECRET").Output()
			if err != nil {
				return err.Error()
			}
			return fmt.Sprintf("%s %s %d", os.Getenv("A_SECRET"), child, len(os.Args))
		},
		"nothing": func() string { return "done" },
		"dumps":   func() string { return fmt.Sprint(harden.NoDumps()) },
		"lock":    lock,
	}
	do := parts[os.Getenv(part)]
	if do == nil {
		os.Exit(m.Run())
	}
	fmt.Println(do())
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test has seen enough
}

// lock locks the memory, uses 64 MiB, gives them back, and tells the KiB that it had then
// and has now.
func lock() string {
	if err := harden.LockMemory(); err != nil {
		if errors.Is(err, harden.ErrLockLimit) {
			return "limit"
		}
		return err.Error()
	}
	much := make([]byte, 64<<20)
	for i := range much {
		much[i] = 1
	}
	used := resident()
	much[0] = 2 // it is used until here
	debug.FreeOSMemory()
	return fmt.Sprint(used, " ", resident())
}

func resident() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	return kib(status, "VmRSS")
}

func kib(status []byte, key string) int {
	found := regexp.MustCompile(`(?m)^` + key + `:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(string(found[1])) // digits
	return n
}

// process is the test program doing one part.
type process struct {
	*exec.Cmd
	said string
	end  func() error
}

// start runs a part, as the user of this process unless as says another one.
func start(t *testing.T, name string, as *syscall.SysProcAttr, arguments ...string) *process {
	t.Helper()
	program, err := os.Open("/proc/self/exe") // which another user doesn't find by its name
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	p := &process{Cmd: &exec.Cmd{
		Path: "/proc/self/fd/3", Args: append([]string{"harden.test"}, arguments...), ExtraFiles: []*os.File{program},
		Env: []string{"A_SECRET=S3cret", part + "=" + name, "MALFORMED", "A_SECRET=S3cret", "LAST=S3cret"}, SysProcAttr: as, Stderr: os.Stderr,
	}}
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() }) // unless it has ended
	p.end = func() error { return errors.Join(in.Close(), p.Wait()) }
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("it says %q: %v", line, err)
	}
	p.said = strings.TrimSpace(line)
	return p
}

// proc is a file of the process in /proc.
func (p *process) proc(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.Process.Pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// The kernel shows nothing of the environment any more, whatever the arguments are; the
// process and its children have it.
func TestHideEnvironment(t *testing.T) {
	if shown := start(t, "nothing", nil).proc(t, "environ"); !strings.Contains(string(shown), "S3cret") {
		t.Fatalf("the kernel shows %q anyway", shown)
	}
	for _, arguments := range [][]string{nil, {"serve"}, {"with", "", "empty ones", ""}} {
		t.Run(strings.Join(arguments, " "), func(t *testing.T) {
			p := start(t, "environment", nil, arguments...)
			if want := fmt.Sprintf("S3cret S3cret %d", len(arguments)+1); p.said != want {
				t.Errorf("it says %q, want %q", p.said, want)
			}
			if shown := p.proc(t, "environ"); len(shown) == 0 || strings.Trim(string(shown), "\x00") != "" {
				t.Errorf("the kernel shows %q", shown)
			}
			if shown, want := string(p.proc(t, "cmdline")), strings.Join(append([]string{"harden.test"}, arguments...), "\x00")+"\x00"; shown != want {
				t.Errorf("its arguments are %q, want %q", shown, want)
			}
			if err := p.end(); err != nil {
				t.Error(err)
			}
		})
	}
}

// nobody is a user without rights where the test is run by root, whose files in /proc are
// root's in any case.
func nobody() *syscall.SysProcAttr {
	if os.Geteuid() != 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

func TestNoDumps(t *testing.T) {
	owner := func(p *process) uint32 {
		info, err := os.Stat(fmt.Sprintf("/proc/%d/environ", p.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Uid
	}
	none := regexp.MustCompile(`(?m)^Max core file size +0 +0 +bytes`)

	plain := start(t, "nothing", nobody())
	if owner(plain) == 0 {
		t.Fatal("the files of any process are root's, where this test is run")
	}
	if none.Match(plain.proc(t, "limits")) {
		t.Log("no process may leave a core file, where this test is run")
	}

	p := start(t, "dumps", nobody())
	if p.said != "<nil>" {
		t.Fatal(p.said)
	}
	if o := owner(p); o != 0 {
		t.Errorf("its files in /proc belong to user %d", o)
	}
	if limits := p.proc(t, "limits"); !none.Match(limits) {
		t.Errorf("its limits:\n%s", limits)
	}
	if err := p.Process.Signal(syscall.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	err := p.end()
	if status, ok := p.ProcessState.Sys().(syscall.WaitStatus); err == nil || !ok || status.CoreDump() {
		t.Errorf("it ended with %v", err)
	}
}

// All memory is locked, later memory too, and what isn't used any more is given back all
// the same. Where the process may not lock that much, it is told so.
func TestLockMemory(t *testing.T) {
	p := start(t, "lock", nil)
	if p.said != "limit" {
		var used, left int
		if _, err := fmt.Sscan(p.said, &used, &left); err != nil {
			t.Fatalf("it says %q: %v", p.said, err)
		}
		if used < 64<<10 || left > used-32<<10 {
			t.Errorf("of %d KiB that were used %d are left", used, left)
		}
		if status := p.proc(t, "status"); kib(status, "VmLck") < 64<<10 || kib(status, "VmLck") < kib(status, "VmRSS") {
			t.Errorf("its status:\n%s", status)
		}
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}

	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 || limit.Cur == unix.RLIM_INFINITY {
		return // for the rest one must be root, under a limit
	}
	if refused := start(t, "lock", nobody()); refused.said != "limit" {
		t.Errorf("somebody who may lock %d bytes is told %q", limit.Cur, refused.said)
	}
}
