package demo

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"jiragate/internal/cli"
)

// neighbour is the simulator as a process of its own would be, on addresses that stay
// the same over its restarts.
type neighbour struct {
	flags simulatorFlags

	mu  sync.Mutex
	out bytes.Buffer
}

func newNeighbour(t *testing.T, hosts ...string) *neighbour {
	const anyPort = "127.0.0.1:0"
	return &neighbour{flags: simulatorFlags{cloud: free(anyPort), auth: free(anyPort), dataCenter: free(anyPort), hosts: hosts, dir: filepath.Join(t.TempDir(), "jira")}}
}

func (n *neighbour) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.out.Write(b)
}

func (n *neighbour) told() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.out.String()
}

// start starts it; stop ends it and may be called again.
func (n *neighbour) start(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runSimulator(ctx, n, n.flags) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the simulator ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// awaited is what the simulator hands out, once it answers.
func (n *neighbour) awaited(t *testing.T) handout {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	h, err := awaitSimulator(ctx, n.flags.dir)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A gateway is connected to the simulator by what that has left in its folder, once,
// and anew after the simulator has started again.
func TestSeed(t *testing.T) {
	n := newNeighbour(t, "localhost")
	stop := n.start(t)
	h := n.awaited(t)
	var out bytes.Buffer
	s := &stage{out: &out, dir: t.TempDir()}
	s.environ = []string{
		"JIRAGATE_DATA_DIR=" + filepath.Join(s.dir, "data"), "JIRAGATE_PROXY_LISTEN=127.0.0.1:0", "JIRAGATE_ADMIN_LISTEN=127.0.0.1:0",
		"JIRAGATE_EGRESS=" + egressAddresses(), "JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8",
		"JIRAGATE_ATLASSIAN_API_URL=" + h.APIURL, "JIRAGATE_ATLASSIAN_AUTH_URL=" + h.AuthURL, "JIRAGATE_OAUTH_CLIENT_ID=" + h.ClientID,
		"JIRAGATE_OAUTH_CLIENT_SECRET_FILE=" + filepath.Join(n.flags.dir, clientSecretName),
		"JIRAGATE_UPSTREAM_CA_FILE=" + filepath.Join(n.flags.dir, caName),
	}
	plant := func(want ...string) {
		t.Helper()
		out.Reset()
		planted := seed{stage: s, dir: n.flags.dir, handout: h}
		if err := planted.plant(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("it does not say %q:\n%s", w, out.String())
			}
		}
	}
	serve := func() {
		t.Helper()
		config, err := cli.ParseConfig(s.environ)
		if err != nil {
			t.Fatal(err)
		}
		if s.server, err = cli.Start(t.Context(), config, cli.StartOptions{Logger: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})

	plant("connection acme is added", "connection acme-dc2 is added", "client demo has the token")
	token, err := os.ReadFile(filepath.Join(n.flags.dir, clientTokenName))
	if err != nil {
		t.Fatal(err)
	}
	serve()
	s.calls(t, string(token), h)
	plant("connection acme is there", "connection acme-dc2 is there", "client demo is there")
	s.calls(t, string(token), h)
	// A line may come after the answer that it is about.
	want := "GET " + strconv.Quote("/ex/jira/"+h.CloudID+"/rest/api/3/myself")
	for deadline := time.Now().Add(time.Minute); !strings.Contains(n.told(), want) || !strings.Contains(n.told(), "from 127.0.0."); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("want %s in what the simulator tells:\n%s", want, n.told())
		}
	}

	// As with containers that are stopped and started in their order.
	if err := s.server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.server = nil
	stop()
	before := h
	n.start(t)
	h = n.awaited(t)
	// The one before, whose place it took while that was planted, is not this one.
	if err := (&seed{stage: s, dir: n.flags.dir, handout: before}).plant(t.Context()); err != nil {
		t.Fatal(err)
	}
	plant("connection acme has a new credential", "connection acme-dc2 has a new credential", "client demo has the token")
	serve()
	s.calls(t, string(token), h)
}

// calls makes a call to each edition, with a token of the client demo.
func (s *stage) calls(t *testing.T, token string, h handout) {
	t.Helper()
	client, err := s.clientOf(seededClient, token)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	for _, target := range []string{h.SiteURL + "/rest/api/3/myself", h.DataCenterURL + "/rest/api/2/myself"} {
		response, err := client.Get(target)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(b), "Jira Bot") {
			t.Errorf("%s: %s, %v\n%s", target, response.Status, err, b)
		}
	}
}

// Its certificate is good for where it listens, without a --host.
func TestSimulatorElsewhere(t *testing.T) {
	n := newNeighbour(t)
	for _, listen := range []*string{&n.flags.cloud, &n.flags.auth, &n.flags.dataCenter} {
		*listen = free("127.0.0.3:0")
	}
	n.start(t)
	if h := n.awaited(t); !strings.HasPrefix(h.APIURL, "https://127.0.0.3:") {
		t.Errorf("it is at %s", h.APIURL)
	}
}

// What the simulator leaves is as its help says, and for its owner alone. It is known
// by the first of its names.
func TestHandout(t *testing.T) {
	n := newNeighbour(t, "simulator", "127.0.0.1")
	n.start(t)
	patience, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	h, err := readHandout(n.flags.dir) // nobody reaches it by its first name here
	for ; err != nil && patience.Err() == nil; h, err = readHandout(n.flags.dir) {
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(n.flags.dataCenter, ":")
	if want := "https://simulator:" + port + "/jira"; h.DataCenterURL != want {
		t.Errorf("the Data Center is at %s, want %s", h.DataCenterURL, want)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(h.ca) {
		t.Error("no CA")
	}
	help := newSimulator().Long
	entries, err := os.ReadDir(n.flags.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(help, "\n  "+e.Name()+" ") || info.Mode().Perm() != 0o600 {
			t.Errorf("%s, mode %o, is not in the help, or not for its owner alone", e.Name(), info.Mode().Perm())
		}
	}
	if len(entries) != 5 {
		t.Errorf("%d files", len(entries))
	}
	b, err := os.ReadFile(filepath.Join(n.flags.dir, grantName))
	var grant map[string]string
	if err != nil || json.Unmarshal(b, &grant) != nil || grant["refresh_token"] == "" {
		t.Errorf("the grant is %s, %v", b, err)
	}
}

// Who waits for a simulator that never comes is told where it was looked for.
func TestNoSimulator(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := awaitSimulator(ctx, dir); err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "demo simulator") {
		t.Errorf("%v", err)
	}
}

func TestReachedAt(t *testing.T) {
	for _, c := range []struct {
		url   string
		hosts []string
		want  string
	}{
		{"https://127.0.0.1:9443", nil, "https://127.0.0.1:9443"},
		{"https://[::]:9443", []string{"simulator", "other"}, "https://simulator:9443"},
		{"https://[::]:9445/jira", []string{"simulator"}, "https://simulator:9445/jira"},
		{"https://0.0.0.0:9445/jira", []string{"2001:db8::1"}, "https://[2001:db8::1]:9445/jira"},
	} {
		if got := reachedAt(c.url, c.hosts); got != c.want {
			t.Errorf("%s by %v: %s, want %s", c.url, c.hosts, got, c.want)
		}
	}
}
