package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jiragate/gateway/admin"
	"jiragate/gateway/telemetry"
	"jiragate/internal/jirasim"
)

// Of whoever calls or administers over the network, and of the issues, nothing gets
// into the audit folder or the program's log, across a restart.
func TestNothingIsWrittenOfClientsAndIssues(t *testing.T) {
	defer goleak.VerifyNone(t)
	const issue, from = "LEAKY-4711", "127.0.0.77" // nothing else here has that address
	for _, mode := range []string{"pseudonymise", "drop"} {
		t.Run(mode, func(t *testing.T) {
			sim, err := jirasim.Start(jirasim.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer sim.Close() // ends with the test
			ca := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(ca, sim.CAPEM(), 0o600); err != nil {
				t.Fatal(err)
			}
			c, environ := testConfig(t, "JIRAGATE_UPSTREAM_CA_FILE="+ca, "JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8",
				"JIRAGATE_EGRESS=198.51.100.7=127.0.0.1", "JIRAGATE_AUDIT_IDENTIFIERS="+mode, "JIRAGATE_AUDIT_CLIENT_ADDR="+mode)
			mustRun(t, environ, jirasim.DefaultPassword, "connection", "add", "globex", "--edition", "datacenter", "--base-url", sim.DataCenterURL(),
				"--auth", "basic", "--username", jirasim.DefaultUsername, "--secret-file", "-")
			var issued admin.IssuedToken
			if err := json.Unmarshal([]byte(mustRun(t, environ, "", "client", "add", "billing", "--connection", "globex", "--output", "json")), &issued); err != nil {
				t.Fatal(err)
			}
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
			for range 2 { // a restart between
				log := serveFrom(t, c, func(s *Server) {
					if conn, err := dialer.Dial("tcp", s.ProxyAddr()); err != nil {
						t.Skipf("this machine has no %s: %v", from, err)
					} else {
						_ = conn.Close()
					}
					roots := x509.NewCertPool()
					roots.AppendCertsFromPEM(s.RootPEM())
					proxied := &http.Transport{
						Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: s.ProxyAddr(), User: url.UserPassword(issued.Name, issued.Token)}),
						TLSClientConfig: &tls.Config{RootCAs: roots},
						DialContext:     dialer.DialContext,
					}
					defer proxied.CloseIdleConnections()
					for _, path := range []string{"/project/ACME", "/issue/" + issue, "/issue//" + issue} {
						get(t, proxied, sim.DataCenterURL()+"/rest/api/2"+path, "")
					}
					direct := &http.Transport{DialContext: dialer.DialContext}
					defer direct.CloseIdleConnections()
					token, err := os.ReadFile(filepath.Join(c.DataDir, "admin-token"))
					if err != nil {
						t.Fatal(err)
					}
					get(t, direct, "http://"+s.AdminAddr()+"/v1/connections", "Bearer wrong")
					get(t, direct, "http://"+s.AdminAddr()+"/oauth/start/none", "")
					get(t, direct, "http://"+s.AdminAddr()+"/oauth/callback?state=none&code=none", "")
					request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.AdminAddr()+"/v1/connections/globex/enable", nil)
					if err != nil {
						t.Fatal(err)
					}
					request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
					resp, err := direct.RoundTrip(request)
					if err != nil {
						t.Fatal(err)
					}
					_ = resp.Body.Close()
				})
				wantNone(t, "log", log, issue, "/project/ACME", from)
			}
			err = filepath.WalkDir(c.auditDir(), func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() {
					return err
				}
				content, err := os.ReadFile(path)
				wantNone(t, path, string(content), issue, "/project/ACME", from, "pid=")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			records := mustRun(t, environ, "", "audit", "query", "--output", "json")
			for _, want := range []string{`"operation":"admin.refused"`, `"path":"/v1/connections/globex/enable"`, `"operation":"project.get"`} {
				if !strings.Contains(records, want) {
					t.Errorf("no record has %s", want)
				}
			}
			if mode != "pseudonymise" {
				return
			}
			// Compliance finds the records of both runs, allowed or not.
			for value, want := range map[string]int{"ACME": 2, issue: 4} {
				p := strings.TrimSpace(mustRun(t, environ, "", "audit", "pseudonym", "--connection", "globex", value))
				if n := strings.Count(mustRun(t, environ, "", "audit", "query", "--text", p, "--output", "json"), "\n"); n != want {
					t.Errorf("%d records of %s, want %d", n, value, want)
				}
			}
			p := strings.TrimSpace(mustRun(t, environ, "", "audit", "pseudonym", "--client-addr", from))
			if !strings.Contains(records, fmt.Sprintf(`"client":"operator:admin-token","client_addr":%q`, p)) {
				t.Errorf("no act has %s", p)
			}
		})
	}
}

// serveFrom serves for the time of do, and returns what the program has logged.
func serveFrom(t *testing.T, c Config, do func(*Server)) string {
	t.Helper()
	log := &syncBuffer{}
	s, err := Start(t.Context(), c, StartOptions{Logger: telemetry.NewLogger(log, slog.LevelDebug, telemetry.Text)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	do(s)
	return log.String()
}

func get(t *testing.T, transport http.RoundTripper, url, authorization string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	resp, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	_ = resp.Body.Close()
}

func wantNone(t *testing.T, name, text string, identifiers ...string) {
	t.Helper()
	for _, s := range identifiers {
		if i := strings.Index(text, s); i >= 0 {
			t.Errorf("%s holds %s: …%s…", name, s, text[max(0, i-200):min(len(text), i+80)])
		}
	}
}
