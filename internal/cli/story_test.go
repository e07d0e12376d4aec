package cli

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"jiragate/internal/jirasim"
)

// TestMain lets the scripts of testdata run the program as a process.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"jiragate": func() { os.Exit(program()) }})
}

// program is main.go.
func program() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	hangup, upgrade := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	signal.Notify(upgrade, syscall.SIGUSR2)
	return Main(ctx, os.Args[1:], System{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(),
		Hangup: hangup, Upgrade: upgrade, Program: os.Args[0],
	})
}

// The stories in testdata are the command line as a person uses it. Besides
// testscript's own commands they have:
//
//	running [DIR]     wait until a gateway listens at admin.sock in DIR (data)
//	jira              start a simulated Jira and point the environment at it; writes
//	                  token.json, password and jira-ca.pem, and sets $JIRA, its base URL
//	echoes            start an echo service, and point the environment at it
//	chmod MODE FILE   as the shell's
//	jsonfield F NAME  print a top-level member of the JSON object in file F into $VALUE
func TestStories(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("there are no stories (%v)", err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("JIRAGATE_PROXY_LISTEN", "127.0.0.1:0")
			e.Setenv("JIRAGATE_ADMIN_LISTEN", "127.0.0.1:0")
			// A program with the race detector sleeps for a second before it ends.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"running":   storyRunning,
			"jira":      storyJira,
			"echoes":    storyEchoes,
			"chmod":     storyChmod,
			"jsonfield": storyJSONField,
		},
	})
}

func storyRunning(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: running [DIR]")
	}
	dir := ts.MkAbs(append(args, "data")[0])
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		running, err := gatewayRuns(context.Background(), dir)
		ts.Check(err)
		if running {
			return
		}
	}
	ts.Fatalf("no gateway listens in %s", dir)
}

func storyJira(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: jira")
	}
	sim, err := jirasim.Start(jirasim.Options{})
	ts.Check(err)
	ts.Defer(func() { ts.Check(sim.Close()) })
	grant := sim.IssueGrant()
	token, err := json.Marshal(map[string]string{
		"access_token":  grant.AccessToken,
		"refresh_token": grant.RefreshToken,
		"expiry":        time.Now().Add(time.Hour).Format(time.RFC3339),
		"scope":         "read:jira-work write:jira-work read:jira-user offline_access",
	})
	ts.Check(err)
	for name, content := range map[string][]byte{
		"token.json":    token,
		"password":      []byte(jirasim.DefaultPassword + "\n"),
		"client-secret": []byte(jirasim.DefaultClientSecret + "\n"),
		"jira-ca.pem":   sim.CAPEM(),
	} {
		ts.Check(os.WriteFile(ts.MkAbs(name), content, 0o600))
	}
	ts.Setenv("JIRA", sim.DataCenterURL())
	ts.Setenv("JIRAGATE_ATLASSIAN_API_URL", sim.APIURL())
	ts.Setenv("JIRAGATE_ATLASSIAN_AUTH_URL", sim.AuthURL())
	ts.Setenv("JIRAGATE_OAUTH_CLIENT_ID", jirasim.DefaultClientID)
	ts.Setenv("JIRAGATE_OAUTH_CLIENT_SECRET_FILE", ts.MkAbs("client-secret"))
	ts.Setenv("JIRAGATE_UPSTREAM_CA_FILE", ts.MkAbs("jira-ca.pem"))
	ts.Setenv("JIRAGATE_EGRESS_ALLOW_PRIVATE", "127.0.0.0/8")
	ts.Setenv("JIRAGATE_EGRESS", "198.51.100.7=127.0.0.1")
}

func storyEchoes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: echoes")
	}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		_, _ = io.WriteString(w, host+"\n") // the client reads it or not
	}))
	ts.Defer(service.Close)
	ts.Setenv("JIRAGATE_EGRESS_ECHO", service.URL+"/")
	ts.Setenv("JIRAGATE_EGRESS_ALLOW_PRIVATE", "127.0.0.0/8")
}

func storyChmod(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: chmod MODE FILE")
	}
	mode, err := strconv.ParseUint(args[0], 8, 9)
	ts.Check(err)
	ts.Check(os.Chmod(ts.MkAbs(args[1]), os.FileMode(mode)))
}

func storyJSONField(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: jsonfield FILE NAME")
	}
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &object))
	value, ok := object[args[1]].(string)
	if !ok {
		ts.Fatalf("%s has no text %s", args[0], args[1])
	}
	ts.Setenv("VALUE", value)
}
