package confined

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jiragate/internal/jirasim"
)

// nobody is the user that the gateway is where the test is root.
const nobody = 65534

// patience is for what the gateway does at its own pace.
const patience = 60 * time.Second

// host is what a confined gateway is started on: a folder of its own, the built program,
// the sockets that a service manager has opened for it, and a simulated Jira.
type host struct {
	t            *testing.T
	filter       Filter
	dir          string
	program      string
	environ      []string
	sim          *jirasim.Sim
	proxy, admin *os.File // the sockets
	address      string   // of the proxy
	heard        *net.UnixConn
	log          *os.File // a pipe would be open until the last process ends
	ended        chan error
}

// built is the program as it is released: without a C library, whose own system calls
// depend on its version.
var built = sync.OnceValues(func() ([]byte, error) {
	module, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "confined-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "jiragate")
	cmd := exec.Command("go", "build", "-C", filepath.Dir(filepath.Dir(strings.TrimSpace(string(module)))), "-trimpath", "-o", program, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the gateway: %w\n%s", err, out)
	}
	return os.ReadFile(program)
})

func newHost(t *testing.T, f Filter) *host {
	t.Helper()
	h := &host{t: t, filter: f, ended: make(chan error, 1)}
	// Folders of the testing package are closed to other users.
	dir, err := os.MkdirTemp("", "confined-")
	h.check(err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	h.check(os.Chmod(dir, 0o755))
	h.dir = dir
	h.program = h.path("bin/jiragate")
	for _, name := range []string{"bin", "data", "etc", "backup", "tmp"} {
		h.check(os.Mkdir(h.path(name), 0o700))
		h.own(h.path(name))
	}
	h.install()
	h.sim, err = jirasim.Start(jirasim.Options{})
	h.check(err)
	t.Cleanup(func() { h.sim.Close() })
	var admin string
	h.proxy, h.address = h.socket()
	h.admin, admin = h.socket()
	h.heard, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: h.path("notify"), Net: "unixgram"})
	h.check(err)
	t.Cleanup(func() { h.heard.Close() })
	h.check(os.Chmod(h.path("notify"), 0o777))
	h.environ = []string{
		"HOME=/", "PATH=" + h.path("bin"), "TMPDIR=" + h.path("tmp"),
		"JIRAGATE_DATA_DIR=" + h.path("data"), "JIRAGATE_PROXY_LISTEN=" + h.address, "JIRAGATE_ADMIN_LISTEN=" + admin,
		"JIRAGATE_ATLASSIAN_API_URL=" + h.sim.APIURL(), "JIRAGATE_ATLASSIAN_AUTH_URL=" + h.sim.AuthURL(),
		"JIRAGATE_OAUTH_CLIENT_ID=" + jirasim.DefaultClientID,
		"JIRAGATE_OAUTH_CLIENT_SECRET_FILE=" + h.file("client-secret", []byte(jirasim.DefaultClientSecret)),
		"JIRAGATE_UPSTREAM_CA_FILE=" + h.file("jira-ca.pem", h.sim.CAPEM()),
		"JIRAGATE_POLICY_FILE=" + h.file("policy.yaml", []byte("version: 1\n")),
		"JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8", "JIRAGATE_EGRESS=198.51.100.7=127.0.0.1",
		"JIRAGATE_AUDIT_SEGMENT_SIZE=1MiB", "JIRAGATE_AUDIT_CHECKPOINT_TO=" + h.path("backup"), "JIRAGATE_AUDIT_CHECKPOINT_EVERY=1s",
	}
	h.log, err = os.Create(h.path("log"))
	h.check(err)
	t.Cleanup(func() { h.log.Close() })
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log:\n%s", h.logged())
		}
	})
	return h
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

func (h *host) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// own gives a file to the gateway's user.
func (h *host) own(path string) {
	h.t.Helper()
	if os.Geteuid() == 0 {
		h.check(os.Chown(path, nobody, nobody))
	}
}

func (h *host) file(name string, content []byte) string {
	h.t.Helper()
	path := h.path("etc/" + name)
	h.check(os.WriteFile(path, content, 0o600))
	h.own(path)
	return path
}

// install puts the program in place, as package managers do: by another file.
func (h *host) install() {
	h.t.Helper()
	program, err := built()
	h.check(err)
	h.check(os.WriteFile(h.program+".new", program, 0o755))
	h.check(os.Chmod(h.program+".new", 0o755))
	h.check(os.Rename(h.program+".new", h.program))
}

func (h *host) socket() (*os.File, string) {
	h.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	h.check(err)
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	h.check(err)
	h.t.Cleanup(func() { f.Close() })
	return f, l.Addr().String()
}

// confined is the program with those arguments, or the gateway with the sockets.
func (h *host) confined(listen bool, args ...string) *exec.Cmd {
	h.t.Helper()
	cmd := command(h.t, order{Filter: h.filter, User: nobody, Listen: listen, Args: append([]string{h.program}, args...)})
	cmd.Env = append(cmd.Env, h.environ...)
	cmd.Dir = h.path("tmp")
	return cmd
}

// run runs a command to its end, and returns what it writes.
func (h *host) run(in string, args ...string) string {
	h.t.Helper()
	cmd := h.confined(false, args...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &said
	if err := cmd.Run(); err != nil {
		h.t.Fatalf("jiragate %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), said.String())
	}
	return out.String()
}

// start starts the gateway as systemd does, and waits until it is ready.
func (h *host) start() (pid int) {
	h.t.Helper()
	cmd := h.confined(true, "serve")
	cmd.Env = append(cmd.Env, "LISTEN_FDS=2", "LISTEN_FDNAMES=proxy:admin", "NOTIFY_SOCKET="+h.path("notify"))
	cmd.ExtraFiles = []*os.File{h.proxy, h.admin}
	cmd.Stdout, cmd.Stderr = h.log, h.log
	h.check(cmd.Start())
	go func() { h.ended <- cmd.Wait() }()
	h.t.Cleanup(func() { _ = cmd.Process.Kill() })
	for h.hears() != "READY=1" {
	}
	return cmd.Process.Pid
}

// hears is what the gateway says next to the service manager.
func (h *host) hears() string {
	h.t.Helper()
	said := make([]byte, 256)
	h.check(h.heard.SetReadDeadline(time.Now().Add(patience)))
	n, err := h.heard.Read(said)
	h.check(err)
	return string(said[:n])
}

// upgrade has the gateway hand over, and returns the process that serves then.
func (h *host) upgrade() (pid int) {
	h.t.Helper()
	h.install()
	h.run("", "upgrade")
	for pid == 0 {
		if id, ok := strings.CutPrefix(h.hears(), "MAINPID="); ok {
			var err error
			pid, err = strconv.Atoi(id)
			h.check(err)
		}
	}
	h.t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	return pid
}

// ends waits for the end of the first process.
func (h *host) ends() {
	h.t.Helper()
	select {
	case err := <-h.ended:
		if err != nil {
			h.t.Errorf("the gateway ends with %v", err)
		}
	case <-time.After(patience):
		h.t.Error("the gateway does not end")
	}
}

// stop ends another process than the first.
func (h *host) stop(pid int) {
	h.t.Helper()
	h.check(syscall.Kill(pid, syscall.SIGTERM))
	h.eventually("the gateway ends", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	if !strings.Contains(h.logged(), "msg=stopped") {
		h.t.Error("the log does not say that it stopped")
	}
}

func (h *host) eventually(what string, is func() bool) {
	h.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("%s: not in %s", what, patience)
		}
	}
}

func (h *host) logged() string {
	h.t.Helper()
	text, err := os.ReadFile(h.path("log"))
	h.check(err)
	return string(text)
}

// connect makes the connection acme and its client billing, whose token it returns.
func (h *host) connect() (token string) {
	h.t.Helper()
	grant := h.sim.IssueGrant()
	credential, err := json.Marshal(map[string]string{
		"access_token": grant.AccessToken, "refresh_token": grant.RefreshToken,
		"expiry": time.Now().Add(time.Hour).Format(time.RFC3339), "scope": "read:jira-work write:jira-work read:jira-user offline_access",
	})
	h.check(err)
	h.run(string(credential), "connection", "add", "acme", "--edition", "cloud", "--site-url", h.sim.SiteURL(), "--cloud-id", h.sim.CloudID(), "--oauth-token-file", "-")
	var client struct{ Token string }
	h.check(json.Unmarshal([]byte(h.run("", "client", "add", "billing", "--connection", "acme", "--output", "json")), &client))
	return client.Token
}
