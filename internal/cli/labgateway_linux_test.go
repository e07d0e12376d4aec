package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"jiragate/internal/jirasim"
)

// Where a gateway listens by default.
const (
	proxyAddress = "127.0.0.1:8080"
	adminAddress = "127.0.0.1:8081"
)

// labGateway is the program as processes on the gateway's machine: serve, and the
// commands of an operator.
type labGateway struct {
	*stage
	program string // by the name that TestMain knows it by, or a file
	environ []string
	log     syncBuffer // of serve
	serving *exec.Cmd  // nil while it does not serve
	ended   chan error
}

// gateway is a gateway with settings besides those of the stage. It does not serve
// yet. Gateways of one stage have the same data directory.
func (s *stage) gateway(settings ...string) *labGateway {
	g := &labGateway{stage: s, program: "jiragate", environ: slices.Concat(s.environ, settings)}
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("the gateway's log:\n%s", g.log.String())
		}
	})
	s.t.Cleanup(g.stop)
	return g
}

func (g *labGateway) process(args ...string) *exec.Cmd {
	cmd := exec.Command(g.program, args...)
	cmd.Env = g.environ
	return cmd
}

// run is one command.
func (g *labGateway) run(args ...string) (code int, output string) {
	g.t.Helper()
	return g.runWith("", args...)
}

func (g *labGateway) runWith(stdin string, args ...string) (code int, output string) {
	g.t.Helper()
	var out, problems syncBuffer
	cmd := g.process(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &problems
	if err := g.machine.Start(cmd); err != nil {
		g.t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code tells
	if code = cmd.ProcessState.ExitCode(); code != exitOK {
		return code, out.String() + problems.String()
	}
	return code, out.String()
}

func (g *labGateway) mustRun(args ...string) string {
	g.t.Helper()
	return g.mustRunWith("", args...)
}

func (g *labGateway) mustRunWith(stdin string, args ...string) string {
	g.t.Helper()
	code, output := g.runWith(stdin, args...)
	if code != exitOK {
		g.t.Fatalf("jiragate %s: exit code %d\n%s", strings.Join(args, " "), code, output)
	}
	return output
}

// start begins to serve. When it returns, clients can connect.
func (g *labGateway) start() {
	g.t.Helper()
	cmd := g.process("serve")
	cmd.Stdout, cmd.Stderr = &g.log, &g.log
	if err := g.machine.Start(cmd); err != nil {
		g.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	g.serving, g.ended = cmd, ended
	eventually(g.t, "the gateway serves", func() bool {
		select {
		case err := <-ended:
			g.serving = nil
			g.t.Fatalf("the gateway ended as it started: %v", err)
		default:
		}
		running, err := gatewayRuns(g.t.Context(), g.path("data"))
		return running && err == nil
	})
}

// stop ends serving. A gateway that does not end well fails the test, as one does in
// which the race detector has found something.
func (g *labGateway) stop() {
	if g.serving == nil {
		return
	}
	_ = g.serving.Process.Signal(syscall.SIGTERM) // fails where it has ended by itself
	select {
	case err := <-g.ended:
		if err != nil {
			g.t.Errorf("the gateway did not end well: %v", err)
		}
	case <-time.After(40 * time.Second):
		_ = g.serving.Process.Kill()
		g.t.Error("the gateway did not end")
	}
	g.serving = nil
}

// addCloud adds a connection to the Cloud site, whose access token has ended.
func (g *labGateway) addCloud(id string, more ...string) (refreshToken string) {
	g.t.Helper()
	file, refreshToken := g.endedToken(id + "-token.json")
	g.mustRun(append([]string{"connection", "add", id, "--edition", "cloud", "--site-url", siteURL, "--cloud-id", g.sim.CloudID(), "--oauth-token-file", file}, more...)...)
	return refreshToken
}

// addDataCenter adds a connection to a Data Center. Its personal access token can be
// sent by any number of calls at a time.
func (g *labGateway) addDataCenter(id, baseURL string) {
	g.t.Helper()
	g.mustRunWith(jirasim.DefaultPAT, "connection", "add", id, "--edition", "datacenter", "--base-url", baseURL, "--auth", "pat", "--secret-file", "-")
}

// fetch gets a page of the admin listener.
func (g *labGateway) fetch(path string) (status int, body string) {
	g.t.Helper()
	transport := &http.Transport{DialContext: g.machine.DialContext, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	resp, err := client.Get("http://" + adminAddress + path)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close() // read to its end
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return resp.StatusCode, string(content)
}

// ready fails the test unless /readyz says this of each of the checks, once what it
// remembers of before is forgotten.
func (g *labGateway) ready(want map[string]string) {
	g.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		problem := g.unready(want)
		if problem == "" {
			return
		}
		if time.Now().After(deadline) {
			g.t.Error(problem)
			return
		}
	}
}

// unready is what /readyz says otherwise; "" for nothing.
func (g *labGateway) unready(want map[string]string) string {
	g.t.Helper()
	status, body := g.fetch("/readyz")
	var answer struct{ Checks map[string]string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		g.t.Fatalf("%v: %s", err, body)
	}
	wantStatus := http.StatusOK
	for check, verdict := range want {
		if answer.Checks[check] != verdict {
			return fmt.Sprintf("/readyz says %q of %s, want %q", answer.Checks[check], check, verdict)
		}
		if verdict != "ok" {
			wantStatus = http.StatusServiceUnavailable
		}
	}
	if status != wantStatus {
		return fmt.Sprintf("/readyz: status %d, want %d: %s", status, wantStatus, body)
	}
	return ""
}

// callRecord is what these tests read of a call record.
type callRecord struct {
	Connection, Code string
	EgressIP         string `json:"egress_ip"`
	UpstreamAddr     string `json:"upstream_addr"`
	Status           int
}

// records are those of a client's calls, oldest first.
func (g *labGateway) records(client string) []callRecord {
	g.t.Helper()
	var all []callRecord
	for line := range strings.Lines(g.mustRun("audit", "query", "--client", client, "--output", "json")) {
		var r callRecord
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			g.t.Fatalf("%v: %s", err, line)
		}
		all = append(all, r)
	}
	return all
}
