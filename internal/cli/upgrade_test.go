package cli

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"jiragate/internal/jirasim"
)

// fleeting is a gateway as one process after the other, with a simulated Jira behind
// it. Each begins with the program that is at program then, as an operator replaces it.
type fleeting struct {
	t       *testing.T
	dir     string
	program string
	real    string // what program leads to at first
	environ []string
	log     *os.File // a pipe would be open until the last process ends
	sim     *jirasim.Sim
	token   string // of the client billing
	pids    []int
	ended   chan error // of the first process
	killed  bool       // it was, and so does not end well
}

func startFleeting(t *testing.T, settings ...string) *fleeting {
	t.Helper()
	f := newFleeting(t, settings...)
	f.begin(f.command())
	f.says(`gateway ready`, 1)
	return f
}

// newFleeting has a gateway that does not run yet.
func newFleeting(t *testing.T, settings ...string) *fleeting {
	t.Helper()
	real, err := exec.LookPath("jiragate")
	if err != nil {
		t.Fatal(err)
	}
	f := &fleeting{t: t, dir: t.TempDir()}
	f.program = filepath.Join(f.dir, "bin", "jiragate")
	if err := os.Mkdir(filepath.Dir(f.program), 0o700); err != nil {
		t.Fatal(err)
	}
	f.real = real
	f.install("#!/bin/sh\nexec " + real + ` "$@"` + "\n")
	if f.sim, err = jirasim.Start(jirasim.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.sim.Close(); err != nil {
			t.Error(err)
		}
	})
	grant := f.sim.IssueGrant()
	token, err := json.Marshal(map[string]string{
		"access_token": grant.AccessToken, "refresh_token": grant.RefreshToken,
		"expiry": time.Now().Add(time.Hour).Format(time.RFC3339), "scope": "read:jira-work write:jira-work read:jira-user offline_access",
	})
	if err != nil {
		t.Fatal(err)
	}
	secretFile, caFile := f.file("client-secret", []byte(jirasim.DefaultClientSecret)), f.file("jira-ca.pem", f.sim.CAPEM())
	f.environ = append([]string{
		"PATH=" + filepath.Dir(f.program) + ":" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0",
		"JIRAGATE_DATA_DIR=" + f.path("data"), "JIRAGATE_PROXY_LISTEN=127.0.0.1:0", "JIRAGATE_ADMIN_LISTEN=127.0.0.1:0",
		"JIRAGATE_ATLASSIAN_API_URL=" + f.sim.APIURL(), "JIRAGATE_ATLASSIAN_AUTH_URL=" + f.sim.AuthURL(),
		"JIRAGATE_OAUTH_CLIENT_ID=" + jirasim.DefaultClientID, "JIRAGATE_OAUTH_CLIENT_SECRET_FILE=" + secretFile,
		"JIRAGATE_UPSTREAM_CA_FILE=" + caFile, "JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8", "JIRAGATE_EGRESS=198.51.100.7=127.0.0.1",
	}, settings...)
	mustRun(t, f.environ, string(token), "connection", "add", "acme", "--edition", "cloud", "--site-url", f.sim.SiteURL(), "--cloud-id", f.sim.CloudID(), "--oauth-token-file", "-")
	var client struct{ Token string }
	if err := json.Unmarshal([]byte(mustRun(t, f.environ, "", "client", "add", "billing", "--connection", "acme", "--output", "json")), &client); err != nil {
		t.Fatal(err)
	}
	f.token = client.Token

	if f.log, err = os.Create(f.path("log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.log.Close() })
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log:\n%s", f.logged())
		}
	})
	return f
}

// command is the first process.
func (f *fleeting) command() *exec.Cmd {
	return &exec.Cmd{Path: f.real, Args: []string{f.program, "serve"}, Env: f.environ}
}

// begin starts the first process.
func (f *fleeting) begin(first *exec.Cmd) {
	f.t.Helper()
	first.Stdout, first.Stderr = f.log, f.log
	if err := first.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.pids, f.ended, f.killed = []int{first.Process.Pid}, make(chan error, 1), false
	ended := f.ended
	go func() { ended <- first.Wait() }()
	f.t.Cleanup(f.stop)
}

func (f *fleeting) path(name string) string { return filepath.Join(f.dir, name) }

func (f *fleeting) file(name string, content []byte) string {
	f.t.Helper()
	if err := os.WriteFile(f.path(name), content, 0o600); err != nil {
		f.t.Fatal(err)
	}
	return f.path(name)
}

func (f *fleeting) logged() string {
	f.t.Helper()
	text, err := os.ReadFile(f.path("log"))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}

// install puts a program in place, as package managers do: by another file.
func (f *fleeting) install(script string) {
	f.t.Helper()
	if err := os.WriteFile(f.program+".new", []byte(script), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(f.program+".new", f.program); err != nil {
		f.t.Fatal(err)
	}
}

// says waits until the log has a line for the nth time, and returns what its first
// group matches.
func (f *fleeting) says(line string, n int) string {
	f.t.Helper()
	pattern := regexp.MustCompile(line)
	var found [][]string
	eventually(f.t, "the log says "+line, func() bool {
		found = pattern.FindAllStringSubmatch(f.logged(), -1)
		return len(found) >= n
	})
	return found[n-1][len(found[n-1])-1]
}

// upgrade tells the process that serves to hand over, and waits until another one does.
func (f *fleeting) upgrade() {
	f.t.Helper()
	before := strings.Count(f.logged(), `msg="handed over"`)
	f.signal(syscall.SIGUSR2)
	pid, err := strconv.Atoi(f.says(`msg="handed over" pid=(\d+)`, before+1))
	if err != nil {
		f.t.Fatal(err)
	}
	f.pids = append(f.pids, pid)
}

// signal goes to the process that serves.
func (f *fleeting) signal(s syscall.Signal) {
	f.t.Helper()
	if err := syscall.Kill(f.pids[len(f.pids)-1], s); err != nil {
		f.t.Fatal(err)
	}
}

// stop ends the process that serves, and waits for all.
func (f *fleeting) stop() {
	_ = syscall.Kill(f.pids[len(f.pids)-1], syscall.SIGTERM) // it may be gone
	for _, pid := range f.pids[1:] {
		eventually(f.t, "the process ends", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	}
	f.firstEnds()
}

// firstEnds waits for the end of the first process.
func (f *fleeting) firstEnds() {
	f.t.Helper()
	select {
	case err := <-f.ended:
		if err != nil && !f.killed {
			f.t.Errorf("the first process: %v", err)
		}
		f.ended <- nil // for whoever asks again
	case <-time.After(20 * time.Second):
		f.t.Error("the first process does not end")
	}
}

// client goes through the proxy.
func (f *fleeting) client(protocols func(*http.Protocols)) *http.Client {
	f.t.Helper()
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(f.path("data/ca.pem"))
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		f.t.Fatalf("the gateway's CA: %v", err)
	}
	proxy := &url.URL{Scheme: "http", User: url.UserPassword("billing", f.token), Host: f.says(`msg="gateway ready" proxy=(\S+)`, 1)}
	t := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: new(http.Protocols)}
	protocols(t.Protocols)
	f.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: 30 * time.Second}
}

func http1(p *http.Protocols) { p.SetHTTP1(true) }
func http2(p *http.Protocols) { p.SetHTTP1(true); p.SetHTTP2(true) }

// call makes a call that net/http can't send again by itself over HTTP/1.1.
func (f *fleeting) call(c *http.Client) error {
	var body io.Reader
	if !c.Transport.(*http.Transport).Protocols.HTTP2() {
		body = io.NopCloser(strings.NewReader("{}"))
	}
	r, err := http.NewRequest(http.MethodGet, f.sim.SiteURL()+"/rest/api/3/myself", body)
	if err != nil {
		return err
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return err
}

// records are the operations on record.
func (f *fleeting) records(operation string) (n int) {
	f.t.Helper()
	lines := bufio.NewScanner(strings.NewReader(mustRun(f.t, f.environ, "", "audit", "query", "--limit", "1000000", "--output", "json")))
	for lines.Scan() {
		var r struct{ Operation string }
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			f.t.Fatal(err)
		}
		if r.Operation == operation {
			n++
		}
	}
	return n
}

// TestUpgradeUnderLoad: the program is replaced four times while clients call without a pause.
// None of the calls fails, and each has its record in one log that verifies.
func TestUpgradeUnderLoad(t *testing.T) {
	f := startFleeting(t)
	var calls, failures atomic.Int64
	done := make(chan struct{})
	var running sync.WaitGroup
	for i := range 8 {
		protocols := http1
		if i%2 == 1 {
			protocols = http2
		}
		client := f.client(protocols)
		running.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				calls.Add(1)
				if err := f.call(client); err != nil {
					failures.Add(1)
					t.Errorf("call %d: %v", calls.Load(), err)
					return
				}
			}
		})
	}
	more := func(n int64) {
		for end := calls.Load() + n; calls.Load() < end && failures.Load() == 0; {
			time.Sleep(time.Millisecond)
		}
	}
	for range 4 {
		more(100)
		f.upgrade()
	}
	more(100)
	close(done)
	running.Wait()

	if n := f.records("myself.get"); int64(n) != calls.Load() {
		t.Errorf("%d calls have %d records", calls.Load(), n)
	}
	f.stop()
	mustRun(t, f.environ, "", "audit", "verify")
}

// TestIdleTunnelOutlivesTheProcess: a client that has called before, and calls again
// after the upgrade, notices nothing; the old process ends once it has closed.
func TestIdleTunnelOutlivesTheProcess(t *testing.T) {
	f := startFleeting(t)
	client := f.client(http1)
	if err := f.call(client); err != nil {
		t.Fatal(err)
	}
	f.upgrade()
	f.says(`msg="took over" connections=1`, 1)
	if err := f.call(client); err != nil {
		t.Error(err)
	}
	f.firstEnds()
	if err := f.call(client); err != nil {
		t.Error(err)
	}
}

// TestUpgradeToWhatDoesNotStart: the process that serves goes on, whether the new
// program fails before or after the store is its own.
func TestUpgradeToWhatDoesNotStart(t *testing.T) {
	f := startFleeting(t)
	real, err := exec.LookPath("jiragate")
	if err != nil {
		t.Fatal(err)
	}
	client := f.client(http1)
	for i, tt := range []struct{ name, setting, want string }{
		{"no program", "", "can't take over"},
		{"wrong settings", "JIRAGATE_REGION=mars", "its process ended (exit status 2)"},
		{"a file that is missing", "JIRAGATE_POLICY_FILE=/nowhere", "JIRAGATE_POLICY_FILE"},
		{"failing with the store open", "JIRAGATE_ADMIN_TOKEN_FILE=/nowhere/token", "the old one does again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			script := "#!/bin/sh\nexec env " + tt.setting + " " + real + ` "$@"` + "\n"
			if tt.setting == "" {
				script = "#!/bin/sh\nexit 1\n"
				tt.want = "its process ended (exit status 1)"
			}
			f.install(script)
			if err := f.call(client); err != nil {
				t.Error(err)
			}
			f.signal(syscall.SIGUSR2)
			line := f.says(`msg="no handover to a new program" error=(.*)`, i+1)
			if !strings.Contains(line, tt.want) {
				t.Errorf("the log says %s, want %s", line, tt.want)
			}
			if err := f.call(client); err != nil {
				t.Error(err)
			}
		})
	}
	if n := f.records("myself.get"); n != 8 {
		t.Errorf("%d records, want 8", n)
	}
	f.install("#!/bin/sh\nexec " + real + ` "$@"` + "\n")
	f.upgrade()
	if err := f.call(client); err != nil {
		t.Error(err)
	}
}

// TestUpgradeWhereNothingCouldStart: what keeps the new process from starting would keep the
// old one from taking up again. It is noticed before that gives way.
func TestUpgradeWhereNothingCouldStart(t *testing.T) {
	f := startFleeting(t, "JIRAGATE_EGRESS=")
	client := f.client(http1)
	mustRun(t, f.environ, "", "egress", "announce", "198.51.100.9", "--from", time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339))
	f.signal(syscall.SIGUSR2)
	line := f.says(`msg="no handover to a new program" error=(.*)`, 1)
	if !strings.Contains(line, "can't take over") || !strings.Contains(line, "198.51.100.9 is published") {
		t.Errorf("the log says %s", line)
	}
	if err := f.call(client); err != nil {
		t.Error(err)
	}
}

// TestUpgradeWithTheKeysetInAVariable: it leaves the environment once read, and is there for
// the new process, and for the old one where that takes up again.
func TestUpgradeWithTheKeysetInAVariable(t *testing.T) {
	f := newFleeting(t)
	keyset, err := os.ReadFile(f.path("data/keyset.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.path("data/keyset.json")); err != nil {
		t.Fatal(err)
	}
	f.environ = append(f.environ, "JIRAGATE_KEY_URI=env:KEYSET", "KEYSET="+string(keyset))
	f.begin(f.command())
	f.says(`gateway ready`, 1)
	client := f.client(http1)

	f.install("#!/bin/sh\nexec env JIRAGATE_ADMIN_TOKEN_FILE=/nowhere/token " + f.real + ` "$@"` + "\n")
	f.signal(syscall.SIGUSR2)
	if line := f.says(`msg="no handover to a new program" error=(.*)`, 1); !strings.Contains(line, "the old one does again") {
		t.Errorf("the log says %s", line)
	}
	if err := f.call(client); err != nil {
		t.Error(err)
	}
	f.install("#!/bin/sh\nexec " + f.real + ` "$@"` + "\n")
	f.upgrade()
	if err := f.call(client); err != nil {
		t.Error(err)
	}
}
