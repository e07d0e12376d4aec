package compose

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// machine runs services of compose.yaml as plain processes, with the same commands and
// environments. Names, the gateway's address, ports and places are rewritten, since they
// are this machine's here.
type machine struct {
	program string
	project *types.Project
	rewrite *strings.Replacer
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir := t.TempDir()
	for _, volume := range []string{"simulator", "run", "data"} {
		if err := os.Mkdir(filepath.Join(dir, volume), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m := &machine{program: build(t), project: project(t)}
	cloud, auth, dataCenter := free(t), free(t), free(t)
	m.rewrite = strings.NewReplacer(
		"https://simulator:9443", "https://"+cloud, ":9443", cloud,
		"https://simulator:9444", "https://"+auth, ":9444", auth,
		":9445", dataCenter,
		"172.30.93.0/24", "127.0.0.0/8",
		"gateway:8081", free(t), "0.0.0.0:8080", free(t),
		"127.0.0.1:4318", "127.0.0.1:1", // nobody collects traces here
		"/simulator", filepath.Join(dir, "simulator"), "/run/jiragate", filepath.Join(dir, "run"), "/data", filepath.Join(dir, "data"),
	)
	return m
}

// free is an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// environment is a service's, on top of that of the image. Egress addresses are not
// rewritten: only the gateway's own container has them.
func (m *machine) environment(service string) []string {
	env := []string{}
	for _, v := range []string{"JIRAGATE_DATA_DIR=/data", "JIRAGATE_PROXY_LISTEN=0.0.0.0:8080"} {
		env = append(env, m.rewrite.Replace(v))
	}
	for k, v := range m.project.Services[service].Environment {
		env = append(env, k+"="+m.rewrite.Replace(*v))
	}
	return env
}

// start starts a service; for the egress address, local stands for the container's.
func (m *machine) start(t *testing.T, service, local string, args ...string) (*exec.Cmd, *output) {
	t.Helper()
	if len(args) == 0 {
		for _, a := range m.project.Services[service].Command {
			if a == "simulator" && len(args) > 0 && args[len(args)-1] == "--host" {
				a = "127.0.0.1"
			}
			args = append(args, m.rewrite.Replace(a))
		}
	}
	out := &output{}
	cmd := exec.CommandContext(within(t), m.program, args...)
	for _, v := range m.environment(service) {
		cmd.Env = append(cmd.Env, strings.Replace(v, "=172.30.93.10", "="+local, 1))
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd, out
}

// What `up` starts works in its order, again while it runs, and once more after all of it
// was stopped: the simulator is another one then, and the data are the same.
func TestSequence(t *testing.T) {
	m := newMachine(t)
	// Not on this machine, as the gateway's address is not in the container that seeds.
	const elsewhere = "172.30.93.10"
	seed := func(want string) {
		t.Helper()
		cmd, out := m.start(t, "seed", elsewhere)
		if err := cmd.Wait(); err != nil || strings.Count(out.String(), want) != 2 {
			t.Fatalf("seed: %v; want %q of both connections in\n%s", err, want, out)
		}
	}
	for _, added := range []string{"is added", "has a new credential"} {
		simulator, requests := m.start(t, "simulator", elsewhere)
		seed(added)
		for _, service := range []string{"seed", "gateway"} {
			if cmd, out := m.start(t, service, "127.0.0.2", "config"); cmd.Wait() != nil {
				t.Errorf("the settings of %s are not taken:\n%s", service, out)
			}
		}
		gateway, log := m.start(t, "gateway", "127.0.0.2")
		m.awaitHealth(t, log)
		m.call(t, log)
		requests.saw(t, "from 127.0.0.2")
		m.scrape(t)
		seed("connection acme") // both have this in their names, and are left as they are
		m.call(t, log)
		for _, cmd := range []*exec.Cmd{gateway, simulator} {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("stopping: %v\n%s", err, log)
			}
		}
		if strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("the gateway says\n%s", log)
		}
		// What is in memory is gone with the containers.
		for _, volume := range []string{"/simulator", "/run/jiragate"} {
			dir := m.rewrite.Replace(volume)
			if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// awaitHealth asks as the health check does, whose command is the image's.
func (m *machine) awaitHealth(t *testing.T, log *output) {
	t.Helper()
	test := m.project.Services["gateway"].HealthCheck.Test
	if len(test) < 3 || test[1] != "/usr/local/bin/jiragate" {
		t.Fatalf("the health check is %v", test)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		cmd, out := m.start(t, "gateway", "127.0.0.2", test[2:]...)
		if err := cmd.Wait(); err == nil && strings.Contains(out.String(), "running") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway is not healthy:\n%s", log)
		}
	}
}

// call is what the page shows by curl.
func (m *machine) call(t *testing.T, log *output) {
	t.Helper()
	token, err1 := os.ReadFile(m.rewrite.Replace("/simulator/client-token"))
	ca, err2 := os.ReadFile(m.rewrite.Replace("/data/ca.pem"))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", User: url.UserPassword("demo", string(token)), Host: m.rewrite.Replace("0.0.0.0:8080")}),
		TLSClientConfig: &tls.Config{RootCAs: roots},
	}
	if status, body := get(t, transport, "https://acme.atlassian.net/rest/api/3/myself", ""); status != http.StatusOK || !strings.Contains(body, "Jira Bot") {
		t.Errorf("status %d\n%s\nthe gateway says\n%s", status, body, log)
	}
}

// scrape is what Prometheus does.
func (m *machine) scrape(t *testing.T) {
	t.Helper()
	token, err := os.ReadFile(m.rewrite.Replace("/run/jiragate/metrics-token"))
	if err != nil {
		t.Fatal(err)
	}
	target := "http://" + m.rewrite.Replace("gateway:8081") + "/metrics"
	if status, body := get(t, &http.Transport{}, target, strings.TrimSpace(string(token))); status != http.StatusOK || !strings.Contains(body, "jiragate_") {
		t.Errorf("metrics: status %d\n%s", status, body)
	}
}

func get(t *testing.T, transport *http.Transport, target, bearer string) (status int, body string) {
	t.Helper()
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(within(t), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// output is what a process says, to be read while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// saw waits until it has said all of that: a line may come after the answer that it is
// about.
func (o *output) saw(t *testing.T, want ...string) {
	t.Helper()
	missing := func(w string) bool { return !strings.Contains(o.String(), w) }
	for deadline := time.Now().Add(time.Minute); slices.ContainsFunc(want, missing); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("want %q in\n%s", want, o)
		}
	}
}
