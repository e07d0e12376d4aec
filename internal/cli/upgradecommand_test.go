package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jiragate/gateway/admin"
)

// TestUpgradeCommand: it returns when the new process serves, and says what came of it;
// so does status.
func TestUpgradeCommand(t *testing.T) {
	f := startFleeting(t)
	client := f.client(http1)
	if err := f.call(client); err != nil { // whose connection is passed on
		t.Error(err)
	}
	var done admin.Upgrade
	if err := json.Unmarshal([]byte(mustRun(t, f.environ, "", "upgrade", "--output", "json")), &done); err != nil {
		t.Fatal(err)
	}
	f.pids = append(f.pids, done.PID)
	if done.PID == f.pids[0] || done.Version != programVersion().Version || done.PauseMS <= 0 || done.Connections != 1 || done.Error != "" {
		t.Errorf("%+v", done)
	}
	var now statusReport
	if err := json.Unmarshal([]byte(mustRun(t, f.environ, "", "status", "--output", "json")), &now); err != nil {
		t.Fatal(err)
	}
	if now.PID != done.PID || now.Upgrade == nil || !now.Upgrade.Time.Equal(done.Time) {
		t.Errorf("status: pid %d, %+v", now.PID, now.Upgrade)
	}
	if err := f.call(client); err != nil {
		t.Error(err)
	}

	text := mustRun(t, f.environ, "", "upgrade")
	f.pids = append(f.pids, f.number(`msg="handed over" pid=(\d+)`, 2))
	for _, want := range []string{fmt.Sprintf("pid %d", f.pids[2]), "version ", " ms", "connections passed on 0"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("it says\n%s\nwant %q", text, want)
		}
	}
	if out := mustRun(t, f.environ, "", "status"); !strings.Contains(out, "upgraded") {
		t.Errorf("status says\n%s", out)
	}
	if n := f.records("admin.upgrade"); n != 2 {
		t.Errorf("%d records of it, want 2", n)
	}
}

// TestUpgradeCommandThatFails says why, before and after the new process was
// prepared; the one that serves goes on.
func TestUpgradeCommandThatFails(t *testing.T) {
	f := startFleeting(t)
	for name, tt := range map[string]struct{ script, want string }{
		"not prepared": {"exit 7\n", "exit status 7"},
		"not serving":  {"exec env JIRAGATE_ADMIN_TOKEN_FILE=/nowhere/token " + f.real + ` "$@"` + "\n", "/nowhere/.token"},
	} {
		f.install("#!/bin/sh\n" + tt.script)
		code, _, stderr := run(t, f.environ, "", "upgrade")
		if code != exitFailure || !strings.Contains(stderr, "no handover to a new program") || !strings.Contains(stderr, tt.want) || !strings.Contains(stderr, "nothing has changed") {
			t.Errorf("%s: exit code %d\n%s", name, code, stderr)
		}
		if err := f.call(f.client(http1)); err != nil {
			t.Error(err)
		}
		if out := mustRun(t, f.environ, "", "status"); !strings.Contains(out, tt.want) {
			t.Errorf("%s: status says\n%s", name, out)
		}
	}
	if code, _, stderr := run(t, append(slices.Clone(f.environ), "JIRAGATE_DATA_DIR="+t.TempDir()), "", "upgrade"); code != exitFailure || !strings.Contains(stderr, "hint: there is nothing to hand over") {
		t.Errorf("without a gateway: exit code %d\n%s", code, stderr)
	}
}

// TestWhoAsksDuringAHandoverWaits: calls and commands are answered by the new process, and
// another upgrade is refused until then.
func TestWhoAsksDuringAHandoverWaits(t *testing.T) {
	f := startFleeting(t)
	client := f.client(http1)
	pid, call := f.prepared(client, 4*time.Second)
	if code, _, stderr := run(t, f.environ, "", "upgrade"); code != exitFailure || !strings.Contains(stderr, "handing over already") {
		t.Errorf("another upgrade: exit code %d\n%s", code, stderr)
	}
	if err := <-call; err != nil {
		t.Error(err)
	}
	f.says("took over", 1)
	f.pids = append(f.pids, pid)

	unlock := f.locked() // the pause
	asked, called := make(chan string, 1), make(chan error, 1)
	go func() {
		_, out, stderr := run(t, f.environ, "", "client", "list")
		asked <- out + stderr
	}()
	go func() { called <- f.call(client) }()
	select {
	case out := <-asked:
		t.Errorf("the command was answered although nobody serves: %s", out)
	case err := <-called:
		t.Errorf("the call was answered although nobody serves: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	unlock()
	if out := <-asked; !strings.Contains(out, "billing") {
		t.Errorf("the command says %s", out)
	}
	if err := <-called; err != nil {
		t.Error(err)
	}
	f.pids = append(f.pids, f.number(`msg="handed over" pid=(\d+)`, 2))
}

// TestWhatDoesNotProlongThePause: connections to the admin listener that say nothing, as
// browsers open them ahead, and a collector of telemetry that doesn't answer.
func TestWhatDoesNotProlongThePause(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	f := startFleeting(t, "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+silent.Addr().String())
	conn, err := net.Dial("tcp", f.says(`admin=(\S+)`, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := f.call(f.client(http1)); err != nil { // which has a trace
		t.Error(err)
	}
	f.upgrade()
	pause, err := time.ParseDuration(f.says(`msg="handed over" .*pause=(\S+)`, 1))
	if err != nil || pause > 4*time.Second { // net/http would wait for 5, the exporter for 10
		t.Errorf("the pause was %s, %v", pause, err)
	}
}

// TestAGatewayThatGoesOnCanHandOverLater: a handover that calls have held back leaves
// everything as it was.
func TestAGatewayThatGoesOnCanHandOverLater(t *testing.T) {
	c, environ := testConfig(t)
	s, _ := startServer(t, c)
	addConnection(t, environ, "globex")
	var client struct{ Token string }
	if err := json.Unmarshal([]byte(mustRun(t, environ, "", "client", "add", "billing", "--connection", "globex", "--output", "json")), &client); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		// A tunnel that doesn't come about holds the handover back.
		conn, err := net.Dial("tcp", s.ProxyAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth("billing", client.Token)
		fmt.Fprintf(conn, "CONNECT globex.example:443 HTTP/1.1\r\nHost: globex.example:443\r\nProxy-Authorization: %s\r\n\r\n", r.Header.Get("Authorization"))
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
			t.Fatalf("CONNECT: %q, %v", line, err)
		}
		names, files, err := s.socketFiles()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := s.yield(ctx, files[slices.Index(names, proxySocket)]); err == nil {
			t.Error("nobody waited")
		}
		cancel()
		for _, f := range files {
			f.Close()
		}
	}
}

// TestCallsThatTakeTooLongAreCut when the gateway is told to stop: it says how many, and
// their records are there.
func TestCallsThatTakeTooLongAreCut(t *testing.T) {
	f := startFleeting(t, "JIRAGATE_DRAIN_TIMEOUT=1s")
	call := f.slowCall(f.client(http1), time.Minute)
	f.signal(syscall.SIGTERM)
	if err := <-call; err == nil {
		t.Error("the call succeeded")
	}
	f.firstEnds() // with exit code 0
	f.says(`msg="shutting down" at_most=1s`, 1)
	f.says(`msg="calls were cut.*calls=1 hint=.*JIRAGATE_DRAIN_TIMEOUT`, 1)
	if n := f.records("myself.get"); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
	mustRun(t, f.environ, "", "audit", "verify")
}
