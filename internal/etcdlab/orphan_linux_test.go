package etcdlab

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childVariable, in the environment, has TestMembersEndWithTheirTest be the test that dies.
const childVariable = "ETCDLAB_CHILD"

// A test process that is killed, which cleans up nothing, leaves no etcd.
func TestMembersEndWithTheirTest(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		c := quick(t, Options{})
		c.members[1].Pause() // one that can't help itself
		for _, m := range c.members {
			fmt.Println("member", m.process.cmd.Process.Pid)
		}
		select {} // until it is killed
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	// What the child leaves behind goes with the test's directory.
	child.Env = append(os.Environ(), childVariable+"=1", "TMPDIR="+t.TempDir())
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var members []int
	for lines := bufio.NewScanner(out); len(members) < 3 && lines.Scan(); {
		if number, ok := strings.CutPrefix(lines.Text(), "member "); ok {
			pid, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			members = append(members, pid)
		}
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	if len(members) != 3 {
		t.Fatalf("the child has started %d members", len(members))
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		alive := 0
		for _, pid := range members {
			if running(t, pid) {
				alive++
			}
		}
		if alive == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d members still run after %v", alive, patience)
		}
	}
}

// running reports whether the process is there and no zombie, which is what it is until
// the system's first process has noticed (proc_pid_stat(5)).
func running(t *testing.T, pid int) bool {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false
	} else if err != nil {
		t.Fatal(err)
	}
	_, state, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}
