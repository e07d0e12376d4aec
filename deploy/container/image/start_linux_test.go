package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"jiragate/internal/netlab"
)

const (
	egressAddress = "52.54.159.237" // published for the region us
	jiraAddress   = "104.192.141.1"
	patience      = time.Minute
)

// engine starts containers from one image.
type engine struct {
	t      *testing.T
	root   string
	config v1.Config
}

// newEngine makes the image for this machine and unpacks it.
func newEngine(t *testing.T) engine {
	t.Helper()
	dir := t.TempDir()
	platform := "linux/" + runtime.GOARCH
	makeImage(t, "-source", repository, "-o", dir, "-platform", platform)
	img := readLayout(t, filepath.Join(dir, "oci"))[platform]
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return engine{t: t, root: unpack(t, img), config: file.Config}
}

// start starts a container on a host and returns what it says, to be read at any time.
func (e engine) start(host *netlab.Host, mounts map[string]string, env []string, args ...string) (*exec.Cmd, *output) {
	e.t.Helper()
	out := &output{}
	cmd := box{Root: e.root, Mounts: mounts, Env: env}.command(e.t, e.config, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := host.Start(cmd); err != nil {
		e.t.Fatal(err)
	}
	return cmd, out
}

// The image is started as by a container engine: as the simulator of Jira, for the
// commands that connect the gateway to it, and as the gateway, which then serves a call
// from another host and stops when it is told to. Of the gateway's settings only the
// egress address and where Jira is are not the image's.
func TestStart(t *testing.T) {
	lab := netlab.New(t)
	gatewayHost := lab.Host("gateway", egressAddress+"/32")
	jiraHost := lab.Host("jira", jiraAddress+"/32")
	service := lab.Host("service", "10.0.0.9/24")
	e := newEngine(t)
	data, jira := volume(t, e.root, "data"), volume(t, e.root, "data")
	mounts := map[string]string{"/data": data, "/simulator": jira}
	env := []string{
		"JIRAGATE_EGRESS=" + egressAddress,
		"JIRAGATE_ATLASSIAN_API_URL=https://" + jiraAddress + ":9443", "JIRAGATE_ATLASSIAN_AUTH_URL=https://" + jiraAddress + ":9444",
		"JIRAGATE_OAUTH_CLIENT_ID=sim-client-7Yq2mLwXb1", "JIRAGATE_OAUTH_CLIENT_SECRET_FILE=/simulator/oauth-client-secret",
		"JIRAGATE_UPSTREAM_CA_FILE=/simulator/jira-ca.pem",
	}
	simulator, requests := e.start(jiraHost, map[string]string{"/data": jira}, nil,
		"demo", "simulator", "--dir", "/data", "--host", jiraAddress,
		"--cloud-listen", jiraAddress+":9443", "--auth-listen", jiraAddress+":9444", "--datacenter-listen", jiraAddress+":9445")
	command := func(args ...string) string {
		t.Helper()
		cmd, out := e.start(gatewayHost, mounts, env, args...)
		if err := waitFor(t, cmd); err != nil {
			t.Fatalf("jiragate %s: %v\n%s\nthe simulator says\n%s", strings.Join(args, " "), err, out, requests)
		}
		return out.String()
	}
	if said := command("demo", "seed", "--simulator", "/simulator"); !strings.Contains(said, "connection acme is added") {
		t.Errorf("demo seed says\n%s", said)
	}

	gateway, log := e.start(gatewayHost, mounts, env)
	for deadline := time.Now().Add(patience); !strings.Contains(command(e.config.Healthcheck.Test[2:]...), "running"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the gateway does not run:\n%s", log)
		}
	}
	checkProcess(t, gateway.Process.Pid)

	token, err1 := os.ReadFile(filepath.Join(jira, "client-token"))
	ca, err2 := os.ReadFile(filepath.Join(data, "ca.pem"))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	body, err := get("https://acme.atlassian.net/rest/api/3/myself", &http.Transport{
		DialContext:     service.DialContext,
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", User: url.UserPassword("demo", string(token)), Host: egressAddress + ":8080"}),
		TLSClientConfig: &tls.Config{RootCAs: pool(ca)},
	})
	if err != nil || !strings.Contains(body, "Jira Bot") {
		t.Errorf("%v\n%s\nthe gateway says\n%s", err, body, log)
	}
	requests.saw(t, "from "+egressAddress, "/rest/api/3/myself")
	if records := command("audit", "query", "--client", "demo", "--output", "json"); !strings.Contains(records, egressAddress) || !strings.Contains(records, "myself.get") {
		t.Errorf("the call records are\n%s", records)
	}
	command("audit", "verify")

	check(t, "stop signal", e.config.StopSignal, "SIGTERM")
	for name, cmd := range map[string]*exec.Cmd{"the gateway": gateway, "the simulator": simulator} {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := waitFor(t, cmd); err != nil {
			t.Errorf("%s, told to stop: %v", name, err)
		}
	}
	if said := log.String(); !strings.Contains(said, "msg=stopped") || strings.Contains(said, "level=ERROR") {
		t.Errorf("the gateway says\n%s", said)
	}
}

// checkProcess sees what the kernel says of the container's first process.
func checkProcess(t *testing.T, pid int) {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		have[name] = strings.Join(strings.Fields(value), " ")
	}
	for name, want := range map[string]string{
		"Name": "jiragate", "Uid": "65532 65532 65532 65532", "Gid": "65532 65532 65532 65532", "Groups": "", "NoNewPrivs": "1",
		"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapBnd": "0000000000000000", "CapAmb": "0000000000000000",
	} {
		check(t, name, have[name], want)
	}
	if nested := strings.Fields(have["NSpid"]); len(nested) != 2 || nested[1] != "1" {
		t.Errorf("it is process %v in its namespaces", nested)
	}
}

func pool(pem []byte) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return roots
}

// get makes one call as an ordinary client does.
func get(target string, transport *http.Transport) (string, error) {
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: patience}).Get(target)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.Status + "\n" + string(body), err
}

func waitFor(t *testing.T, cmd *exec.Cmd) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	return cmd.Wait()
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
