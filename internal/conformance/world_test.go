package conformance

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"jiragate/internal/cli"
	"jiragate/internal/jirasim"
)

// world is a gateway as `jiragate serve` starts it, with TLS on each of its
// listeners, the Jira simulator behind it, and a way in for tools that know no
// proxies.
type world struct {
	environ []string
	sim     *jirasim.Sim
	server  *cli.Server
	tunnels string // host:port where every connection is a tunnel

	client *tls.Config // of a client of the proxy listener
	caFile string      // of the gateway's own CA
	ownCA  string      // file of the listeners' certificate
	basic  string      // of the client: Proxy-Authorization
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	sim, err := jirasim.Start(jirasim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	w := &world{sim: sim}
	certFile, keyFile := w.listenerCertificate(t, dir)
	grant := sim.IssueGrant(jirasim.DefaultScopes()...)
	tokens, err := json.Marshal(map[string]string{
		"access_token": grant.AccessToken, "refresh_token": grant.RefreshToken,
		"expiry": grant.Expiry.UTC().Format(time.RFC3339), "scope": strings.Join(jirasim.DefaultScopes(), " "),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.ownCA, w.caFile = certFile, filepath.Join(dir, "data", "ca.pem")
	w.environ = []string{
		"JIRAGATE_DATA_DIR=" + filepath.Join(dir, "data"),
		"JIRAGATE_PROXY_LISTEN=127.0.0.1:0", "JIRAGATE_PROXY_TLS_CERT=" + certFile, "JIRAGATE_PROXY_TLS_KEY=" + keyFile,
		"JIRAGATE_ADMIN_LISTEN=127.0.0.1:0", "JIRAGATE_ADMIN_TLS_CERT=" + certFile, "JIRAGATE_ADMIN_TLS_KEY=" + keyFile,
		"JIRAGATE_PUBLIC_LISTEN=127.0.0.1:0", "JIRAGATE_PUBLIC_TLS_CERT=" + certFile, "JIRAGATE_PUBLIC_TLS_KEY=" + keyFile,
		"JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8",
		"JIRAGATE_ATLASSIAN_API_URL=" + sim.APIURL(), "JIRAGATE_ATLASSIAN_AUTH_URL=" + sim.AuthURL(),
		"JIRAGATE_OAUTH_CLIENT_ID=" + jirasim.DefaultClientID,
		"JIRAGATE_OAUTH_CLIENT_SECRET_FILE=" + file(t, dir, "oauth-client-secret", []byte(jirasim.DefaultClientSecret)),
		"JIRAGATE_UPSTREAM_CA_FILE=" + file(t, dir, "jira-ca.pem", sim.CAPEM()),
	}
	config, err := cli.ParseConfig(w.environ)
	if err != nil {
		t.Fatal(err)
	}
	if w.server, err = cli.Start(t.Context(), config, cli.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := w.server.Close(ctx); err != nil {
			t.Errorf("close the gateway: %v", err)
		}
	})
	tools, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.tunnels = tools.Addr().String()
	// A tool names what it connects to, so that is the site's name.
	w.command(t, "connection", "add", "acme", "--edition", "cloud", "--site-url", "https://"+w.tunnels, "--cloud-id", sim.CloudID(),
		"--oauth-token-file", file(t, dir, "oauth-token.json", tokens))
	var client struct{ Token string }
	if err := json.Unmarshal(w.command(t, "client", "add", "scanner", "--connection", "acme", "--output", "json"), &client); err != nil {
		t.Fatal(err)
	}
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth("scanner", client.Token)
	w.basic = r.Header.Get("Authorization")
	w.openTunnels(t, tools)
	return w
}

// command runs a command of the program against the running gateway.
func (w *world) command(t *testing.T, args ...string) []byte {
	t.Helper()
	var out, problems bytes.Buffer
	system := cli.System{In: strings.NewReader(""), Out: &out, Err: &problems, Environ: w.environ}
	if code := cli.Main(t.Context(), args, system); code != 0 {
		t.Fatalf("jiragate %s: %s", strings.Join(args[:2], " "), problems.String())
	}
	return out.Bytes()
}

func file(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// listenerCertificate is what an operator brings for the listeners.
func (w *world) listenerCertificate(t *testing.T, dir string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "gateway.internal"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
	}
	der, err1 := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	private, err2 := x509.MarshalPKCS8PrivateKey(key)
	cert, err3 := x509.ParseCertificate(der)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	w.client = &tls.Config{RootCAs: roots}
	return file(t, dir, "listener.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		file(t, dir, "listener.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// openTunnels opens a tunnel for each connection of a tool, which come by l.
func (w *world) openTunnels(t *testing.T, l net.Listener) {
	var open sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		l.Close()
		cancel()
		open.Wait()
	})
	open.Go(func() {
		for {
			tool, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer tool.Close()
				if err := w.join(ctx, tool); err != nil && ctx.Err() == nil {
					t.Errorf("open a tunnel for a tool: %v", err)
				}
			})
		}
	})
}

// join passes bytes between a tool and a tunnel, until both sides have ended or one
// is gone.
func (w *world) join(ctx context.Context, tool net.Conn) error {
	conn, err := tls.Dial("tcp", w.server.ProxyAddr(), w.client)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close(); tool.Close() })()
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\nProxy-Authorization: %s\r\n\r\n", w.tunnels, w.basic)
	reader := bufio.NewReader(conn)
	switch response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect}); {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("CONNECT was answered with %s", response.Status)
	}
	var up sync.WaitGroup
	up.Go(func() {
		if _, err := io.Copy(conn, tool); err != nil {
			conn.Close()
		} else {
			conn.CloseWrite()
		}
	})
	_, _ = io.Copy(tool, reader)
	// The gateway has closed: nobody reads what the tool still sends.
	tool.Close()
	up.Wait()
	return nil
}
