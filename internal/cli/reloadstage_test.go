package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jiragate/certs"
	"jiragate/gateway/admin"
	"jiragate/internal/jirasim"
	"jiragate/tokenstore/keyset"
)

// place writes a file as cert-manager and careful people do: whole, or not at all.
func place(t *testing.T, path, content string) {
	t.Helper()
	temp := path + ".new"
	if err := os.WriteFile(temp, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temp, path); err != nil {
		t.Fatal(err)
	}
}

// issuer makes certificates for listeners and clients.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newIssuer(t *testing.T) issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: rand.Text()}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{cert, key, pemOf(cert)}
}

// issue makes a certificate for this machine, with a name to know it by, as two PEM files.
func (i issuer) issue(t *testing.T, name string, end time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: end,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{name},
	}, i.cert, private.Public(), i.key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

// reloadStage is a gateway all of whose parts are in files, before a simulated Jira.
type reloadStage struct {
	t       *testing.T
	dir     string
	sim     *jirasim.Sim
	server  *Server
	log     *syncBuffer
	environ []string
	ca      issuer         // of the listeners and of clients
	roots   *x509.CertPool // of ca and of the gateway
	token   string         // of the client billing
}

func newReloadStage(t *testing.T) *reloadStage {
	t.Helper()
	g := &reloadStage{t: t, dir: t.TempDir(), ca: newIssuer(t)}
	var err error
	if g.sim, err = jirasim.Start(jirasim.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.sim.Close() }) // ends with the test
	environ := []string{"JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8",
		"JIRAGATE_OAUTH_CLIENT_ID=" + jirasim.DefaultClientID, "JIRAGATE_ATLASSIAN_AUTH_URL=" + g.sim.AuthURL()}
	file := func(variable, name, content string) {
		environ = append(environ, "JIRAGATE_"+variable+"="+g.file(name))
		place(t, g.file(name), content)
	}
	cert, key := g.ca.issue(t, "first", g.ca.cert.NotAfter)
	file("PROXY_TLS_CERT", "proxy.pem", cert)
	file("PROXY_TLS_KEY", "proxy-key.pem", key)
	file("ADMIN_TLS_CERT", "admin.pem", cert)
	file("ADMIN_TLS_KEY", "admin-key.pem", key)
	file("PROXY_CLIENT_CA", "clients.pem", g.ca.pem)
	file("UPSTREAM_CA_FILE", "jira.pem", string(g.sim.CAPEM()))
	file("EGRESS_FILE", "egress", "198.51.100.7=127.0.0.1\n")
	file("POLICY_FILE", "rules.yaml", denying("issue.delete"))
	file("OAUTH_CLIENT_SECRET_FILE", "client-secret", jirasim.DefaultClientSecret)
	file("ADMIN_TOKEN_FILE", "token", strings.Repeat("a", 40))
	file("METRICS_TOKEN_FILE", "metrics-token", strings.Repeat("m", 40))
	c, all := testConfig(t, environ...)
	g.environ = all
	g.server, g.log = startServer(t, c)
	mustRun(t, all, jirasim.DefaultPassword, "connection", "add", "globex", "--edition", "datacenter", "--base-url", g.sim.DataCenterURL(),
		"--auth", "basic", "--username", jirasim.DefaultUsername, "--secret-file", "-")
	var issued admin.IssuedToken
	if err := json.Unmarshal([]byte(mustRun(t, all, "", "client", "add", "billing", "--connection", "globex", "--output", "json")), &issued); err != nil {
		t.Fatal(err)
	}
	g.token = issued.Token
	g.roots = x509.NewCertPool()
	g.roots.AddCert(g.ca.cert)
	g.roots.AppendCertsFromPEM(g.server.RootPEM())
	return g
}

func (g *reloadStage) file(name string) string { return filepath.Join(g.dir, name) }

func denying(operation string) string {
	return "version: 1\nrules:\n  - name: fewer\n    deny: [" + operation + "]\n"
}

// newClient is one that has no connection yet.
func (g *reloadStage) newClient(proxied bool) *http.Client {
	return &http.Client{Transport: g.newTransport(proxied, &tls.Config{RootCAs: g.roots}), Timeout: 20 * time.Second}
}

func (g *reloadStage) newTransport(proxied bool, config *tls.Config) *http.Transport {
	transport := &http.Transport{TLSClientConfig: config}
	if proxied {
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "https", Host: g.server.ProxyAddr(), User: url.UserPassword("billing", g.token)})
	}
	g.t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// call makes one call, through a tunnel or by the base URL.
func (g *reloadStage) call(client *http.Client, proxied bool) error {
	target := g.sim.DataCenterURL() + "/rest/api/2/myself"
	if !proxied {
		target = "https://" + g.server.ProxyAddr() + "/c/globex/rest/api/2/myself"
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	if !proxied {
		r.SetBasicAuth("billing", g.token)
		r.Header.Set("Proxy-Authorization", r.Header.Get("Authorization"))
		r.Header.Del("Authorization")
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	return err
}

// reload runs the command, which must succeed, and returns what came of each part.
func (g *reloadStage) reload() map[string]string {
	g.t.Helper()
	results, ok := g.tryReload()
	if !ok {
		g.t.Fatalf("reload: %v", results)
	}
	return results
}

func (g *reloadStage) tryReload() (results map[string]string, ok bool) {
	g.t.Helper()
	code, out, errs := run(g.t, g.environ, "", "reload", "--output", "json")
	var done admin.Reloaded
	if err := json.Unmarshal([]byte(out), &done); err != nil || done.OK != (code == 0) {
		g.t.Fatalf("exit code %d, %v\n%s%s", code, err, out, errs)
	}
	results = map[string]string{}
	for _, p := range done.Parts {
		results[p.Part] = strings.TrimSuffix(p.Result+": "+p.Reason, ": ")
	}
	return results, done.OK
}

// shown is the name in the certificate that a new connection to a listener sees.
func (g *reloadStage) shown(addr string) string {
	g.t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: g.roots, ServerName: "127.0.0.1"})
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
}

// anotherRoot puts a new CA of the gateway in its place, which clients trust beforehand.
func (g *reloadStage) anotherRoot() {
	g.t.Helper()
	dir := g.t.TempDir()
	a, err := certs.Open(certs.Options{Dir: dir, Sealer: g.server.foundation.keys})
	if err != nil {
		g.t.Fatal(err)
	}
	roots := g.roots.Clone()
	roots.AddCert(a.Root())
	g.roots = roots
	for _, name := range []string{"ca-key.pem", "ca.pem"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			g.t.Fatal(err)
		}
		place(g.t, g.server.config.file(name), string(content))
	}
}

// rotateElsewhere gives the keyset a key, as if it had been brought from elsewhere.
func (g *reloadStage) rotateElsewhere() {
	g.t.Helper()
	present := g.server.config.keysetFile()
	content, err := os.ReadFile(present)
	if err != nil {
		g.t.Fatal(err)
	}
	other := filepath.Join(g.t.TempDir(), "keyset.json")
	place(g.t, other, string(content))
	keys, err := keyset.Open(g.t.Context(), "file:"+other, keyset.Options{})
	if err != nil {
		g.t.Fatal(err)
	}
	if _, err := keys.Rotate(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
	if content, err = os.ReadFile(other); err != nil {
		g.t.Fatal(err)
	}
	place(g.t, present, string(content))
}
