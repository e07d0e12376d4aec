package admin_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"jiragate/gateway/admin"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// metricsToken is for /metrics alone.
const metricsToken = "S3cret-of-what-scrapes-0123456789"

func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func TestGuard(t *testing.T) {
	store, _ := openStore(t)
	listed := admin.Guard{Token: secret.New(adminToken), Hosts: []string{"admin.internal", "10.0.0.7"}}
	wildcard := admin.Guard{Token: secret.New(adminToken), AnyAddress: true}
	loopback := admin.Guard{Token: secret.New(adminToken), OpenMetrics: true}
	scraped := admin.Guard{Token: secret.New(adminToken), MetricsToken: secret.New(metricsToken)}
	scraper := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+metricsToken) }
	type edit = func(*http.Request)
	for _, tt := range []struct {
		name         string
		guard        admin.Guard
		method, path string
		edits        []edit
		status       int
	}{
		{"token", listed, "GET", "/v1/clients", []edit{bearer()}, 200},
		{"scheme in another case", listed, "GET", "/v1/clients", []edit{header("Authorization", "bearer "+adminToken)}, 200},
		{"no token", listed, "GET", "/v1/clients", nil, 401},
		{"wrong token", listed, "GET", "/v1/clients", []edit{header("Authorization", "Bearer "+adminToken+"x")}, 401},
		{"half a token", listed, "GET", "/v1/clients", []edit{header("Authorization", "Bearer "+adminToken[:20])}, 401},
		{"empty token", listed, "GET", "/v1/clients", []edit{header("Authorization", "Bearer ")}, 401},
		{"token twice", listed, "GET", "/v1/clients", []edit{bearer(), bearer()}, 401},
		{"as a password", listed, "GET", "/v1/clients", []edit{func(r *http.Request) { r.SetBasicAuth("admin", adminToken) }}, 401},
		{"scheme is Basic", listed, "GET", "/v1/clients", []edit{header("Authorization", "Basic "+adminToken)}, 401},
		{"in the query", listed, "GET", "/v1/clients?access_token=" + adminToken, nil, 401},
		{"unknown path without token", listed, "GET", "/v2/", nil, 401},
		{"unknown path with token", listed, "GET", "/v2/", []edit{bearer()}, 404},

		{"health needs none", listed, "GET", "/healthz", nil, 200},
		{"readiness needs none", listed, "GET", "/readyz", nil, 200},
		{"the description needs none", listed, "GET", "/v1/openapi.json", nil, 200},
		{"the description under a rebound name", listed, "GET", "/v1/openapi.json", []edit{host("evil.example")}, 421},
		{"beside the description", listed, "GET", "/v1/openapi.json/", nil, 401},
		{"a path that only begins so", listed, "GET", "/healthz/../v1/clients", nil, 401},
		{"health by POST", listed, "POST", "/healthz", nil, 401},
		{"metrics need it", listed, "GET", "/metrics", nil, 401},
		{"metrics with it", listed, "GET", "/metrics", []edit{bearer()}, 200},
		{"metrics on loopback", loopback, "GET", "/metrics", nil, 200},
		{"metrics with their own token", scraped, "GET", "/metrics", []edit{scraper}, 200},
		{"metrics with their own token, HEAD", scraped, "HEAD", "/metrics", []edit{scraper}, 200},
		{"metrics with the admin token beside it", scraped, "GET", "/metrics", []edit{bearer()}, 200},
		{"metrics with neither", scraped, "GET", "/metrics", nil, 401},
		{"metrics with one that is wrong", scraped, "GET", "/metrics", []edit{header("Authorization", "Bearer "+metricsToken+"x")}, 401},
		{"metrics with their own token twice", scraped, "GET", "/metrics", []edit{scraper, func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+metricsToken) }}, 401},
		{"the token of metrics where there is none", listed, "GET", "/metrics", []edit{scraper}, 401},
		{"the token of metrics elsewhere", scraped, "GET", "/v1/clients", []edit{scraper}, 403},
		{"the token of metrics, a change", scraped, "DELETE", "/v1/clients/x", []edit{scraper}, 403},
		{"the token of metrics, POST", scraped, "POST", "/metrics", []edit{scraper}, 403},
		{"the token of metrics, below", scraped, "GET", "/metrics/", []edit{scraper}, 403},
		{"the token of metrics, a path that begins so", scraped, "GET", "/metrics/../v1/clients", []edit{scraper}, 403},
		{"the token of metrics under a rebound name", scraped, "GET", "/metrics", []edit{scraper, host("evil.example")}, 421},
		{"health needs none, nor minds that one", scraped, "GET", "/healthz", []edit{scraper}, 200},

		{"rebound name", listed, "GET", "/v1/clients", []edit{bearer(), host("evil.example:8081")}, 421},
		{"rebound name, health", listed, "GET", "/healthz", []edit{host("evil.example")}, 421},
		{"rebound name, metrics", loopback, "GET", "/metrics", []edit{host("evil.example")}, 421},
		{"localhost with a dot", listed, "GET", "/v1/clients", []edit{bearer(), host("localhost.")}, 421},
		{"below localhost", listed, "GET", "/v1/clients", []edit{bearer(), host("localhost.evil.example")}, 421},
		{"no host", listed, "GET", "/v1/clients", []edit{bearer(), host("")}, 421},
		{"localhost without a port", listed, "GET", "/v1/clients", []edit{bearer(), host("localhost")}, 200},
		{"loopback", listed, "GET", "/v1/clients", []edit{bearer(), host("127.0.0.1:8081")}, 200},
		{"loopback, IPv6", listed, "GET", "/v1/clients", []edit{bearer(), host("[::1]:8081")}, 200},
		{"listed name", listed, "GET", "/v1/clients", []edit{bearer(), host("Admin.Internal:8081")}, 200},
		{"listed address", listed, "GET", "/v1/clients", []edit{bearer(), host("10.0.0.7")}, 200},
		{"other address", listed, "GET", "/v1/clients", []edit{bearer(), host("10.0.0.8")}, 421},
		{"other address of a wildcard listener", wildcard, "GET", "/v1/clients", []edit{bearer(), host("10.0.0.8")}, 200},
		{"name of a wildcard listener", wildcard, "GET", "/v1/clients", []edit{bearer(), host("evil.example")}, 421},

		{"another site's page", listed, "DELETE", "/v1/clients/x", []edit{bearer(), header("Origin", "https://evil.example")}, 403},
		{"another site's page, new browser", listed, "DELETE", "/v1/clients/x", []edit{bearer(), header("Sec-Fetch-Site", "cross-site")}, 403},
		{"opaque origin", listed, "DELETE", "/v1/clients/x", []edit{bearer(), header("Origin", "null")}, 403},
		{"same site is not same origin", listed, "DELETE", "/v1/clients/x", []edit{bearer(), header("Sec-Fetch-Site", "same-site")}, 403},
		{"own page", listed, "DELETE", "/v1/clients/x", []edit{bearer(), header("Sec-Fetch-Site", "same-origin")}, 404},
		{"preflight", listed, "OPTIONS", "/v1/clients", []edit{header("Origin", "https://evil.example"), header("Access-Control-Request-Method", "POST")}, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := network(t, options(t, store), tt.guard)
			r := httptest.NewRequest(tt.method, tt.path, nil)
			r.Host = "localhost:8081"
			for _, e := range tt.edits {
				e(r)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if strings.Contains(w.Body.String(), "S3cret") {
				t.Errorf("the answer holds the token: %s", w.Body)
			}
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
				t.Errorf("the answer opens itself to %s", got)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Error("the answer has no security headers")
			}
			if w.Code == 401 && w.Header().Get("WWW-Authenticate") == "" {
				t.Error("401 without a challenge (RFC 9110 section 15.5.2)")
			}
		})
	}
}

// Who sends no token, or a wrong one, is told which one it takes there.
func TestRefusalNamesTheToken(t *testing.T) {
	store, _ := openStore(t)
	h := network(t, options(t, store), admin.Guard{Token: secret.New(adminToken), MetricsToken: secret.New(metricsToken)})
	for path, want := range map[string]string{"/metrics": "JIRAGATE_METRICS_TOKEN_FILE", "/v1/clients": "send the admin token: "} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost:8081"+path, nil))
		if w.Code != 401 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// The pages of the consent are open, under the host of the redirect URL too. Nothing
// else is, whatever it looks like.
func TestGuardBesideConsents(t *testing.T) {
	store, _ := openStore(t)
	o := options(t, store)
	o.RedirectURL = "https://Gate.example:8443/jira/oauth/callback"
	guard := admin.Guard{Token: secret.New(adminToken), Hosts: []string{"admin.internal"}, OpenMetrics: true}
	h := network(t, o, guard)
	type edit = func(*http.Request)
	for _, tt := range []struct {
		name, method, path, host string
		edits                    []edit
		status                   int
		page                     bool
	}{
		{"link", "GET", "/oauth/start?invitation=x", "gate.example", nil, 404, true},
		{"link, with a port", "GET", "/oauth/start", "GATE.example:8443", nil, 404, true},
		{"link, admin host", "GET", "/oauth/start", "admin.internal:8081", nil, 404, true},
		{"link, loopback", "GET", "/oauth/start", "127.0.0.1:8081", nil, 404, true},
		{"link, rebound name", "GET", "/oauth/start", "evil.example", nil, 421, false},
		{"link, below the name", "GET", "/oauth/start", "gate.example.evil.example", nil, 421, false},
		{"link, no host", "GET", "/oauth/start", "", nil, 421, false},
		{"callback", "GET", "/oauth/callback?state=x", "gate.example", nil, 400, true},
		{"callback from another site, as it must be", "GET", "/oauth/callback?state=x", "gate.example", []edit{header("Sec-Fetch-Site", "cross-site")}, 400, true},
		{"form", "POST", "/oauth/site", "gate.example", []edit{header("Sec-Fetch-Site", "same-origin")}, 400, true},
		{"form of another site", "POST", "/oauth/site", "gate.example", []edit{header("Sec-Fetch-Site", "cross-site")}, 403, true},
		{"form of another origin", "POST", "/oauth/site", "gate.example", []edit{header("Origin", "https://evil.example")}, 403, true},
		{"style", "GET", "/oauth/style.css", "gate.example", nil, 200, false},
		{"a page that there is not", "GET", "/oauth/other", "gate.example", nil, 421, false},
		{"a page that there is not, admin host", "GET", "/oauth/other", "localhost", nil, 401, false},
		{"a path that only begins so", "GET", "/oauth/start/../../v1/clients", "gate.example", []edit{bearer()}, 421, false},
		{"escaped", "GET", "/oauth/%2e%2e/v1/clients", "gate.example", []edit{bearer()}, 421, false},
		{"API under the redirect URL's host", "GET", "/v1/clients", "gate.example", []edit{bearer()}, 421, false},
		{"API below its prefix", "GET", "/jira/v1/clients", "gate.example", []edit{bearer()}, 421, false},
		{"health", "GET", "/healthz", "gate.example", nil, 421, false},
		{"metrics", "GET", "/metrics", "gate.example", nil, 421, false},
		{"API under its own", "GET", "/v1/clients", "admin.internal", []edit{bearer()}, 200, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.path, nil)
			r.Host = tt.host
			for _, e := range tt.edits {
				e(r)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if page := strings.HasPrefix(w.Header().Get("Content-Type"), "text/html"); page != tt.page {
				t.Errorf("a page: %t", page)
			}
			if !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
				t.Error("the answer has no security headers")
			}
		})
	}
}

// The socket is not for browsers.
func TestLocalHasNoConsents(t *testing.T) {
	store, _ := openStore(t)
	status, body := call(t, local(t, options(t, store)), "GET", "/oauth/start", "")
	if wantCode(t, body, admin.CodeNotFound); status != 404 {
		t.Errorf("status %d", status)
	}
}

func TestNetworkNeedsToken(t *testing.T) {
	if _, err := newAPI(t, options(t, nil)).Network(admin.Guard{}); err == nil {
		t.Error("a network face without a token was made")
	}
}

func TestHeaderLimit(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.Config = admin.NewServer(local(t, options(t, nil)), discarded)
	server.Start()
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() // ends with the test
	go func() {
		// The server may stop reading before the end.
		_, _ = fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("x", 1<<20))
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return // reset: just as well
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 1 MiB: status %d", resp.StatusCode)
	}
}

func TestTokens(t *testing.T) {
	for range 100 {
		if err := admin.CheckToken(admin.NewToken()); err != nil {
			t.Fatal(err)
		}
	}
	made, _ := tokenstore.NewToken()
	if err := admin.CheckToken(made); err != nil {
		t.Errorf("a token made by the store is not accepted when it is brought: %v", err)
	}
	// What passes stands in a header field as it is, and no error tells it.
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "token")
		err := admin.CheckToken(secret.New(s))
		if err != nil && len(s) > 8 && strings.Contains(err.Error(), s) {
			t.Fatalf("the error quotes the token: %v", err)
		}
		if err == nil && strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Fatalf("%q passed", s)
		}
	})
	for _, tt := range []struct {
		name, token string
		ok          bool
	}{
		{"empty", "", false},
		{"31 characters", strings.Repeat("x", 31), false},
		{"32 characters", strings.Repeat("x", 32), true},
		{"512 characters", strings.Repeat("x", 512), true},
		{"513 characters", strings.Repeat("x", 513), false},
		{"line break at the end", strings.Repeat("x", 40) + "\n", false},
		{"space inside", strings.Repeat("x", 20) + " " + strings.Repeat("x", 20), false},
		{"not ASCII", strings.Repeat("é", 32), false},
		{"colon, at sign, quotes", strings.Repeat("x", 32) + `:@"'`, true},
	} {
		if err := admin.CheckToken(secret.New(tt.token)); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
