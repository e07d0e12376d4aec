package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jiragate/gateway/admin"
	"jiragate/gateway/telemetry"
	"jiragate/internal/jirasim"
)

// testConfig is a configuration on a directory of its own, with ports that the
// system chooses.
func testConfig(t *testing.T, more ...string) (Config, []string) {
	t.Helper()
	environ := append([]string{
		"JIRAGATE_DATA_DIR=" + filepath.Join(t.TempDir(), "data"),
		"JIRAGATE_PROXY_LISTEN=127.0.0.1:0",
		"JIRAGATE_ADMIN_LISTEN=127.0.0.1:0",
	}, more...)
	c, err := ParseConfig(environ)
	if err != nil {
		t.Fatal(err)
	}
	return c, environ
}

// syncBuffer is a buffer for a logger.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func startServer(t *testing.T, c Config) (*Server, *syncBuffer) {
	t.Helper()
	log := &syncBuffer{}
	s, err := Start(t.Context(), c, StartOptions{Logger: telemetry.NewLogger(log, slog.LevelDebug, telemetry.Text)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, log
}

// run is one command in this process.
func run(t *testing.T, environ []string, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err syncBuffer
	code = Main(t.Context(), args, System{In: strings.NewReader(stdin), Out: &out, Err: &err, Environ: environ})
	return code, out.String(), err.String()
}

func mustRun(t *testing.T, environ []string, stdin string, args ...string) string {
	t.Helper()
	code, stdout, stderr := run(t, environ, stdin, args...)
	if code != 0 {
		t.Fatalf("jiragate %s: exit code %d\n%s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

func addConnection(t *testing.T, environ []string, id string) {
	t.Helper()
	mustRun(t, environ, "S3cretPassword\n", "connection", "add", id, "--edition", "datacenter",
		"--base-url", "https://"+id+".example/jira", "--auth", "basic", "--username", "u", "--secret-file", "-")
}

func TestAdminListener(t *testing.T) {
	defer goleak.VerifyNone(t)
	c, environ := testConfig(t)
	s, log := startServer(t, c)
	addConnection(t, environ, "globex")
	token, err := os.ReadFile(filepath.Join(c.DataDir, "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	bearer := "Bearer " + strings.TrimSpace(string(token))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()

	for _, tt := range []struct {
		name, path, authorization, host string
		status                          int
		want                            string
	}{
		{"health", "/healthz", "", "", 200, `"status":"ok"`},
		{"readiness", "/readyz", "", "", 200, `"checks":{"audit":"ok","egress":"ok","memory":"ok","policy":"ok","proxy":"ok","store":"ok"}`},
		{"metrics on loopback", "/metrics", "", "", 200, "go_goroutines"},
		{"API without token", "/v1/connections", "", "", 401, "unauthorised"},
		{"API with token", "/v1/connections", bearer, "", 200, `"id":"globex"`},
		{"rebinding", "/v1/connections", bearer, "evil.example", 421, "forbidden"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.AdminAddr()+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = tt.host
			if tt.authorization != "" {
				r.Header.Set("Authorization", tt.authorization)
			}
			resp, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != tt.status || !strings.Contains(string(body), tt.want) {
				t.Errorf("%d %s (%v), want %d and %s", resp.StatusCode, body, err, tt.status, tt.want)
			}
			if strings.Contains(string(body), "S3cret") {
				t.Error("the answer holds a secret")
			}
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	transport.CloseIdleConnections()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), "S3cret") || strings.Contains(log.String(), strings.TrimSpace(string(token))) {
		t.Errorf("the log holds a secret:\n%s", log)
	}
}

func TestAdminTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	made, err := openAdminToken(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if again, err := openAdminToken(file); err != nil || !again.Equal(made) {
		t.Errorf("another token at the second start (%v)", err)
	}
	for name, content := range map[string]string{"empty": "", "cut": "jga_123", "two lines": strings.Repeat("x", 40) + "\n" + strings.Repeat("y", 40)} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openAdminToken(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: error %v, want one that names the file", name, err)
		}
	}
}

// The token for /metrics is made, too, where a file for it is named, and is another one.
func TestMetricsTokenFile(t *testing.T) {
	c := Config{DataDir: t.TempDir()}
	if none, err := c.openMetricsToken(); err != nil || !none.IsZero() {
		t.Errorf("without a file: %v", err)
	}
	adminToken, err := openAdminToken(c.adminTokenFile())
	if err != nil {
		t.Fatal(err)
	}
	c.MetricsTokenFile = c.file("metrics-token")
	made, err := c.openMetricsToken()
	if err != nil || made.IsZero() || made.Equal(adminToken) {
		t.Fatalf("no token of its own was made: %v", err)
	}
	if again, err := c.openMetricsToken(); err != nil || !again.Equal(made) {
		t.Errorf("another token at the second start (%v)", err)
	}
	place(t, c.MetricsTokenFile, adminToken.Reveal()+"\n")
	if _, err := c.openMetricsToken(); err == nil || !strings.Contains(err.Error(), "is the admin token") || strings.Contains(err.Error(), adminToken.Reveal()) {
		t.Errorf("the admin token for metrics: %v", err)
	}
}

// The policy is read again on SIGHUP; a broken file is reported and the old
// policy stays.
func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	write := func(rules string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rules := func(operation string) string {
		return "version: 1\nrules:\n  - name: fewer\n    deny: [" + operation + "]\n    mode: enforce\n"
	}
	write(rules("issue.delete"))
	_, environ := testConfig(t, "JIRAGATE_POLICY_FILE="+file)

	hangup := make(chan os.Signal, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var out, log syncBuffer
	done := make(chan int)
	go func() {
		done <- Main(ctx, []string{"serve"}, System{In: strings.NewReader(""), Out: &out, Err: &log, Environ: environ, Hangup: hangup})
	}()
	waitFor := func(text string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), text); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the log does not say %q:\n%s", text, log.String())
			}
		}
	}
	off := func() string {
		t.Helper()
		var names []string
		var list []struct {
			ID, Edition string
			Enabled     bool
			Successor   string `json:"successor_of"`
		}
		if err := json.Unmarshal([]byte(mustRun(t, environ, "", "policy", "list", "--output", "json")), &list); err != nil {
			t.Fatal(err)
		}
		for _, o := range list {
			if !o.Enabled && o.Edition == "cloud" && o.Successor == "" {
				names = append(names, o.ID)
			}
		}
		return strings.Join(names, " ")
	}
	waitFor("store opened")
	if got := off(); got != "issue.delete" {
		t.Errorf("switched off at start: %s", got)
	}
	write("version: 1\nrules: [")
	hangup <- os.Interrupt // the value does not matter
	waitFor("everything stays as it was")
	write(rules("issue.create"))
	hangup <- os.Interrupt
	waitFor("policy reloaded")
	if got := off(); got != "issue.create" {
		t.Errorf("switched off after the reload: %s", got)
	}
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("exit code %d\n%s", code, log.String())
	}
}

// Commands that find the store locked wait their turn, and go over the socket
// as soon as there is one.
func TestCommandsAtOnce(t *testing.T) {
	c, environ := testConfig(t)
	addConnection(t, environ, "globex")
	const n = 12
	var wg sync.WaitGroup
	results := make([]string, n)
	for i := range n {
		wg.Go(func() {
			code, _, stderr := run(t, environ, "", "client", "add", fmt.Sprintf("client-%d", i), "--connection", "globex")
			if code != 0 {
				results[i] = stderr
			}
		})
	}
	s, _ := startServer(t, c)
	wg.Wait()
	for i, r := range results {
		if r != "" {
			t.Errorf("client %d: %s", i, r)
		}
	}
	if got := len(s.foundation.store.Directory().Clients()); got != n {
		t.Errorf("%d clients are in the store, want %d", got, n)
	}
}

func TestStartLeavesNothingBehindWhenItFails(t *testing.T) {
	defer goleak.VerifyNone(t)
	c, environ := testConfig(t)
	c.PolicyFile = filepath.Join(t.TempDir(), "missing.yaml")
	if _, err := Start(t.Context(), c, StartOptions{}); err == nil {
		t.Fatal("started without its policy file")
	}
	c.PolicyFile = ""
	c.UpstreamCAFile = filepath.Join(t.TempDir(), "missing.pem") // found out late
	if _, err := Start(t.Context(), c, StartOptions{}); err == nil || !strings.Contains(err.Error(), "JIRAGATE_UPSTREAM_CA_FILE") {
		t.Fatalf("started without its CA file: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(c.DataDir, socketName)); err == nil {
		t.Error("the socket is still there")
	}
	addConnection(t, environ, "globex") // the lock of the store is free
}

// One call all the way: a client that trusts the gateway's root calls Jira
// through the proxy, and it is recorded.
func TestCallThroughTheProxy(t *testing.T) {
	s, environ, log, sim := startWithJira(t)
	client, issued := clientOf(t, s, environ, sim)
	for path, want := range map[string]int{"/rest/api/2/myself": 200, "/rest/api/2/serverInfo": 403} {
		resp, err := client.Get(sim.DataCenterURL() + path)
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, log)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", path, resp.StatusCode, want)
		}
	}
	records := mustRun(t, environ, "", "audit", "query", "--client", "billing", "--output", "json")
	if strings.Count(records, "\n") < 2 || !strings.Contains(records, `"operation":"myself.get"`) || !strings.Contains(records, `"code":"operation_not_documented"`) {
		t.Errorf("records:\n%s", records)
	}
	for _, text := range []string{log.String(), records} {
		if strings.Contains(text, issued.Token) || strings.Contains(text, jirasim.DefaultPassword) {
			t.Error("a secret is in the log or in the records")
		}
	}
}

// startWithJira starts a gateway that reaches a simulated Jira.
func startWithJira(t *testing.T) (s *Server, environ []string, log *syncBuffer, sim *jirasim.Sim) {
	t.Helper()
	sim, err := jirasim.Start(jirasim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() }) // ends with the test
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, sim.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	c, environ := testConfig(t, "JIRAGATE_UPSTREAM_CA_FILE="+ca, "JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8", "JIRAGATE_EGRESS=198.51.100.7=127.0.0.1")
	s, log = startServer(t, c)
	return s, environ, log, sim
}

// clientOf adds the connection globex to a Jira and the client billing, and gives the
// way from that through the proxy.
func clientOf(t *testing.T, s *Server, environ []string, sim *jirasim.Sim) (*http.Client, admin.IssuedToken) {
	t.Helper()
	mustRun(t, environ, jirasim.DefaultPassword, "connection", "add", "globex", "--edition", "datacenter", "--base-url", sim.DataCenterURL(),
		"--auth", "basic", "--username", jirasim.DefaultUsername, "--secret-file", "-")
	var issued admin.IssuedToken
	if err := json.Unmarshal([]byte(mustRun(t, environ, "", "client", "add", "billing", "--connection", "globex", "--output", "json")), &issued); err != nil {
		t.Fatal(err)
	}

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.RootPEM())
	transport := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: s.ProxyAddr(), User: url.UserPassword(issued.Name, issued.Token)}),
		TLSClientConfig: &tls.Config{RootCAs: roots},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}, issued
}

// net/http writes what a server sends unasked to the standard logger, which
// may be a credential that it reflects.
func TestStandardLoggerIsSilent(t *testing.T) {
	log.SetOutput(os.Stderr)
	_, environ := testConfig(t)
	mustRun(t, environ, "", "version")
	if log.Writer() != io.Discard {
		t.Error("the standard logger writes")
	}
}
