package tutorials

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jiragate/internal/cli"
	"jiragate/internal/jirasim"
)

// stage is a simulated Jira Cloud, and a gateway that a client may call it through.
type stage struct {
	dir     string // the working directory of programs; has ca.pem
	environ []string
	proxy   string // a URL with the client's name and token
	site    string
	log     *bytes.Buffer
}

func newStage(t *testing.T) *stage {
	t.Helper()
	sim, err := jirasim.Start(jirasim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	s := &stage{dir: t.TempDir(), site: sim.SiteURL(), log: new(bytes.Buffer)}
	s.environ = []string{
		"JIRAGATE_DATA_DIR=" + filepath.Join(s.dir, "data"),
		"JIRAGATE_PROXY_LISTEN=127.0.0.1:0", "JIRAGATE_ADMIN_LISTEN=127.0.0.1:0",
		"JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8",
		"JIRAGATE_ATLASSIAN_API_URL=" + sim.APIURL(), "JIRAGATE_ATLASSIAN_AUTH_URL=" + sim.AuthURL(),
		"JIRAGATE_UPSTREAM_CA_FILE=" + s.write(t, "jira-ca.pem", sim.CAPEM()),
	}
	config, err := cli.ParseConfig(s.environ)
	if err != nil {
		t.Fatal(err)
	}
	server, err := cli.Start(t.Context(), config, cli.StartOptions{Logger: slog.New(slog.NewTextHandler(s.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	s.write(t, "ca.pem", server.RootPEM())

	grant := sim.IssueGrant()
	token, err := json.Marshal(map[string]any{
		"access_token": grant.AccessToken, "refresh_token": grant.RefreshToken,
		"expiry": time.Now().Add(time.Hour), "scope": strings.Join(jirasim.DefaultScopes(), " "),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.command(t, "connection", "add", "acme", "--edition", "cloud", "--site-url", sim.SiteURL(), "--cloud-id", sim.CloudID(),
		"--oauth-token-file", s.write(t, "token.json", token))
	var issued struct{ Name, Token string }
	if err := json.Unmarshal([]byte(s.command(t, "client", "add", "billing", "--connection", "acme", "--output", "json")), &issued); err != nil {
		t.Fatal(err)
	}
	s.proxy = "http://" + issued.Name + ":" + issued.Token + "@" + server.ProxyAddr()
	return s
}

// write makes a file in the working directory of programs.
func (s *stage) write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// command runs a command of jiragate, which must succeed.
func (s *stage) command(t *testing.T, args ...string) string {
	t.Helper()
	var out, problems bytes.Buffer
	if code := cli.Main(t.Context(), args, cli.System{In: strings.NewReader(""), Out: &out, Err: &problems, Environ: s.environ}); code != 0 {
		t.Fatalf("jiragate %s: exit code %d: %s", strings.Join(args, " "), code, &problems)
	}
	return out.String()
}
