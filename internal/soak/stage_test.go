package soak

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jiragate/internal/jirasim"
)

// tokenLifetime is that of access tokens: short, so that they are refreshed all the
// time. The gateway renews them when a fifth is left.
const tokenLifetime = 20 * time.Second

// A simulated customer. What happens to one origin of the simulator happens to all
// targets with the same trouble.
type target struct {
	connection string
	edition    string
	url        string // below which the API is
	trouble    string // name of what is injected there; empty for a calm one
}

func (c *target) cloud() bool { return c.edition == "cloud" }

// stage is the world around the gateway.
type stage struct {
	*process
	shaky, calm *jirasim.Sim // the calm one has a Data Center only
	collector   *collector
	policy      string // file
	password    string // file
	calmCA      string // file
	targets     []*target
	tokens      map[string]string // by client
	rootPEM     []byte
}

// clients of the soak, by what they do.
var clients = []string{"tunnels-h1", "tunnels-h2", "absolute", "base", "leaver", "half-open", "slow", "operator"}

// setStage starts simulators and a gateway with connections and clients.
func setStage(t *testing.T, program string) *stage {
	t.Helper()
	if *soakOut != "" {
		if err := os.MkdirAll(*soakOut, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := &stage{tokens: map[string]string{}, collector: newCollector(t)}
	s.shaky = startSim(t, jirasim.Options{TokenLifetime: tokenLifetime, CaptchaAfter: -1, History: 512})
	s.calm = startSim(t, jirasim.Options{History: 512})
	var sites []jirasim.Site
	for i := range 4 {
		site := jirasim.Site{ID: fmt.Sprintf("8c6f5b1e-2c3d-4e5f-9a6b-00000000000%d", i), URL: fmt.Sprintf("https://soak-%d.atlassian.net", i)}
		sites = append(sites, site)
		to := &target{connection: fmt.Sprintf("cloud-%d", i), edition: "cloud", url: site.URL, trouble: "/ex/jira/" + site.ID + "/"}
		if i == 0 {
			to.trouble = ""
		}
		s.targets = append(s.targets, to)
	}
	s.shaky.SetSites(sites...)
	files := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(files, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	shakyCA, secret := file("shaky-ca.pem", string(s.shaky.CAPEM())), file("client-secret", jirasim.DefaultClientSecret)
	s.calmCA, s.password, s.policy = file("calm-ca.pem", string(s.calm.CAPEM())), file("password", jirasim.DefaultPassword), file("policy.yaml", policyText(false))
	s.process = newProcess(t, program, append(s.collector.environ(),
		"JIRAGATE_EGRESS=52.54.159.237=127.0.0.2,52.73.143.252=127.0.0.3",
		"JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8",
		"JIRAGATE_ATLASSIAN_API_URL="+s.shaky.APIURL(), "JIRAGATE_ATLASSIAN_AUTH_URL="+s.shaky.AuthURL(),
		"JIRAGATE_OAUTH_CLIENT_ID="+jirasim.DefaultClientID, "JIRAGATE_OAUTH_CLIENT_SECRET_FILE="+secret,
		"JIRAGATE_UPSTREAM_CA_FILE="+shakyCA, "JIRAGATE_POLICY_FILE="+s.policy,
		"JIRAGATE_AUDIT_SYNC=batch", "JIRAGATE_AUDIT_SEGMENT_SIZE=4MiB")...)
	s.start(t)

	for _, to := range s.targets {
		id := sites[to.connection[len(to.connection)-1]-'0'].ID
		s.must(t, s.grant(t), "connection", "add", to.connection, "--edition", "cloud", "--site-url", to.url, "--cloud-id", id, "--oauth-token-file", "-")
	}
	pat := file("pat", jirasim.DefaultPAT)
	for _, dc := range []struct {
		connection, ca string
		sim            *jirasim.Sim
		how            []string
		trouble        string
	}{
		{"dc-password", shakyCA, s.shaky, []string{"--auth", "basic", "--username", jirasim.DefaultUsername, "--secret-file", s.password}, "datacenter"},
		{"dc-pat", shakyCA, s.shaky, []string{"--auth", "pat", "--secret-file", pat}, "datacenter"},
		{"dc-calm", s.calmCA, s.calm, []string{"--auth", "basic", "--username", jirasim.DefaultUsername, "--secret-file", s.password}, ""},
		{"dc-lent", s.calmCA, s.calm, []string{"--auth", "pat", "--secret-file", pat}, ""},
	} {
		args := append([]string{"connection", "add", dc.connection, "--edition", "datacenter", "--base-url", dc.sim.DataCenterURL(), "--upstream-ca-file", dc.ca}, dc.how...)
		s.must(t, "", args...)
		if dc.connection != "dc-lent" { // the operator's, to give and take
			s.targets = append(s.targets, &target{connection: dc.connection, edition: "datacenter", url: dc.sim.DataCenterURL(), trouble: dc.trouble})
		}
	}
	for _, name := range clients {
		args := []string{"client", "add", name, "--output", "json"}
		for _, to := range s.targets {
			args = append(args, "--connection", to.connection)
		}
		var answer struct{ Token string }
		if err := json.Unmarshal([]byte(s.must(t, "", args...)), &answer); err != nil {
			t.Fatalf("the new client's token: %v", err)
		}
		s.tokens[name] = answer.Token
	}
	root, err := os.ReadFile(filepath.Join(s.dir, "data", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s.rootPEM = root
	return s
}

func startSim(t *testing.T, o jirasim.Options) *jirasim.Sim {
	t.Helper()
	sim, err := jirasim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	return sim
}

// grant is the token file of a consent of its own.
func (s *stage) grant(t *testing.T) string {
	t.Helper()
	grant := s.shaky.IssueGrant(jirasim.DefaultScopes()...)
	b, err := json.Marshal(map[string]string{
		"access_token": grant.AccessToken, "refresh_token": grant.RefreshToken,
		"expiry": grant.Expiry.UTC().Format(time.RFC3339), "scope": strings.Join(jirasim.DefaultScopes(), " "),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (s *stage) target(connection string) *target {
	for _, to := range s.targets {
		if to.connection == connection {
			return to
		}
	}
	panic("no target " + connection)
}

// policyText narrows the policy for the operator alone, or for nobody.
func policyText(narrow bool) string {
	text := "version: 1\nrules:\n  - name: nobody\n    clients: [nobody]\n    deny: [issue.create]\n"
	if narrow {
		text += "  - name: operator\n    clients: [operator]\n    deny: [priority.list]\n"
	}
	return text
}
