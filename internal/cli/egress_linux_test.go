package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jiragate/internal/jirasim"
)

// Calls and token refreshes alike leave from the egress address (G8). Linux has
// all of 127.0.0.0/8, so the other side can tell it from the default.
func TestEverythingLeavesFromTheEgressAddress(t *testing.T) {
	sim, err := jirasim.Start(jirasim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close() // ends with the test
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	grant := sim.IssueGrant(jirasim.DefaultScopes()...)
	token, err := json.Marshal(map[string]string{
		"access_token": grant.AccessToken, "refresh_token": grant.RefreshToken, "expiry": "2020-01-01T00:00:00Z", "scope": strings.Join(jirasim.DefaultScopes(), " "),
	})
	if err != nil {
		t.Fatal(err)
	}
	c, environ := testConfig(t,
		"JIRAGATE_EGRESS=198.51.100.7=127.0.0.2", "JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8",
		"JIRAGATE_UPSTREAM_CA_FILE="+write("ca.pem", sim.CAPEM()),
		"JIRAGATE_ATLASSIAN_API_URL="+sim.APIURL(), "JIRAGATE_ATLASSIAN_AUTH_URL="+sim.AuthURL(),
		"JIRAGATE_OAUTH_CLIENT_ID="+jirasim.DefaultClientID, "JIRAGATE_OAUTH_CLIENT_SECRET_FILE="+write("secret", []byte(jirasim.DefaultClientSecret)))
	startServer(t, c)
	mustRun(t, environ, "", "connection", "add", "acme", "--edition", "cloud", "--site-url", sim.SiteURL(), "--cloud-id", sim.CloudID(),
		"--oauth-token-file", write("token.json", token))
	mustRun(t, environ, "", "connection", "test", "acme")

	seen := map[jirasim.Origin]int{}
	for _, r := range sim.Requests() {
		seen[r.Origin]++
		if !strings.HasPrefix(r.RemoteAddr, "127.0.0.2:") {
			t.Errorf("%s %s came from %s", r.Method, r.RequestURI, r.RemoteAddr)
		}
	}
	if seen[jirasim.AuthServer] != 1 || seen[jirasim.CloudAPI] != 1 {
		t.Errorf("requests: %v, want a refresh and a call", seen)
	}
}
