package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// clockVariable names the file that the wall clock of [clockProgram] goes by: it is off
// by as much as the file's time of modification is from clockRight. There is no other
// way to a process whose clock jumps: the kernel has namespaces for its other clocks only.
const clockVariable = "CLOCK_FILE"

var clockRight = time.Unix(1_000_000_000, 0)

// clockProgram builds the program with a package time whose wall clock can be set.
// Timers and durations go by the monotonic clock, as they do where a clock really jumps.
func clockProgram(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	original, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const reading = "sec, nsec, mono := runtimeNow()\n"
	now, rest, found := strings.Cut(string(original), "func Now() Time {\n\t"+reading)
	if !found {
		t.Fatalf("time.Now of %s doesn't begin with %q any more: see how it reads the clock now", runtime.Version(), reading)
	}
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(source, "time.go"): file("time.go", now+"func Now() Time {\n\t"+reading+"\tsec += clockOff.Load()\n"+rest),
		filepath.Join(source, "clockoff.go"): file("clockoff.go", `package time

import (
	"sync/atomic"
	"syscall"
)

// clockOff, in seconds. It is read here, since not everybody who asks for the time
// may make a system call.
var clockOff atomic.Int64

func init() {
	name, found := syscall.Getenv("`+clockVariable+`")
	if !found {
		return
	}
	read := func() {
		var is syscall.Stat_t
		if syscall.Stat(name, &is) == nil {
			clockOff.Store(int64(is.Mtim.Sec) - 1_000_000_000)
		}
	}
	read()
	go func() {
		for {
			Sleep(5 * Millisecond)
			read()
		}
	}()
}
`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "jiragate")
	build := exec.Command("go", "build", "-overlay", file("overlay.json", string(overlay)), "-o", program, "jiragate")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program with a clock that can be set: %v\n%s", err, out)
	}
	return program
}

func (f *faultStage) setClock(off time.Duration) {
	f.t.Helper()
	if err := os.Chtimes(f.clock, clockRight, clockRight.Add(off)); err != nil {
		f.t.Fatal(err)
	}
}

// date is what the gateway says of the time.
func (f *faultStage) date() time.Time {
	f.t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: f.machine.DialContext, DisableKeepAlives: true}, Timeout: 20 * time.Second}
	resp, err := client.Get("http://" + adminAddress + "/healthz")
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close() // its head is enough
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		f.t.Fatal(err)
	}
	return at
}

// clockTo has the gateway's wall clock jump.
func clockTo(off time.Duration) func(*faultStage) (end func()) {
	return func(f *faultStage) func() {
		set := func(off time.Duration) {
			f.t.Helper()
			f.setClock(off)
			eventually(f.t, "the gateway's clock is set", func() bool {
				at := f.date()
				return at.Sub(time.Now().Add(off)).Abs() < time.Minute
			})
		}
		set(off)
		return func() { set(0) }
	}
}
