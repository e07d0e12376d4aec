package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manager stands in for systemd: it opens sockets, passes them to a gateway, keeps them
// open, and hears what the gateway has to say.
type manager struct {
	*fleeting
	names []string
	files []*os.File
	heard *net.UnixConn
}

// opened passes a socket of its own by name.
func (m *manager) opened(name string) (address string) {
	m.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		m.t.Fatal(err)
	}
	defer l.Close()
	m.pass(name, l.(*net.TCPListener))
	return l.Addr().String()
}

func (m *manager) pass(name string, l interface{ File() (*os.File, error) }) {
	m.t.Helper()
	f, err := l.File()
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { f.Close() })
	m.names, m.files = append(m.names, name), append(m.files, f)
}

// service is the gateway as systemd starts it. The shell is there to tell the process its
// own id, and is that process in the end.
func (m *manager) service() *exec.Cmd {
	script := `export LISTEN_PID=$$; exec -a "$0" "$@"`
	cmd := exec.Command("bash", "-c", script, m.program, m.real, "serve")
	cmd.Env = append(m.environ, "LISTEN_FDS="+strconv.Itoa(len(m.files)), "LISTEN_FDNAMES="+strings.Join(m.names, ":"))
	if m.heard != nil {
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+m.heard.LocalAddr().String())
	}
	cmd.ExtraFiles = m.files
	return cmd
}

// hears what the gateway says, in its order.
func (m *manager) hears(want string) {
	m.t.Helper()
	said := make([]byte, 256)
	_ = m.heard.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := m.heard.Read(said)
	if err != nil || string(said[:n]) != want {
		m.t.Errorf("the manager hears %q, %v; want %s", said[:n], err, want)
	}
}

func newManager(t *testing.T, settings ...string) *manager {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip(err)
	}
	return &manager{fleeting: newFleeting(t, settings...)}
}

// TestSocketsOfAManager: the gateway listens to what it is given, not to the addresses
// that are configured, and tells what has become of it.
func TestSocketsOfAManager(t *testing.T) {
	m := newManager(t, "JIRAGATE_PUBLIC_LISTEN=127.0.0.1:0")
	proxy, admin, public := m.opened("proxy"), m.opened("admin"), m.opened("public")
	dir, err := os.MkdirTemp("", "") // whose name is short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if m.heard, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.heard.Close() })
	m.begin(m.service())
	if got := m.says(`msg="gateway ready" proxy=(\S+)`, 1); got != proxy {
		t.Errorf("the proxy is at %s, want %s", got, proxy)
	}
	m.hears("READY=1")
	answers := func() {
		t.Helper()
		for url, want := range map[string]int{"http://" + admin + "/healthz": 200, "http://" + public + "/": 200, "http://" + public + "/healthz": 404} {
			resp, err := http.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s: %s, want %d", url, resp.Status, want)
			}
		}
	}
	answers()
	client := m.client(http1)
	if err := m.call(client); err != nil {
		t.Error(err)
	}

	// Another process has them after a handover, and is the main one then.
	m.upgrade()
	said := make(map[string]bool) // by two processes
	for range 2 {
		b := make([]byte, 256)
		_ = m.heard.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := m.heard.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		said[string(b[:n])] = true
	}
	if !said[fmt.Sprintf("MAINPID=%d", m.pids[1])] || !said["READY=1"] {
		t.Errorf("the manager hears %v", said)
	}
	answers()
	if err := m.call(client); err != nil {
		t.Error(err)
	}
	client.CloseIdleConnections()
	m.firstEnds()
	m.signal(syscall.SIGTERM)
	m.hears("STOPPING=1")
}

// TestRestartWithoutARefusedCall: while nobody serves, the sockets are there, and who
// calls waits.
func TestRestartWithoutARefusedCall(t *testing.T) {
	m := newManager(t)
	m.opened("proxy")
	m.begin(m.service())
	m.says("gateway ready", 1)
	client := m.client(http1)
	for i := range 3 {
		if err := m.call(client); err != nil {
			t.Fatal(err)
		}
		m.stop()
		called := make(chan error, 1)
		go func() { called <- m.call(client) }()
		m.begin(m.service())
		if err := <-called; err != nil {
			t.Errorf("a call while the gateway starts: %v", err)
		}
		m.says("gateway ready", i+2)
	}
	if n := m.records("myself.get"); n != 6 {
		t.Errorf("%d records, want 6", n)
	}
}

// TestSocketsThatAreNotTheGateways are refused with what to do, before anything else.
func TestSocketsThatAreNotTheGateways(t *testing.T) {
	for _, tt := range []struct {
		name string
		pass func(*manager)
		want []string
	}{
		{"unknown name", func(m *manager) { m.opened("jiragate.socket") }, []string{`socket "jiragate.socket"`, "FileDescriptorName=proxy, admin or public"}},
		{"that of the data directory", func(m *manager) { m.opened("local") }, []string{`socket "local"`, "FileDescriptorName="}},
		{"two of a name", func(m *manager) { m.opened("proxy"); m.opened("proxy") }, []string{`two named "proxy"`, "one ListenStream="}},
		{"UNIX socket", func(m *manager) {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(os.TempDir(), "jg"+strconv.Itoa(os.Getpid())), Net: "unix"})
			if err != nil {
				m.t.Fatal(err)
			}
			m.t.Cleanup(func() { l.Close() })
			m.pass("proxy", l)
		}, []string{`socket "proxy"`, "ListenStream=ADDRESS:PORT"}},
		{"UDP socket", func(m *manager) {
			c, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				m.t.Fatal(err)
			}
			defer c.Close()
			m.pass("proxy", c.(*net.UDPConn))
		}, []string{"proxy: "}},
		{"not used", func(m *manager) { m.opened("public") }, []string{"socket for public, which nothing listens to", "JIRAGATE_PUBLIC_LISTEN"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newManager(t)
			tt.pass(m)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			cmd := m.service()
			bounded := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
			bounded.Env, bounded.ExtraFiles = cmd.Env, cmd.ExtraFiles
			out, err := bounded.CombinedOutput()
			if err == nil || err.Error() != "exit status 1" {
				t.Errorf("it ended with %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("it says\n%s\nwant %s", out, want)
				}
			}
		})
	}
}

// TestAFailedSuccessorLeavesTheAdminSocket: the one who goes on can be asked.
func TestAFailedSuccessorLeavesTheAdminSocket(t *testing.T) {
	f := startFleeting(t, "JIRAGATE_PUBLIC_LISTEN=127.0.0.1:0")
	f.install("#!/bin/sh\nunset JIRAGATE_PUBLIC_LISTEN\nexec " + f.real + ` "$@"` + "\n")
	f.signal(syscall.SIGUSR2)
	f.says("the old one does again", 1)
	if out := mustRun(t, f.environ, "", "status"); !strings.Contains(out, "running") {
		t.Errorf("status says %s", out)
	}
}
