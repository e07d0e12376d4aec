package cli

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jiragate/gateway/admin"
)

// Calls go on, by both doors, over connections that are kept and over new ones, while
// each part is reloaded over and over. None fails, and each part is in force.
func TestReloadUnderTraffic(t *testing.T) {
	g := newReloadStage(t)
	const rounds = 3
	stop := make(chan struct{})
	var calls atomic.Int64
	var traffic sync.WaitGroup
	defer traffic.Wait()
	var ending sync.Once
	end := func() { ending.Do(func() { close(stop) }) }
	defer end()
	var roots atomic.Pointer[x509.CertPool] // that workers trust
	roots.Store(g.roots)
	for worker := range 4 {
		proxied := worker%2 == 0
		traffic.Go(func() {
			var client *http.Client
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if client == nil || worker >= 2 && n%3 == 0 { // two keep theirs, two come anew
					if client != nil {
						client.CloseIdleConnections()
					}
					transport := g.newTransport(proxied, &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
						between := x509.NewCertPool()
						for _, c := range s.PeerCertificates[1:] {
							between.AddCert(c)
						}
						_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots.Load(), Intermediates: between})
						return err
					}})
					client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
				}
				if err := g.call(client, proxied); err != nil {
					t.Errorf("call %d of worker %d: %v", n, worker, err)
					return
				}
				calls.Add(1)
			}
		})
	}
	for round := range rounds {
		cert, key := g.ca.issue(t, fmt.Sprintf("round-%d", round), g.ca.cert.NotAfter)
		changes := []struct {
			part   string
			change func()
		}{
			{partProxyCertificate, func() { place(t, g.file("proxy-key.pem"), key); place(t, g.file("proxy.pem"), cert) }},
			{partAdminCertificate, func() { place(t, g.file("admin-key.pem"), key); place(t, g.file("admin.pem"), cert) }},
			{partProxyClientCA, func() { place(t, g.file("clients.pem"), g.ca.pem+newIssuer(t).pem) }},
			{partUpstreamCA, func() { place(t, g.file("jira.pem"), string(g.sim.CAPEM())+newIssuer(t).pem) }},
			{partEgress, func() { place(t, g.file("egress"), fmt.Sprintf("198.51.100.%d=127.0.0.%d\n", 20+round, 2+round)) }},
			{partPolicy, func() {
				place(t, g.file("rules.yaml"), denying([]string{"field.list", "priority.list", "issue.create"}[round]))
			}},
			{partKeyset, g.rotateElsewhere},
			{partCA, func() { g.anotherRoot(); roots.Store(g.roots) }},
			{"oauth_client_secret", func() { place(t, g.file("client-secret"), fmt.Sprintf("secret-%d", round)) }},
			{"admin_token", func() { place(t, g.file("token"), strings.Repeat(string(rune('b'+round)), 40)) }},
			{"metrics_token", func() { place(t, g.file("metrics-token"), strings.Repeat(string(rune('n'+round)), 40)) }},
		}
		for _, c := range changes {
			c.change()
			for part, result := range g.reload() {
				if want := map[bool]string{true: admin.PartReloaded, false: admin.PartUnchanged}[part == c.part]; result != want {
					t.Errorf("%s was changed; %s: %s, want %s", c.part, part, result, want)
				}
			}
			for before := calls.Load(); calls.Load() < before+8 && !t.Failed(); time.Sleep(time.Millisecond) {
			}
			if t.Failed() {
				t.Fatalf("after %s of round %d\n%s", c.part, round, g.log)
			}
		}
		// What is new is in force.
		for _, addr := range []string{g.server.ProxyAddr(), g.server.AdminAddr()} {
			if got, want := g.shown(addr), fmt.Sprintf("round-%d", round); got != want {
				t.Errorf("a new connection sees the certificate %s, want %s", got, want)
			}
		}
		if onDisk, err := os.ReadFile(g.server.config.caFile()); err != nil || !bytes.Equal(onDisk, g.server.RootPEM()) {
			t.Errorf("the CA in force is another one than on disk (%v)", err)
		}
		if err := g.call(g.newClient(true), true); err != nil {
			t.Error(err)
		}
		want := fmt.Sprintf(`"egress_ip":"198.51.100.%d"`, 20+round)
		newest := mustRun(t, g.environ, "", "audit", "query", "--client", "billing", "--limit", "1", "--output", "json")
		if !strings.Contains(newest, want) {
			t.Errorf("the newest call: %s, want %s", newest, want)
		}
	}
	end()
	traffic.Wait()
	records := mustRun(t, g.environ, "", "audit", "query", "--operation", operationReload, "--output", "json")
	for _, part := range []string{partProxyCertificate, partAdminCertificate, partProxyClientCA, partUpstreamCA, partEgress, partKeyset, partCA, "oauth_client_secret", "admin_token", "metrics_token"} {
		if n := strings.Count(records, `"path":"`+part+`"`); n != rounds {
			t.Errorf("%d records of %s, want %d", n, part, rounds)
		}
	}
	for _, text := range []string{g.log.String(), records} {
		for _, secret := range []string{"secret-0", strings.Repeat("b", 40), strings.Repeat("n", 40)} {
			if strings.Contains(text, secret) {
				t.Error("a secret is in the log or in the records")
			}
		}
	}
}

// If anything is broken, nothing changes, and each problem is told with its part.
func TestBrokenReloadChangesNothing(t *testing.T) {
	g := newReloadStage(t)
	for _, test := range []struct {
		part, file, content, want string
	}{
		{partProxyCertificate, g.file("proxy.pem"), g.ca.pem, "private key does not match"},
		{partAdminCertificate, g.file("admin-key.pem"), "", "JIRAGATE_ADMIN_TLS_CERT and _KEY"},
		{partProxyClientCA, g.file("clients.pem"), "nothing", "no certificate in PEM form"},
		{partUpstreamCA, g.file("jira.pem"), g.ca.pem + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "only certificates belong there"},
		{partEgress, g.file("egress"), "198.51.100.9=192.0.2.9", "not on this machine"},
		{partPolicy, g.file("rules.yaml"), "version: 1\nrules: [", "JIRAGATE_POLICY_FILE"},
		{partKeyset, g.server.config.keysetFile(), "{}", "keyset"},
		{partCA, g.server.config.caFile(), g.ca.pem, "do not belong together"},
		{"oauth_client_secret", g.file("client-secret"), "", "is empty"},
		{"admin_token", g.file("token"), "short", "characters"},
		{"metrics_token", g.file("metrics-token"), "short", "characters"},
		{"metrics_token", g.file("metrics-token"), strings.Repeat("a", 40), "is the admin token"},
		{"metrics_token", g.file("token"), strings.Repeat("m", 40), "is the admin token"},
	} {
		t.Run(test.part, func(t *testing.T) {
			before, err := os.ReadFile(test.file)
			if err != nil {
				t.Fatal(err)
			}
			good, err := os.ReadFile(g.file("rules.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			hash := g.server.policy.current.Load().SHA256()
			place(t, g.file("rules.yaml"), denying("issue.create")) // would come into force
			place(t, test.file, test.content)
			results, ok := g.tryReload()
			if ok || !strings.HasPrefix(results[test.part], "kept: ") || !strings.Contains(results[test.part], test.want) {
				t.Errorf("%v; want %s kept, saying %q", results, test.part, test.want)
			}
			if !strings.HasPrefix(results[partPolicy], admin.PartKept) || g.server.policy.current.Load().SHA256() != hash {
				t.Errorf("the policy, which is in order: %s", results[partPolicy])
			}
			if err := g.call(g.newClient(true), true); err != nil {
				t.Errorf("a call after it: %v", err)
			}
			place(t, test.file, string(before))
			place(t, g.file("rules.yaml"), string(good))
			if results := g.reload(); results[test.part] != admin.PartUnchanged {
				t.Errorf("as it was before: %s", results[test.part])
			}
		})
	}
	records := mustRun(t, g.environ, "", "audit", "query", "--operation", operationReload, "--code", codeInvalid, "--output", "json")
	if n := strings.Count(records, "\n"); n != 12 { // that of the policy has its own operation
		t.Errorf("%d records of what was refused:\n%s", n, records)
	}
}

// No call is made from an address that is gone, and no address is left unusable.
func TestReloadedAddresses(t *testing.T) {
	g := newReloadStage(t)
	client := g.newClient(true)
	from := func() string {
		t.Helper()
		if err := g.call(client, true); err != nil {
			t.Fatal(err)
		}
		var record struct {
			Egress string `json:"egress_ip"`
		}
		if err := json.Unmarshal([]byte(mustRun(t, g.environ, "", "audit", "query", "--client", "billing", "--limit", "1", "--output", "json")), &record); err != nil {
			t.Fatal(err)
		}
		return record.Egress
	}
	if got := from(); got != "198.51.100.7" {
		t.Fatalf("at first from %s", got)
	}
	place(t, g.file("egress"), "198.51.100.8=127.0.0.2\n")
	g.reload()
	if got := from(); got != "198.51.100.8" {
		t.Errorf("from %s, by a socket that was kept", got)
	}
	if got := mustRun(t, g.environ, "", "egress", "list"); !strings.Contains(got, "198.51.100.8") || !strings.Contains(got, "127.0.0.2") {
		t.Errorf("egress list does not know it:\n%s", got)
	}
	records := mustRun(t, g.environ, "", "audit", "query", "--operation", operationUseAddress, "--output", "json")
	if !strings.Contains(records, "/v1/egress/addresses/198.51.100.8") {
		t.Errorf("it is not published on record:\n%s", records)
	}
	mustRun(t, g.environ, "", "egress", "announce", "198.51.100.9", "--from", time.Now().Add(90*24*time.Hour).UTC().Format(time.RFC3339))
	place(t, g.file("egress"), "198.51.100.9=127.0.0.3\n")
	if results, ok := g.tryReload(); ok || !strings.Contains(results[partEgress], "none of its addresses is in use") {
		t.Errorf("only an address of the future: %v", results)
	}
	if got := from(); got != "198.51.100.8" {
		t.Errorf("from %s", got)
	}
}

// The admin token that is gone lets nobody in; the new one does. It is the same with
// that for metrics, which are on loopback here, where they need none: so it shows by what
// it is refused with elsewhere.
func TestReloadedTokens(t *testing.T) {
	g := newReloadStage(t)
	client := g.newClient(false)
	status := func(token string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+g.server.AdminAddr()+"/v1/clients", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	old, next := strings.Repeat("a", 40), strings.Repeat("b", 40)
	if got := status(old); got != 200 {
		t.Fatalf("at first: %d", got)
	}
	place(t, g.file("token"), next)
	g.reload()
	if a, b := status(old), status(next); a != 401 || b != 200 {
		t.Errorf("the old token: %d, the new one: %d", a, b)
	}
	old, next = strings.Repeat("m", 40), strings.Repeat("n", 40)
	if got := status(old); got != 403 {
		t.Errorf("that for metrics at first: %d", got)
	}
	place(t, g.file("metrics-token"), next)
	g.reload()
	if a, b := status(old), status(next); a != 401 || b != 403 {
		t.Errorf("that for metrics: the old one %d, the new one %d", a, b)
	}
}

// A certificate that was renewed comes into force by itself. One that can't be used
// doesn't, and status warns of it until the files are in order.
func TestCertificatesAreWatched(t *testing.T) {
	g := newReloadStage(t)
	check := func() { g.server.checkCertificates(t.Context()) }
	put := func(name string, end time.Time) {
		t.Helper()
		cert, key := g.ca.issue(t, name, end)
		place(t, g.file("proxy.pem"), cert)
		place(t, g.file("proxy-key.pem"), key)
	}
	status := func() string {
		t.Helper()
		_, out, _ := run(t, g.environ, "", "status")
		return out
	}
	put("second", g.ca.cert.NotAfter)
	check()
	if got := g.shown(g.server.ProxyAddr()); got != "second" {
		t.Errorf("shown %s", got)
	}
	put("over", time.Now().Add(-time.Hour))
	for range 3 {
		check()
	}
	if got := g.shown(g.server.ProxyAddr()); got != "second" {
		t.Errorf("shown %s", got)
	}
	if got := status(); !strings.Contains(got, "so the old one stays") || !strings.Contains(got, partProxyCertificate) || !strings.Contains(got, "does not include now") {
		t.Errorf("status does not warn:\n%s", got)
	}
	if n := strings.Count(g.log.String(), "the certificate of a listener has changed and can't be used"); n != 1 {
		t.Errorf("%d warnings in the log, want one", n)
	}
	put("third", g.ca.cert.NotAfter)
	check()
	if got := g.shown(g.server.ProxyAddr()); got != "third" {
		t.Errorf("shown %s", got)
	}
	if got := status(); strings.Contains(got, "old one stays") {
		t.Errorf("status still warns:\n%s", got)
	}
	records := mustRun(t, g.environ, "", "audit", "query", "--operation", operationReload, "--output", "json")
	if n := strings.Count(records, `"client_addr":"timer:certificates"`); n != 2 {
		t.Errorf("%d records, want 2:\n%s", n, records)
	}
}

// A grant that ends, or comes, is seen by a tunnel that is open.
func TestOpenTunnelSeesGrants(t *testing.T) {
	g := newReloadStage(t)
	client := g.newClient(true)
	for _, step := range []struct {
		command string
		want    string // "" means that the call succeeds
	}{{"", ""}, {"revoke", "connection_unknown"}, {"grant", ""}} {
		if step.command != "" {
			mustRun(t, g.environ, "", "client", step.command, "billing", "globex")
		}
		err := g.call(client, true)
		if (err == nil) != (step.want == "") || err != nil && !strings.Contains(err.Error(), step.want) {
			t.Errorf("after %q: %v, want %q", step.command, err, step.want)
		}
	}
}

// A root is brought while the gateway runs: new tunnels are under it, and open ones
// stay.
func TestRootIsReplacedLive(t *testing.T) {
	g := newReloadStage(t)
	open := g.newClient(true)
	if err := g.call(open, true); err != nil {
		t.Fatal(err)
	}
	brought := newIssuer(t)
	key, err := x509.MarshalPKCS8PrivateKey(brought.key)
	if err != nil {
		t.Fatal(err)
	}
	place(t, g.file("root.pem"), brought.pem)
	place(t, g.file("root-key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	mustRun(t, g.environ, "", "ca", "init", "--cert-file", g.file("root.pem"), "--key-file", g.file("root-key.pem"), "--replace")
	if err := g.call(open, true); err != nil {
		t.Errorf("the open tunnel: %v", err)
	}
	if err := g.call(g.newClient(true), true); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a new tunnel of a client without the new root: %v", err)
	}
	roots := g.roots.Clone()
	roots.AddCert(brought.cert)
	g.roots = roots
	if err := g.call(g.newClient(true), true); err != nil {
		t.Errorf("a new tunnel: %v", err)
	}
}
