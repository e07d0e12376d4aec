package cli

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// certificateFiles is a certificate for loopback, with its key, and who trusts it.
func certificateFiles(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return certFile, keyFile, roots
}

// visitor is a client with cookies, which follows redirects on loopback.
func visitor(t *testing.T, roots *x509.CertPool) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport}
}

func read(t *testing.T, client *http.Client, url string) (*http.Response, string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

var formToken = regexp.MustCompile(`name="form" value="([^"]*)"`)

// signIn signs in with the admin token, as a person does.
func signIn(t *testing.T, client *http.Client, console, token string) (*http.Response, string) {
	t.Helper()
	response, page := read(t, client, console)
	found := formToken.FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("%s shows no form to sign in: %s", response.Request.URL, page)
	}
	response, err := client.PostForm(console+"signin", url.Values{"token": {token}, "form": {found[1]}, "to": {"/console/"}})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func adminTokenOf(t *testing.T, c Config) string {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(c.DataDir, "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(token))
}

// The admin token opens the console, over plain http on this machine and over TLS.
func TestConsoleIsServed(t *testing.T) {
	certFile, keyFile, roots := certificateFiles(t)
	for _, tt := range []struct {
		name   string
		more   []string
		scheme string
		cookie string
	}{
		{"http on loopback", nil, "http", "jiragate-session"},
		{"TLS", []string{"JIRAGATE_ADMIN_TLS_CERT=" + certFile, "JIRAGATE_ADMIN_TLS_KEY=" + keyFile}, "https", "__Host-jiragate-session"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := testConfig(t, tt.more...)
			s, log := startServer(t, c)
			if want := tt.scheme + "://" + s.AdminAddr() + "/console/"; s.ConsoleURL() != want || !strings.Contains(log.String(), want) {
				t.Errorf("the console is at %s, want %s; log:\n%s", s.ConsoleURL(), want, log)
			}
			client := visitor(t, roots)
			response, page := signIn(t, client, s.ConsoleURL(), "not the token")
			if response.StatusCode != http.StatusForbidden {
				t.Errorf("a wrong token: %d %s", response.StatusCode, page)
			}
			response, page = signIn(t, client, s.ConsoleURL(), adminTokenOf(t, c))
			if response.StatusCode != http.StatusOK || !strings.Contains(page, "No customer is connected yet.") {
				t.Errorf("%d %s", response.StatusCode, page)
			}
			if tt.scheme == "https" && response.ProtoMajor != 2 {
				t.Errorf("spoken: %s", response.Proto)
			}
			at, err := url.Parse(s.ConsoleURL())
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, cookie := range client.Jar.Cookies(at) {
				names = append(names, cookie.Name)
			}
			if !strings.Contains(strings.Join(names, " "), tt.cookie) {
				t.Errorf("cookies: %q", names)
			}
			for _, path := range []string{"", "connections", "clients", "calls", "policy", "policy/history", "egress", "reports", "audit"} {
				if response, page := read(t, client, s.ConsoleURL()+path); response.StatusCode != http.StatusOK {
					t.Errorf("%s: %d %s", path, response.StatusCode, page)
				}
			}
		})
	}
}

// A console that nobody could sign in to is not there; the API is.
func TestConsoleWithoutSignIn(t *testing.T) {
	c, _ := testConfig(t, "JIRAGATE_CONSOLE_ADMIN_TOKEN=off")
	s, _ := startServer(t, c)
	if response, _ := read(t, visitor(t, nil), s.ConsoleURL()); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("console: %d", response.StatusCode)
	}
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.AdminAddr()+"/v1/overview", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+adminTokenOf(t, c))
	response, err := visitor(t, nil).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if response.Body.Close(); response.StatusCode != http.StatusOK {
		t.Errorf("API: %d", response.StatusCode)
	}
}

// The public pages are on the admin listener, or on one of their own that has nothing
// else.
func TestPublicPages(t *testing.T) {
	defer goleak.VerifyNone(t)
	certFile, keyFile, roots := certificateFiles(t)
	for _, tt := range []struct {
		name  string
		more  []string
		where string
		own   bool
	}{
		{"admin listener", nil, "http://ADMIN/public/", false},
		{"own listener", []string{"JIRAGATE_PUBLIC_LISTEN=127.0.0.1:0"}, "http://PUBLIC/", true},
		{"own listener with TLS", []string{"JIRAGATE_PUBLIC_LISTEN=127.0.0.1:0", "JIRAGATE_PUBLIC_TLS_CERT=" + certFile, "JIRAGATE_PUBLIC_TLS_KEY=" + keyFile}, "https://PUBLIC/", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, environ := testConfig(t, tt.more...)
			s, _ := startServer(t, c)
			addConnection(t, environ, "globex")
			address := ""
			if s.public != nil {
				address = s.public.Addr().String()
			}
			if want := strings.NewReplacer("ADMIN", s.AdminAddr(), "PUBLIC", address).Replace(tt.where); s.PublicURL() != want {
				t.Fatalf("the pages are at %s, want %s", s.PublicURL(), want)
			}
			client := visitor(t, roots)
			response, page := read(t, client, s.PublicURL())
			if response.StatusCode != http.StatusOK || !strings.Contains(page, "Get authorized user info") || strings.Contains(page, "globex") {
				t.Errorf("%d %s", response.StatusCode, page)
			}
			if response, _ := read(t, client, s.PublicURL()+"files/SHA256SUMS.note"); response.StatusCode != http.StatusOK {
				t.Errorf("signature: %d", response.StatusCode)
			}
			if !tt.own {
				return
			}
			for _, path := range []string{"console/", "v1/overview", "metrics", "healthz", "oauth/callback"} {
				if response, _ := read(t, client, s.PublicURL()+path); response.StatusCode != http.StatusNotFound {
					t.Errorf("%s: %d on the public listener", path, response.StatusCode)
				}
			}
			if response, _ := read(t, client, "http://"+s.AdminAddr()+"/public/"); response.StatusCode != http.StatusUnauthorized {
				t.Errorf("the pages are on the admin listener, too: %d", response.StatusCode)
			}
		})
	}
}

// The console links to the public pages where customers reach them.
func TestPublicURL(t *testing.T) {
	c, _ := testConfig(t, "JIRAGATE_PUBLIC_URL=https://egress.example")
	s, _ := startServer(t, c)
	client := visitor(t, nil)
	if _, page := signIn(t, client, s.ConsoleURL(), adminTokenOf(t, c)); !strings.Contains(page, `href="https://egress.example"`) {
		t.Error("no link to the public pages")
	}
}

// Requests that name the host of JIRAGATE_CONSOLE_URL are for the console, however that
// is written; others of strange names, or of none, are not.
func TestConsoleHost(t *testing.T) {
	for _, row := range []struct {
		url   string
		hosts map[string]int
	}{
		{"https://GATE.example", map[string]int{"gate.example": 200, "gate.example:443": 200, "evil.example": 421, "": 421}},
		{"https://[2001:DB8:0:0::1]:8443", map[string]int{"[2001:db8::1]:8443": 200, "[2001:db8::2]": 421, "gate.example": 421}},
		{"", map[string]int{"127.0.0.1": 200, "gate.example": 421, "": 421}},
	} {
		c, _ := testConfig(t, "JIRAGATE_CONSOLE_URL="+row.url)
		s, _ := startServer(t, c)
		for host, status := range row.hosts {
			conn, err := net.Dial("tcp", s.AdminAddr()) // http.Client sends no empty Host
			if err != nil {
				t.Fatal(err)
			}
			_, err = fmt.Fprintf(conn, "GET /console/signin HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
			if err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if conn.Close(); response.StatusCode != status {
				t.Errorf("%s, Host %q: %d, want %d", row.url, host, response.StatusCode, status)
			}
		}
	}
}

// Whoever signs in is sent to the provider that is configured, with the redirect URL
// of the console.
func TestSignInAtTheProvider(t *testing.T) {
	mux := http.NewServeMux()
	provider := httptest.NewTLSServer(mux)
	defer provider.Close()
	mux.HandleFunc("GET /realm/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		at := provider.URL + "/realm"
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"issuer": "`+at+`", "authorization_endpoint": "`+at+`/authorize", "token_endpoint": "`+at+`/token", "jwks_uri": "`+at+`/keys",
			"response_types_supported": ["code"], "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"]}`)
	})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: provider.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _ := testConfig(t, "JIRAGATE_CONSOLE_URL=https://gate.example", "JIRAGATE_CONSOLE_ADMIN_TOKEN=off", "JIRAGATE_OIDC_ISSUER="+provider.URL+"/realm",
		"JIRAGATE_OIDC_CLIENT_ID=the-console", "JIRAGATE_OIDC_ROLES=viewer=*", "JIRAGATE_OIDC_CA_FILE="+ca)
	s, _ := startServer(t, c)
	client := visitor(t, nil)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	_, page := read(t, client, "http://"+s.AdminAddr()+"/console/signin")
	if !strings.Contains(page, "Sign in with 127.0.0.1") || strings.Contains(page, "Admin token") {
		t.Errorf("the page to sign in at: %s", page)
	}
	response, body := read(t, client, "http://"+s.AdminAddr()+"/console/signin/oidc")
	to, err := response.Location()
	if err != nil {
		t.Fatalf("%d %s: %v", response.StatusCode, body, err)
	}
	q := to.Query()
	if !strings.HasPrefix(to.String(), provider.URL+"/realm/authorize?") || q.Get("client_id") != "the-console" ||
		q.Get("redirect_uri") != "https://gate.example/console/signin/callback" || q.Get("code_challenge_method") != "S256" {
		t.Errorf("sent to %s", to)
	}
	for _, cookie := range response.Cookies() {
		if !strings.HasPrefix(cookie.Name, "__Host-") || !cookie.Secure || !cookie.HttpOnly {
			t.Errorf("cookie %v", cookie)
		}
	}
}

// What is made of a connection just now, such as a link that is shown only once, and the
// state of it, are there even when the audit log can't be read.
func TestConnectionPageWithoutTheAuditLog(t *testing.T) {
	c, environ := testConfig(t)
	s, _ := startServer(t, c)
	addConnection(t, environ, "globex")
	client := visitor(t, nil)
	signIn(t, client, s.ConsoleURL(), adminTokenOf(t, c))
	page := func() string {
		response, page := read(t, client, s.ConsoleURL()+"connections/globex")
		if response.StatusCode != http.StatusOK || !strings.Contains(page, "https://globex.example/jira") {
			t.Errorf("%d %s", response.StatusCode, page)
		}
		return page
	}
	const missing, calls = "There is no audit log yet.", "Latest calls and changes"
	if p := page(); strings.Contains(p, missing) || !strings.Contains(p, calls) {
		t.Errorf("with its log: %s", p)
	}
	away := c.auditDir() + "-away"
	if err := os.Rename(c.auditDir(), away); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Rename(away, c.auditDir()); err != nil {
			t.Error(err)
		}
	})
	if p := page(); !strings.Contains(p, missing) || strings.Contains(p, calls) {
		t.Errorf("without its log: %s", p)
	}
}

// A listener on all addresses is told of by one that can be opened.
func TestReachable(t *testing.T) {
	for listen, want := range map[string]string{"0.0.0.0:0": "127.0.0.1", "127.0.0.1:0": "127.0.0.1"} {
		l, err := net.Listen("tcp4", listen)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if host, _, err := net.SplitHostPort(reachable(l)); err != nil || host != want {
			t.Errorf("%s: %q %v", listen, host, err)
		}
	}
}
