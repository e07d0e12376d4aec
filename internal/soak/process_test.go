package soak

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything of the gateway's may take that is not measured. It
// only ends what hangs.
const patience = 60 * time.Second

// process is the gateway as it is shipped: a program with an environment.
type process struct {
	program string
	dir     string
	environ []string
	proxy   string // host:port
	admin   string
	command *exec.Cmd
	exited  chan struct{} // closed when the process is gone
	log     string        // file of its standard error
}

// build builds the program once for a test.
func build(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("descriptors and memory of another process are read from /proc, which is Linux's")
	}
	program := filepath.Join(t.TempDir(), "jiragate")
	if out, err := exec.Command("go", "build", "-o", program, "jiragate").CombinedOutput(); err != nil {
		t.Fatalf("building the gateway: %v\n%s", err, out)
	}
	return program
}

// newProcess prepares a gateway with an empty data directory and free ports.
func newProcess(t *testing.T, program string, environ ...string) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{program: program, dir: dir, proxy: freeAddress(t), admin: freeAddress(t), log: filepath.Join(dir, "gateway.log")}
	if *soakOut != "" {
		p.log = filepath.Join(*soakOut, strings.ReplaceAll(t.Name(), "/", "-")+".log")
	}
	p.environ = append([]string{
		"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir,
		"JIRAGATE_DATA_DIR=" + filepath.Join(dir, "data"),
		"JIRAGATE_PROXY_LISTEN=" + p.proxy,
		"JIRAGATE_ADMIN_LISTEN=" + p.admin,
		"JIRAGATE_LOG_LEVEL=warn",
	}, environ...)
	return p
}

// freeAddress is one where nobody listens at the moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs serve and waits until it is ready.
func (p *process) start(t *testing.T) {
	t.Helper()
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.command = exec.Command(p.program, "serve")
	p.command.Env, p.command.Stderr = p.environ, log
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	p.exited = make(chan struct{})
	go func() {
		defer close(p.exited)
		_ = p.command.Wait() // ProcessState tells
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill()
		<-p.exited
	})
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := p.get("/readyz"); err == nil {
			return
		} else if time.Now().After(end) || p.gone() {
			t.Fatalf("the gateway is not ready: %v\n%s", err, p.logged())
		}
	}
}

func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// stop ends the process as an init system does, and returns its exit code and how
// long it took.
func (p *process) stop() (code int, took time.Duration, err error) {
	began := time.Now()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, 0, fmt.Errorf("ending the gateway: %w", err)
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		return 0, 0, fmt.Errorf("the gateway has not ended %v after SIGTERM", patience)
	}
	return p.command.ProcessState.ExitCode(), time.Since(began), nil
}

// run runs another command of the program, with input.
func (p *process) run(ctx context.Context, input string, args ...string) (string, error) {
	var out, problems bytes.Buffer
	c := exec.CommandContext(ctx, p.program, args...)
	c.Dir, c.Env, c.Stdin, c.Stdout, c.Stderr = p.dir, p.environ, strings.NewReader(input), &out, &problems
	if err := c.Run(); err != nil {
		return out.String(), fmt.Errorf("jiragate %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(problems.String()))
	}
	return out.String(), nil
}

// must is run in the set-up of a test.
func (p *process) must(t *testing.T, input string, args ...string) string {
	t.Helper()
	out, err := p.run(t.Context(), input, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// get asks the admin listener.
func (p *process) get(path string) ([]byte, error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + p.admin + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", path, response.Status, body)
	}
	return body, err
}

// logged is the end of what the gateway has logged.
func (p *process) logged() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}

// holds is what a process holds at a moment.
type holds struct {
	Goroutines  float64 `json:"goroutines"`
	Descriptors float64 `json:"descriptors"`
	RSS         float64 `json:"rss_bytes"`
	Heap        float64 `json:"live_heap_bytes"` // as the last collection found it
	Tunnels     float64 `json:"open_tunnels"`    // -1 where the gateway doesn't tell
}

// holds looks at the gateway from outside, by /proc and /metrics.
func (p *process) holds() (h holds, err error) {
	page, err := p.get("/metrics")
	if err != nil {
		return h, err
	}
	metrics := readMetrics(page)
	h.Goroutines = metrics["go_goroutines"]
	// The next collection is due when the heap has grown by GOGC, so this tells
	// what was alive at the last one, without the garbage since.
	h.Heap = metrics["go_memstats_next_gc_bytes"] / (1 + metrics["go_gc_gogc_percent"]/100)
	h.Tunnels = -1
	for name, value := range metrics {
		if strings.HasPrefix(name, "jiragate_tunnels") && !strings.Contains(name, "_total") {
			h.Tunnels = max(h.Tunnels, 0) + value
		}
	}
	proc := fmt.Sprintf("/proc/%d/", p.command.Process.Pid)
	fds, err := os.ReadDir(proc + "fd")
	if err != nil {
		return h, err
	}
	h.Descriptors = float64(len(fds))
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		return h, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			if err != nil {
				return h, fmt.Errorf("reading %sstatus: %w", proc, err)
			}
			h.RSS = kb * 1024
		}
	}
	return h, nil
}

// readMetrics reads Prometheus's text format; series of a name are added up.
func readMetrics(page []byte) map[string]float64 {
	metrics := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(page)); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		series, text, _ := strings.Cut(line, " ")
		if open := strings.IndexByte(line, '{'); open >= 0 { // label values may hold spaces
			last := strings.LastIndexByte(line, '}')
			series, text = line[:open], strings.TrimSpace(line[last+1:])
		}
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			metrics[series] += value
		}
	}
	return metrics
}
