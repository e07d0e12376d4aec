package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"jiragate/gateway/admin"
	"jiragate/gateway/notify"
	"jiragate/internal/jirasim"
)

// redirectHost is where administrators' browsers believe the gateway to be.
const redirectHost = "127.0.0.1:1"

// product receives webhooks, and keeps those whose signature is good.
type product struct {
	url, secret string
	mu          sync.Mutex
	told        []notify.Message
}

func startProduct(t *testing.T) *product {
	t.Helper()
	p := &product{secret: notify.NewSecret().Reveal()}
	verifier, err := webhooks.NewWebhook(p.secret)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		var m notify.Message
		if err == nil {
			err = json.Unmarshal(body, &m)
		}
		if err != nil {
			t.Errorf("webhook: %v", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.told = append(p.told, m)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// knows waits until the product was told that a connection is in a state.
func (p *product) knows(t *testing.T, connection, state string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		for _, m := range p.told {
			if m.Data.Connection == connection && string(m.Data.State) == state {
				p.mu.Unlock()
				return
			}
		}
		p.mu.Unlock()
	}
	t.Errorf("the product was not told that %s is %s", connection, state)
}

// browser is that of a customer's administrator. It reaches the gateway at
// redirectHost.
func browser(t *testing.T, adminAddr string, jira []byte) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(jira)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == redirectHost {
				address = adminAddr
			}
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Jar: jar, Timeout: 20 * time.Second}
}

func openPage(t *testing.T, b *http.Client, url string) (status int, page string) {
	t.Helper()
	resp, err := b.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// A customer's administrator opens the link that an operator made, agrees, and
// from then on calls are made: for each kind of consent, through the whole program.
func TestConsentThroughTheWholeProgram(t *testing.T) {
	sim, err := jirasim.Start(jirasim.Options{AutoApprove: true, RedirectURLs: []string{"http://" + redirectHost + "/oauth/callback"}})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	told := startProduct(t)
	files := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(files, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c, environ := testConfig(t,
		"JIRAGATE_OAUTH_REDIRECT_URL=http://"+redirectHost+"/oauth/callback",
		"JIRAGATE_OAUTH_CLIENT_ID="+jirasim.DefaultClientID,
		"JIRAGATE_OAUTH_CLIENT_SECRET_FILE="+file("client-secret", jirasim.DefaultClientSecret+"\n"),
		"JIRAGATE_ATLASSIAN_API_URL="+sim.APIURL(), "JIRAGATE_ATLASSIAN_AUTH_URL="+sim.AuthURL(),
		"JIRAGATE_UPSTREAM_CA_FILE="+file("jira-ca.pem", string(sim.CAPEM())),
		"JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8", "JIRAGATE_EGRESS=198.51.100.7=127.0.0.1",
		"JIRAGATE_WEBHOOK_URL="+told.url, "JIRAGATE_WEBHOOK_SECRET_FILE="+file("webhook-secret", told.secret+"\n"),
	)
	s, log := startServer(t, c)
	var links []string
	add := func(args ...string) admin.Invited {
		t.Helper()
		var invited admin.Invited
		out := mustRun(t, environ, "", append([]string{"connection", "add"}, append(args, "--output", "json")...)...)
		if err := json.Unmarshal([]byte(out), &invited); err != nil {
			t.Fatal(err)
		}
		_, token, ok := strings.Cut(invited.ConsentURL, "~")
		if !ok {
			t.Fatalf("no link: %s", out)
		}
		links = append(links, token)
		return invited
	}
	dc := []string{"--edition", "datacenter", "--base-url", sim.DataCenterURL()}
	cloud := add("acme", "--edition", "cloud", "--site-url", sim.SiteURL())
	linked := add(append([]string{"linked", "--auth", "oauth2", "--client-id", jirasim.DefaultDCClientID, "--secret-file", file("dc-secret", jirasim.DefaultDCClientSecret)}, dc...)...)
	server := add(append([]string{"server", "--auth", "oauth1", "--consumer-key", "jiragate"}, dc...)...)
	if err := sim.RegisterConsumer(server.ConsumerKey, server.PublicKey); err != nil {
		t.Fatal(err)
	}

	for _, invited := range []admin.Invited{cloud, linked, server} {
		told.knows(t, invited.ID, "needs_reauthorisation")
		if code, _, _ := run(t, environ, "", "connection", "test", invited.ID); code == 0 {
			t.Errorf("%s: calls are made before anybody has consented", invited.ID)
		}
		status, page := openPage(t, browser(t, s.AdminAddr(), sim.CAPEM()), invited.ConsentURL)
		if status != 200 || !strings.Contains(page, invited.ID) {
			t.Errorf("%s: %d\n%s", invited.ID, status, page)
		}
		if out := mustRun(t, environ, "", "connection", "test", invited.ID); !strings.Contains(out, "198.51.100.7") {
			t.Errorf("%s: %s", invited.ID, out)
		}
		told.knows(t, invited.ID, "active")
		// The link is used up.
		if status, page := openPage(t, browser(t, s.AdminAddr(), sim.CAPEM()), invited.ConsentURL); status == 200 {
			t.Errorf("%s: the link works again\n%s", invited.ID, page)
		}
	}
	var shown admin.Connection
	if err := json.Unmarshal([]byte(mustRun(t, environ, "", "connection", "show", "acme", "--output", "json")), &shown); err != nil {
		t.Fatal(err)
	}
	if g := shown.Grant; shown.CloudID != sim.CloudID() || g == nil || time.Until(g.EndsAt) < 364*24*time.Hour || time.Until(g.LapsesAt) < 89*24*time.Hour {
		t.Errorf("%+v, grant %+v", shown, shown.Grant)
	}

	// Consenting again replaces the grant of a connection that is in use.
	var again admin.Invited
	if err := json.Unmarshal([]byte(mustRun(t, environ, "", "connection", "consent", "acme", "--output", "json")), &again); err != nil {
		t.Fatal(err)
	}
	if status, page := openPage(t, browser(t, s.AdminAddr(), sim.CAPEM()), again.ConsentURL); status != 200 {
		t.Errorf("consenting again: %d\n%s", status, page)
	}
	mustRun(t, environ, "", "connection", "test", "acme")
	if out := mustRun(t, environ, "", "connection", "remove", "linked", "--output", "json"); !strings.Contains(out, `"revocation": "done"`) {
		t.Errorf("removal: %s", out)
	}
	if out := mustRun(t, environ, "", "audit", "query", "--text", "admin.connection.consented", "--output", "json"); strings.Count(out, `"decision":"allow","code":""`) != 4 {
		t.Errorf("consents on record:\n%s", out)
	}
	mustRun(t, environ, "", "audit", "verify")

	// Nothing secret is anywhere that anybody reads.
	secrets := append(links, jirasim.DefaultClientSecret, jirasim.DefaultDCClientSecret, told.secret, strings.TrimPrefix(told.secret, "whsec_"), "BEGIN PRIVATE KEY", "sim-access", "sim-refresh", "sim-code")
	written := map[string]string{"log": log.String()}
	err = filepath.WalkDir(c.DataDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "admin-token" || d.Name() == "keyset.json" {
			return err
		}
		content, err := os.ReadFile(path)
		written[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range written {
		for _, secret := range secrets {
			if strings.Contains(content, secret) {
				t.Errorf("%s holds a secret: %.12s…", name, secret)
			}
		}
	}
}
