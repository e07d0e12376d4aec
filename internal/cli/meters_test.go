package cli

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"jiragate/internal/jirasim"
	"jiragate/policy"
)

// exposed is a metric as a scraper sees it.
type exposed struct {
	kind   string
	help   string
	labels map[string]bool
	series map[string]float64 // by name and labels, as written
}

// scrape reads the metrics of a running gateway in the text format. Those of the
// series of a histogram count as the histogram's.
func scrape(t *testing.T, s *Server) map[string]*exposed {
	t.Helper()
	_, text := read(t, http.DefaultClient, "http://"+s.AdminAddr()+"/metrics")
	label := regexp.MustCompile(`([a-z0-9_]+)="((?:[^"\\]|\\.)*)"`)
	all := map[string]*exposed{}
	var family *exposed
	help := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok { // before its type
			_, help, _ = strings.Cut(rest, " ")
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			family = &exposed{kind, help, map[string]bool{}, map[string]float64{}}
			all[name] = family
		}
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		name, labels, _ := strings.Cut(line[:i], "{")
		var own []string
		for _, l := range label.FindAllStringSubmatch(labels, -1) {
			if !strings.HasPrefix(l[1], "otel_scope_") {
				own = append(own, l[0])
				family.labels[l[1]] = true
			}
		}
		family.series[name+"{"+strings.Join(own, ",")+"}"] = value
	}
	return all
}

// ofLibrary says that a metric is one that libraries add; the page says where they are
// described.
func ofLibrary(name string) bool {
	return strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "promhttp_") || name == "target_info"
}

// documentedMetric is a row of docs/metrics.md.
type documentedMetric struct {
	name, prometheus, kind, unit string
	attributes                   []string
}

// metricsPage reads the tables of metrics of docs/metrics.md.
func metricsPage(t *testing.T) []documentedMetric {
	t.Helper()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("`([^`]+)`")
	inCode := func(cell string) (all []string) {
		for _, m := range code.FindAllStringSubmatch(cell, -1) {
			all = append(all, m[1])
		}
		return all
	}
	var rows []documentedMetric
	inTable := false
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		switch {
		case len(cells) != 6:
			inTable = false
		case strings.TrimSpace(cells[0]) == "metric":
			inTable = true
		case inTable && !strings.HasPrefix(cells[0], " ---"):
			names := append(inCode(cells[0]), inCode(cells[1])...)
			if len(names) != 2 {
				t.Fatalf("a row names %q, not a metric and its name in Prometheus:\n%s", names, line)
			}
			rows = append(rows, documentedMetric{names[0], names[1], strings.TrimSpace(cells[2]), strings.Trim(strings.TrimSpace(cells[3]), "`"), inCode(cells[4])})
		}
	}
	return rows
}

// A gateway with everything switched on, to which everything has happened once,
// exposes the metrics of docs/metrics.md and no others, with the attributes that
// stand there.
func TestMetricsAreThoseOfThePage(t *testing.T) {
	s := startBusy(t)
	got := scrape(t, s)
	maps.DeleteFunc(got, func(name string, _ *exposed) bool { return ofLibrary(name) })
	suffixes := map[string]string{"s": "_seconds", "By": "_bytes"}
	for _, row := range metricsPage(t) {
		m := got[row.prometheus]
		if m == nil {
			t.Errorf("docs/metrics.md has %s, which the gateway does not expose", row.prometheus)
			continue
		}
		delete(got, row.prometheus)
		if m.kind != row.kind {
			t.Errorf("%s is a %s, and a %s in docs/metrics.md", row.prometheus, m.kind, row.kind)
		}
		for _, unit := range []string{"s", "By"} {
			if is := strings.HasSuffix(row.prometheus, suffixes[unit]); is != (row.unit == unit) {
				t.Errorf("%s has the unit %q in docs/metrics.md", row.prometheus, row.unit)
			}
		}
		if dots := strings.ReplaceAll(row.name, ".", "_"); !strings.HasPrefix(row.prometheus, dots) {
			t.Errorf("%s does not come of %s", row.prometheus, row.name)
		}
		want := map[string]bool{}
		for _, a := range row.attributes {
			want[strings.ReplaceAll(a, ".", "_")] = true
		}
		delete(m.labels, "le")
		if !maps.Equal(m.labels, want) {
			t.Errorf("%s has the labels %q, and %q in docs/metrics.md", row.prometheus, slices.Sorted(maps.Keys(m.labels)), slices.Sorted(maps.Keys(want)))
		}
	}
	for name := range got {
		t.Errorf("docs/metrics.md lacks %s", name)
	}
}

// startBusy starts a gateway with all that has metrics, and has each kind of event
// happen to it: calls, refused and paced ones among them, a refresh, a webhook.
func startBusy(t *testing.T) *Server {
	t.Helper()
	sim, err := jirasim.Start(jirasim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	told := make(chan struct{})
	announce := sync.OnceFunc(func() { close(told) })
	others := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			host, _, _ := net.SplitHostPort(r.RemoteAddr)
			_, _ = io.WriteString(w, host)
		case "/webhook":
			w.WriteHeader(http.StatusNoContent)
			announce()
		}
	}))
	t.Cleanup(others.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", others.URL+"/v1/logs")

	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate, key, roots := certificateFiles(t)
	c, environ := testConfig(t,
		"JIRAGATE_PROXY_TLS_CERT="+certificate, "JIRAGATE_PROXY_TLS_KEY="+key,
		"JIRAGATE_UPSTREAM_CA_FILE="+file("ca.pem", string(sim.CAPEM())), "JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8",
		"JIRAGATE_EGRESS=198.51.100.7=127.0.0.1", "JIRAGATE_EGRESS_VERIFY=1h", "JIRAGATE_EGRESS_ECHO="+others.URL+"/echo",
		"JIRAGATE_ATLASSIAN_API_URL="+sim.APIURL(), "JIRAGATE_ATLASSIAN_AUTH_URL="+sim.AuthURL(), "JIRAGATE_ATLASSIAN_POINTS=65000",
		"JIRAGATE_OAUTH_CLIENT_ID="+jirasim.DefaultClientID, "JIRAGATE_OAUTH_CLIENT_SECRET_FILE="+file("client-secret", jirasim.DefaultClientSecret),
		"JIRAGATE_WEBHOOK_URL="+others.URL+"/webhook", "JIRAGATE_WEBHOOK_SECRET_FILE="+file("webhook-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
		"JIRAGATE_AUDIT_CHECKPOINT_TO="+filepath.Join(dir, "copies"), "JIRAGATE_CONNECTION_CONCURRENCY=1", "JIRAGATE_METRICS_CONNECTIONS=on",
	)
	if err := os.Mkdir(filepath.Join(dir, "copies"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, log := startServer(t, c)
	mustRun(t, environ, jirasim.DefaultPassword, "connection", "add", "globex", "--edition", "datacenter", "--base-url", sim.DataCenterURL(),
		"--auth", "basic", "--username", jirasim.DefaultUsername, "--secret-file", "-")
	grant := sim.IssueGrant()
	mustRun(t, environ, "", "connection", "add", "acme", "--edition", "cloud", "--site-url", sim.SiteURL(), "--cloud-id", sim.CloudID(),
		"--oauth-token-file", file("token.json", `{"access_token":"`+grant.AccessToken+`","refresh_token":"`+grant.RefreshToken+
			`","expiry":"2020-01-01T00:00:00Z","scope":"read:jira-work write:jira-work read:jira-user offline_access"}`))
	var issued struct{ Name, Token string }
	if err := json.Unmarshal([]byte(mustRun(t, environ, "", "client", "add", "billing", "--connection", "globex", "--connection", "acme", "--output", "json")), &issued); err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(s.RootPEM())
	transport := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "https", Host: s.ProxyAddr(), User: url.UserPassword(issued.Name, issued.Token)}),
		TLSClientConfig: &tls.Config{RootCAs: roots},
	}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	get := func(url string, want int) {
		t.Helper()
		resp, err := client.Get(url)
		if err != nil {
			t.Fatalf("%s: %v\n%s", url, err, log)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Fatalf("%s: status %d, want %d\n%s", url, resp.StatusCode, want, log)
		}
	}
	get(sim.SiteURL()+"/rest/api/3/myself", 200)
	get(sim.DataCenterURL()+"/rest/api/2/serverInfo", 403)

	// One call keeps another waiting, and Jira asks the next one to wait.
	priorities := jirasim.Fault{Kind: jirasim.ErrorStatus, PathPrefix: "/rest/api/2/priority", Status: 500}
	clear := sim.Fault(priorities)
	get(sim.DataCenterURL()+"/rest/api/2/priority", 500)
	clear()
	clear = sim.Fault(jirasim.Fault{Kind: jirasim.Endless, PathPrefix: "/rest/api/2/priority", Count: 10, Delay: 50 * time.Millisecond})
	var pair sync.WaitGroup
	for range 2 {
		pair.Go(func() { get(sim.DataCenterURL()+"/rest/api/2/priority", 200) })
	}
	pair.Wait()
	clear()
	clear = sim.Fault(jirasim.Fault{Kind: jirasim.RateLimit, PathPrefix: "/rest/api/2/myself", Delay: time.Hour})
	get(sim.DataCenterURL()+"/rest/api/2/myself", 429)
	get(sim.DataCenterURL()+"/rest/api/2/myself", 429)
	clear()

	mustRun(t, environ, "", "connection", "disable", "globex")
	for what, happened := range map[string]func() bool{
		"the webhook":      func() bool { _, ok := scrape(t, s)["jiragate_webhook_deliveries_total"]; return ok },
		"the checkpoint":   func() bool { _, ok := scrape(t, s)["jiragate_audit_checkpoint_size"]; return ok },
		"the verification": func() bool { return s.monitor.Last() != nil },
	} {
		for deadline := time.Now().Add(30 * time.Second); !happened(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s did not happen\n%s", what, log)
			}
		}
	}
	<-told
	return s
}

// What certificates, keys and the policy are is what the metrics say.
func TestIdentityMetrics(t *testing.T) {
	certificate, key, _ := certificateFiles(t)
	c, environ := testConfig(t, "JIRAGATE_PROXY_TLS_CERT="+certificate, "JIRAGATE_PROXY_TLS_KEY="+key,
		"JIRAGATE_PUBLIC_LISTEN=127.0.0.1:0", "JIRAGATE_PUBLIC_TLS_CERT="+certificate, "JIRAGATE_PUBLIC_TLS_KEY="+key)
	s, _ := startServer(t, c)
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	signing, err := s.foundation.auditKey.open()
	if err != nil {
		t.Fatal(err)
	}
	ends := float64(pair.Leaf.NotAfter.Unix())
	check := func(name string, want map[string]float64) {
		t.Helper()
		if got := scrape(t, s)[name]; got == nil || !maps.Equal(got.series, want) {
			t.Errorf("%s is %+v, want %v", name, got, want)
		}
	}
	check("jiragate_certificate_not_after_seconds", map[string]float64{
		`jiragate_certificate_not_after_seconds{jiragate_certificate="root"}`:   float64(s.engine.authority.Root().NotAfter.Unix()),
		`jiragate_certificate_not_after_seconds{jiragate_certificate="proxy"}`:  ends,
		`jiragate_certificate_not_after_seconds{jiragate_certificate="public"}`: ends,
	})
	mustRun(t, environ, "", "ca", "rotate", "--prepare")
	check("jiragate_certificate_not_after_seconds", map[string]float64{
		`jiragate_certificate_not_after_seconds{jiragate_certificate="root"}`:      float64(s.engine.authority.Root().NotAfter.Unix()),
		`jiragate_certificate_not_after_seconds{jiragate_certificate="next_root"}`: float64(s.engine.authority.Next().NotAfter.Unix()),
		`jiragate_certificate_not_after_seconds{jiragate_certificate="proxy"}`:     ends,
		`jiragate_certificate_not_after_seconds{jiragate_certificate="public"}`:    ends,
	})
	check("jiragate_audit_key_created_seconds", map[string]float64{`jiragate_audit_key_created_seconds{}`: float64(signing.Created().Unix())})
	check("jiragate_keyset_keys", map[string]float64{`jiragate_keyset_keys{}`: 1})
	mustRun(t, environ, "", "key", "rotate")
	check("jiragate_keyset_keys", map[string]float64{`jiragate_keyset_keys{}`: 2})
	check("jiragate_egress_sockets", map[string]float64{`jiragate_egress_sockets{jiragate_egress_ip="unpinned"}`: 0})

	// Another policy replaces the series of the one before.
	for _, text := range []string{"", "version: 1\nrules:\n  - name: fewer\n    deny: [issue.delete]\n    mode: enforce\n"} {
		if text != "" {
			p, err := policy.New([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			s.policy.current.Store(p)
		}
		p := s.policy.current.Load()
		check("jiragate_policy_info", map[string]float64{
			`jiragate_policy_info{jiragate_policy_sha256="` + p.SHA256() + `",jiragate_policy_version="` + p.Version() + `"}`: 1,
		})
	}
}
