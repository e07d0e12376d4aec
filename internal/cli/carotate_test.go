package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The root is rotated while clients call. One that was given ca.pem when the next root was
// prepared loses no call, and neither does a tunnel that is open; one that has the old root
// alone gets no new tunnel.
func TestRootIsRotatedWhileClientsCall(t *testing.T) {
	g := newReloadStage(t)
	behind := g.newClient(true) // trusts the first root alone, as do its copies below
	g.mustCall(behind)
	mustRun(t, g.environ, "", "ca", "rotate", "--prepare")
	g.mustCall(g.newClient(true)) // the next root signs nothing yet
	onlyFirst := g.roots
	bundle, err := os.ReadFile(g.server.config.caFile())
	if err != nil {
		t.Fatal(err)
	}
	g.roots = x509.NewCertPool()
	g.roots.AddCert(g.ca.cert)
	g.roots.AppendCertsFromPEM(bundle)

	var calls atomic.Int64
	var traffic sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		traffic.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				client := g.newClient(true)
				if err := g.call(client, true); err != nil {
					t.Errorf("a client that trusts both roots: %v", err)
					return
				}
				client.CloseIdleConnections()
				calls.Add(1)
			}
		})
	}
	more := func() {
		for before := calls.Load(); calls.Load() < before+8 && !t.Failed(); time.Sleep(time.Millisecond) {
		}
	}
	more()
	mustRun(t, g.environ, "", "ca", "rotate")
	more()
	close(stop)
	traffic.Wait()

	g.mustCall(behind) // whose tunnel is open
	both := g.roots
	g.roots = onlyFirst
	if err := g.call(g.newClient(true), true); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a client that trusts the old root alone: %v", err)
	}
	g.roots = both
	g.mustCall(g.newClient(true))
	g.roots = x509.NewCertPool()
	g.roots.AddCert(g.ca.cert)
	after, err := os.ReadFile(g.server.config.caFile())
	if err != nil || strings.Count(string(after), "BEGIN") != 1 || !g.roots.AppendCertsFromPEM(after) {
		t.Errorf("ca.pem holds %v\n%s", err, after)
	}
	g.mustCall(g.newClient(true))
	if part := g.reload()[partCA]; part != "unchanged" {
		t.Errorf("a reload afterwards: %s", part)
	}
	for _, operation := range []string{"admin.ca.prepare", "admin.ca.rotate"} {
		if records := mustRun(t, g.environ, "", "audit", "query", "--operation", operation, "--output", "json"); strings.Count(records, `"decision":"allow"`) != 1 {
			t.Errorf("%s is on record as\n%s", operation, records)
		}
	}
	for _, line := range []string{`msg="root prepared"`, `msg="root rotated"`} {
		if !strings.Contains(g.log.String(), line) {
			t.Errorf("no %s in the log", line)
		}
	}
}

func (g *reloadStage) mustCall(client *http.Client) {
	g.t.Helper()
	if err := g.call(client, true); err != nil {
		g.t.Fatal(err)
	}
}

// What is to be done about a root that ends says where the rotation stands.
func TestHintsAboutTheRoot(t *testing.T) {
	c, environ := testConfig(t)
	s, _ := startServer(t, c)
	check := func(want string) {
		t.Helper()
		list := s.expiring(rootEnds(t, s).Add(-24 * time.Hour))
		if len(list) != 1 || !strings.Contains(list[0].hint, want) {
			t.Errorf("%+v, want a hint at %q", list, want)
		}
	}
	check("jiragate ca rotate --prepare")
	mustRun(t, environ, "", "ca", "rotate", "--prepare")
	check("the next root is prepared: jiragate ca rotate")
	cert, key := ownRoot(t)
	dir := t.TempDir() + "/"
	place(t, dir+"own.pem", cert)
	place(t, dir+"own.key", key)
	mustRun(t, environ, "", "ca", "init", "--replace", "--cert-file", dir+"own.pem", "--key-file", dir+"own.key")
	check("jiragate ca init --replace")
	for _, flag := range []string{"--prepare", "--at-once"} {
		if code, _, stderr := run(t, environ, "", "ca", "rotate", flag); code != 1 || !strings.Contains(stderr, "was brought") || !strings.Contains(stderr, "hint: make the next one as this one was made") {
			t.Errorf("%s: exit code %d\n%s", flag, code, stderr)
		}
	}
}

// ownRoot is one that an operator brings, for a month, as two PEM files.
func ownRoot(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "own"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}
