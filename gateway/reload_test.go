package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"jiragate/certs"
	"jiragate/gateway"
	"jiragate/tokenstore"
)

// proxyTLSFor is the listener of a gateway that lets clients of ca in.
func proxyTLSFor(server tls.Certificate, ca signer) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: ca.pool()}
}

// A client CA that is no more identifies nobody: not on a new connection, not on one
// that resumes the session of an old one, and not on those that are open.
func TestRemovedClientCAIdentifiesNobody(t *testing.T) {
	ca, other := newSigner(t), newSigner(t)
	server := ca.certificate(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) { o.ProxyTLS = proxyTLSFor(server, ca) }})
	if err := w.store.AddClient(t.Context(), tokenstore.Client{Name: "reports", CertificateSANs: []string{"dns:reports.internal"}, Connections: []string{"acme", "dc"}}); err != nil {
		t.Fatal(err)
	}
	cert := ca.certificate(t, func(c *x509.Certificate) { c.DNSNames = []string{"reports.internal"} })
	sessions := tls.NewLRUClientSessionCache(8)
	newClient := func(proxied bool) *http.Client {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: rootsOf(w, ca), Certificates: []tls.Certificate{cert}, ClientSessionCache: sessions}}
		if proxied {
			transport.Proxy = http.ProxyURL(&url.URL{Scheme: "https", Host: w.proxy})
		}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	const inTunnel = "https://acme.atlassian.net/rest/api/3/myself"
	byBase := "https://" + w.proxy + "/c/dc/rest/api/2/myself"
	open, tunnel := newClient(false), newClient(true)
	if r := w.call(open, "GET", byBase, ""); r.StatusCode != 200 {
		t.Fatalf("at first: %d %s", r.StatusCode, r.body)
	}
	if r := w.call(tunnel, "GET", inTunnel, ""); r.StatusCode != 200 {
		t.Fatalf("at first, in a tunnel: %d %s", r.StatusCode, r.body)
	}
	if r := w.call(newClient(false), "GET", byBase, ""); r.StatusCode != 200 || !r.TLS.DidResume {
		t.Fatalf("a second connection: %d, resumed: %v", r.StatusCode, r.TLS.DidResume)
	}

	w.gateway.SetProxyTLS(proxyTLSFor(server, ca)) // the same CA in another pool
	if r := w.call(tunnel, "GET", inTunnel, ""); r.StatusCode != 200 {
		t.Errorf("the CA is the same, and the open tunnel: %d %s", r.StatusCode, r.body)
	}
	if r := w.call(newClient(false), "GET", byBase, ""); r.StatusCode != 200 || r.TLS.DidResume {
		t.Errorf("the first connection afterwards: %d, resumed: %v", r.StatusCode, r.TLS.DidResume)
	}

	w.gateway.SetProxyTLS(proxyTLSFor(server, other))
	for name, client := range map[string]*http.Client{"open": open, "resuming": newClient(false)} {
		if r := w.call(client, "GET", byBase, ""); r.problem.Code != "client_unidentified" {
			t.Errorf("%s connection: %d %s", name, r.StatusCode, r.body)
		}
	}
	if r := w.call(tunnel, "GET", inTunnel, ""); r.problem.Code != "client_revoked" {
		t.Errorf("open tunnel: %d %s", r.StatusCode, r.body)
	}
}

// A new connection is shown the new certificate, and open ones go on.
func TestNewListenerCertificate(t *testing.T) {
	ca := newSigner(t)
	named := func(name string) tls.Certificate {
		return ca.certificate(t, func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{name}
		})
	}
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) { o.ProxyTLS = proxyTLSFor(named("first"), ca) }})
	sessions := tls.NewLRUClientSessionCache(8)
	newClient := func() *http.Client {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: rootsOf(w, ca), ClientSessionCache: sessions}}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	shown := func(client *http.Client) string {
		t.Helper()
		r := w.call(client, "GET", "https://"+w.proxy+"/c/dc/rest/api/2/myself", "", "Proxy-Authorization", basic("billing", w.token))
		if r.StatusCode != 200 {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		}
		return r.TLS.PeerCertificates[0].DNSNames[0]
	}
	open := newClient()
	if got := shown(open); got != "first" {
		t.Fatalf("shown %s", got)
	}
	w.gateway.SetProxyTLS(proxyTLSFor(named("second"), ca))
	if got := shown(open); got != "first" {
		t.Errorf("the open connection was not kept: shown %s", got)
	}
	if got := shown(newClient()); got != "second" {
		t.Errorf("a new connection is shown the certificate %s", got)
	}
}

// Jira is not called any more by a socket that was verified by a root that is gone.
func TestUpstreamRootsAreReplaced(t *testing.T) {
	w := newWorld(t, change{})
	roots := func(pem []byte) *x509.CertPool {
		p := x509.NewCertPool()
		p.AppendCertsFromPEM(pem)
		return p
	}
	client := w.billing()
	call := func() string {
		t.Helper()
		r := w.call(client, "GET", "https://acme.atlassian.net/rest/api/3/myself", "")
		return r.problem.Code
	}
	if code := call(); code != "" {
		t.Fatalf("at first: %s", code)
	}
	w.gateway.SetUpstreamRoots(x509.NewCertPool())
	if code := call(); code != "upstream_tls_failed" {
		t.Errorf("without the root: %q", code)
	}
	w.gateway.SetUpstreamRoots(roots(w.sim.CAPEM()))
	if code := call(); code != "" {
		t.Errorf("with the root again: %s", code)
	}
}

// Sessions inside tunnels end with the root that they began under: a client that
// doesn't trust the new one is to notice.
func TestTunnelsOfAnotherRootAreNotResumed(t *testing.T) {
	w := newWorld(t, change{})
	sessions := tls.NewLRUClientSessionCache(8)
	roots := x509.NewCertPool()
	open := func() tls.ConnectionState {
		t.Helper()
		roots.AppendCertsFromPEM(w.options.Authority.RootPEM())
		conn := must(net.Dial("tcp", w.proxy))(t)
		c := tls.Client(w.connected(conn, site+":443"), &tls.Config{RootCAs: roots, ServerName: site, ClientSessionCache: sessions})
		defer c.Close()
		// The ticket comes with what the server says first.
		if _, err := io.WriteString(c, "GET /rest/api/3/myself HTTP/1.1\r\nHost: "+site+"\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil {
			t.Fatal(err)
		}
		return c.ConnectionState()
	}
	open()
	if !open().DidResume {
		t.Fatal("the second tunnel did not resume the session")
	}
	elsewhere := t.TempDir()
	next := must(certs.Open(certs.Options{Dir: elsewhere, Sealer: w.keys}))(t)
	for _, name := range []string{"ca.pem", "ca-key.pem"} {
		if err := os.WriteFile(filepath.Join(w.dir, name), must(os.ReadFile(filepath.Join(elsewhere, name)))(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put, err := w.options.Authority.Reload()
	if err != nil {
		t.Fatal(err)
	}
	put()
	if state := open(); state.DidResume || !state.VerifiedChains[0][len(state.VerifiedChains[0])-1].Equal(next.Root()) {
		t.Error("the session of the old root was resumed")
	}
	if !open().DidResume {
		t.Error("sessions of the new root are not resumed")
	}
}
