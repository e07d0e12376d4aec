package confined

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// probe is a system call and its first arguments.
type probe struct {
	Name string
	Call uintptr
	Args [3]uintptr
}

// make makes the system call, and ends the process with the number of its error.
func (p *probe) make() {
	_, _, errno := unix.RawSyscall(p.Call, p.Args[0], p.Args[1], p.Args[2])
	os.Exit(int(errno))
}

// harmful are system calls that the gateway has no use for, and whoever has got into it
// would. Their arguments do no harm where they are allowed.
var harmful = []probe{
	{"ptrace", unix.SYS_PTRACE, [3]uintptr{unix.PTRACE_TRACEME}},
	{"process_vm_readv", unix.SYS_PROCESS_VM_READV, [3]uintptr{}},
	{"mount", unix.SYS_MOUNT, [3]uintptr{}},
	{"umount2", unix.SYS_UMOUNT2, [3]uintptr{}},
	{"pivot_root", unix.SYS_PIVOT_ROOT, [3]uintptr{}},
	{"chroot", unix.SYS_CHROOT, [3]uintptr{}},
	{"unshare", unix.SYS_UNSHARE, [3]uintptr{unix.CLONE_NEWUSER}},
	{"setns", unix.SYS_SETNS, [3]uintptr{^uintptr(0)}},
	{"clone into a namespace", unix.SYS_CLONE, [3]uintptr{unix.CLONE_NEWUSER | unix.CLONE_SIGHAND | uintptr(unix.SIGCHLD)}},
	{"clone3", unix.SYS_CLONE3, [3]uintptr{}},
	{"bpf", unix.SYS_BPF, [3]uintptr{^uintptr(0)}},
	{"perf_event_open", unix.SYS_PERF_EVENT_OPEN, [3]uintptr{}},
	{"userfaultfd", unix.SYS_USERFAULTFD, [3]uintptr{^uintptr(0)}},
	{"io_uring_setup", unix.SYS_IO_URING_SETUP, [3]uintptr{}},
	{"keyctl", unix.SYS_KEYCTL, [3]uintptr{^uintptr(0)}},
	{"add_key", unix.SYS_ADD_KEY, [3]uintptr{}},
	{"init_module", unix.SYS_INIT_MODULE, [3]uintptr{}},
	{"kexec_load", unix.SYS_KEXEC_LOAD, [3]uintptr{0, 17}},
	{"setuid", unix.SYS_SETUID, [3]uintptr{^uintptr(0)}},
	{"mknodat", unix.SYS_MKNODAT, [3]uintptr{^uintptr(0)}},
	{"memfd_create", unix.SYS_MEMFD_CREATE, [3]uintptr{}},
	{"socket of packets", unix.SYS_SOCKET, [3]uintptr{unix.AF_PACKET, unix.SOCK_RAW}},
	{"socket of virtual machines", unix.SYS_SOCKET, [3]uintptr{unix.AF_VSOCK, unix.SOCK_STREAM}},
}

// Probe makes system calls that the gateway has no use for, and fails the test unless
// the filter refuses each. What another part of the confinement refuses is named by
// elsewhere, and left out.
func Probe(t *testing.T, f Filter, elsewhere ...string) {
	for _, p := range harmful {
		if slices.Contains(elsewhere, p.Name) {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			// A process that is killed shows that it was the filter who said no.
			f.Kill = true
			if err := p.under(t, f); !killed(err) {
				t.Errorf("it ends with %v, and was to be killed", err)
			}
			f.Kill = false
			var ended *exec.ExitError
			if err := p.under(t, f); !errors.As(err, &ended) || ended.ExitCode() != int(syscall.EPERM) {
				t.Errorf("it ends with %v, want the error EPERM", err)
			}
		})
	}
	t.Run("what is allowed", func(t *testing.T) {
		f.Kill = true
		if err := (probe{Name: "getpid", Call: unix.SYS_GETPID}).under(t, f); err != nil {
			t.Errorf("it ends with %v", err)
		}
	})
}

// under is how a process ends that makes the system call under f.
func (p probe) under(t *testing.T, f Filter) error {
	t.Helper()
	return command(t, order{Filter: f, Probe: &p}).Run()
}

func killed(err error) bool {
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		return false
	}
	s, ok := ended.Sys().(syscall.WaitStatus)
	return ok && s.Signaled() && s.Signal() == syscall.SIGSYS
}

// command is the test's own program, which confines itself.
func command(t *testing.T, o order) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{fmt.Sprintf("%s=%s", orders, text)}
	return cmd
}
