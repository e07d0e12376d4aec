package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"jiragate/gateway"
	"jiragate/gateway/audit"
	"jiragate/tokenstore"
)

// signer is a CA for the proxy listener and its clients.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newSigner(t *testing.T) signer {
	s := signer{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	s.cert = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, s.key.Public(), s.key))(t)))(t)
	return s
}

func (s signer) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(s.cert)
	return p
}

func (s signer) certificate(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	change(template)
	der := must(x509.CreateCertificate(rand.Reader, template, s.cert, key.Public(), s.key))(t)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// On an HTTPS proxy a client certificate identifies a client by its subject
// alternative names: whole, never by common name or by a part.
func TestClientCertificates(t *testing.T) {
	ca, other := newSigner(t), newSigner(t)
	server := ca.certificate(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	w := newWorld(t, change{
		gateway: func(_ *world, o *gateway.Options) {
			o.ProxyTLS = &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: ca.pool(), ClientAuth: tls.VerifyClientCertIfGiven}
		},
		wrap: func(l net.Listener) net.Listener { return afarListener{l} },
	})
	if err := w.store.AddClient(t.Context(), tokenstore.Client{Name: "reports", CertificateSANs: []string{"uri:spiffe://acme/reports"}, Connections: []string{"acme"}}); err != nil {
		t.Fatal(err)
	}
	dns := func(names ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames = names }
	}
	uri := func(s string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.URIs = []*url.URL{must(url.Parse(s))(t)} }
	}
	for _, tt := range []struct {
		name   string
		signer signer
		change func(*x509.Certificate)
		client string // "" means refused
	}{
		{"DNS name that is the client's name", ca, dns("billing"), "billing"},
		{"registered URI", ca, uri("spiffe://acme/reports"), "reports"},
		{"one of several names", ca, dns("x.internal", "billing"), "billing"},
		{"common name", ca, func(c *x509.Certificate) { c.Subject.CommonName = "billing" }, ""},
		{"longer URI", ca, uri("spiffe://acme/reports/x"), ""},
		{"subdomain", ca, dns("x.billing"), ""},
		{"wildcard", ca, dns("*"), ""},
		{"names of two clients", ca, func(c *x509.Certificate) { dns("billing")(c); uri("spiffe://acme/reports")(c) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cert := tt.signer.certificate(t, tt.change)
			client := &http.Client{Transport: &http.Transport{
				Proxy:           http.ProxyURL(&url.URL{Scheme: "https", Host: w.proxy}),
				TLSClientConfig: &tls.Config{RootCAs: rootsOf(w, ca), Certificates: []tls.Certificate{cert}},
			}}
			defer client.CloseIdleConnections()
			for _, u := range []string{"https://acme.atlassian.net/rest/api/3/myself", "http://acme.atlassian.net/rest/api/3/myself"} {
				r, err := w.try(client, "GET", u, "")
				switch {
				case tt.client == "" && err == nil && r.StatusCode != 407:
					t.Errorf("%s: %d %s", u, r.StatusCode, r.body)
				case tt.client != "" && (err != nil || r.StatusCode != 200):
					t.Errorf("%s: %v %+v", u, err, r)
				}
			}
			if tt.client != "" {
				w.record(func(r audit.Record) bool { return r.Client == tt.client && r.Status == 200 })
			}
		})
	}
	// A certificate of another CA identifies nobody, whatever its names, and is
	// recorded; a token works on a TLS listener as well.
	cert := other.certificate(t, dns("billing"))
	conn := must(tls.Dial("tcp", w.proxy, &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{cert}}))(t)
	defer conn.Close()
	if got := exchange(t, conn, "CONNECT acme.atlassian.net:443 HTTP/1.1\r\nHost: acme.atlassian.net:443\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 407 ") {
		t.Errorf("a certificate of another CA: %s", got)
	}
	client := w.billing()
	client.Transport.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "https", User: url.UserPassword("billing", w.token), Host: w.proxy})
	client.Transport.(*http.Transport).TLSClientConfig.RootCAs = rootsOf(w, ca)
	if r := w.call(client, "GET", "https://acme.atlassian.net/rest/api/3/myself", ""); r.StatusCode != 200 {
		t.Errorf("by token: %d %s", r.StatusCode, r.body)
	}
	for _, r := range w.records() {
		if r.Decision == "deny" && r.Client != "" {
			t.Errorf("record %+v", r)
		}
	}
}

func rootsOf(w *world, ca signer) *x509.CertPool {
	p := w.roots.Clone()
	p.AddCert(ca.cert)
	return p
}

// A tunnel that was opened by a certificate ends with the name that stood for
// its client.
func TestCertificateTunnelEndsWithItsName(t *testing.T) {
	ca := newSigner(t)
	server := ca.certificate(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) {
		o.ProxyTLS = &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: ca.pool()}
	}})
	add := func(san string) {
		t.Helper()
		if err := w.store.AddClient(t.Context(), tokenstore.Client{Name: "reports", CertificateSANs: []string{san}, Connections: []string{"acme"}}); err != nil {
			t.Fatal(err)
		}
	}
	add("uri:spiffe://acme/old")
	cert := ca.certificate(t, func(c *x509.Certificate) { c.URIs = []*url.URL{must(url.Parse("spiffe://acme/old"))(t)} })
	client := &http.Client{Transport: &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "https", Host: w.proxy}),
		TLSClientConfig: &tls.Config{RootCAs: rootsOf(w, ca), Certificates: []tls.Certificate{cert}},
	}}
	defer client.CloseIdleConnections()
	const u = "https://acme.atlassian.net/rest/api/3/myself"
	if r := w.call(client, "GET", u, ""); r.StatusCode != 200 {
		t.Fatalf("at first: %d %s", r.StatusCode, r.body)
	}
	if err := w.store.RemoveClient(t.Context(), "reports"); err != nil {
		t.Fatal(err)
	}
	add("uri:spiffe://acme/new")
	if r := w.call(client, "GET", u, ""); r.problem.Code != "client_revoked" {
		t.Errorf("the old tunnel: %d %s", r.StatusCode, r.body)
	}
}
