package certs

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// gcm seals with a key of its own, as a keyset of the gateway does.
type gcm struct{ cipher.AEAD }

func (g gcm) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	return g.Seal(nil, nil, plaintext, associatedData), nil
}

func (g gcm) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	return g.AEAD.Open(nil, nil, ciphertext, associatedData)
}

func newSealer(t testing.TB) Sealer {
	t.Helper()
	key := make([]byte, 32)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return gcm{aead}
}

func newOptions(t testing.TB) Options {
	return Options{Dir: filepath.Join(t.TempDir(), "data"), Sealer: newSealer(t)}
}

func mustOpen(t testing.TB, o Options) *Authority {
	t.Helper()
	a, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// newAuthority is an authority for hosts in a directory of its own.
func newAuthority(t testing.TB, hosts ...string) *Authority {
	t.Helper()
	a := mustOpen(t, newOptions(t))
	if err := a.SetHosts(hosts); err != nil {
		t.Fatal(err)
	}
	return a
}

func mustLeaf(t testing.TB, a *Authority, host string) *tls.Certificate {
	t.Helper()
	cert, err := a.Leaf(host)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// handshake is a client that trusts the root alone and wants serverName,
// against a server that shows cert.
func handshake(a *Authority, cert *tls.Certificate, serverName string) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.RootPEM())
	clientSide, serverSide := net.Pipe()
	defer clientSide.Close()
	server := tls.Server(serverSide, &tls.Config{Certificates: []tls.Certificate{*cert}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer serverSide.Close()
		server.Handshake()
	}()
	client := tls.Client(clientSide, &tls.Config{RootCAs: roots, ServerName: serverName})
	err := client.Handshake()
	clientSide.Close()
	<-done
	return err
}

// TestHandshake: a client that trusts nothing but ca.pem accepts each kind of
// host, and nothing else.
func TestHandshake(t *testing.T) {
	hosts := []string{"api.atlassian.com", "acme.atlassian.net", "jira", "xn--bcher-kva.example", "192.0.2.7", "2001:db8::7"}
	sets := map[string][]string{
		"all together": hosts,
		"names only":   {"api.atlassian.com", "acme.atlassian.net", "jira", "xn--bcher-kva.example"},
		"IPv4 only":    {"192.0.2.7"},
		"IPv6 only":    {"2001:db8::7"},
		"both IPs":     {"192.0.2.7", "2001:db8::7"},
	}
	for name, set := range sets {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t, set...)
			for _, host := range hosts {
				cert, err := a.Leaf(host)
				if !slices.Contains(set, host) {
					if !errors.Is(err, ErrHostNotPermitted) || cert != nil {
						t.Errorf("Leaf(%q) = %v, %v; want ErrHostNotPermitted", host, cert, err)
					}
					continue
				}
				if err != nil {
					t.Errorf("Leaf(%q): %v", host, err)
					continue
				}
				if err := handshake(a, cert, host); err != nil {
					t.Errorf("handshake with %q: %v", host, err)
				}
				if err := handshake(a, cert, "other.example"); err == nil {
					t.Errorf("the certificate of %q passed for other.example", host)
				}
			}
		})
	}
}

func TestLeafRefusesWhatIsNotInTheSet(t *testing.T) {
	a := newAuthority(t, "acme.atlassian.net", "192.0.2.7")
	for _, host := range []string{
		"", "evil.example", "atlassian.net", "sub.acme.atlassian.net", "*.atlassian.net",
		"ACME.atlassian.net", "acme.atlassian.net.", "acme.atlassian.net:443", "acme.atlassian.net\x00.evil.example",
		"192.0.2.8", "192.0.2.07", "::ffff:192.0.2.7", "invalid",
	} {
		if cert, err := a.Leaf(host); !errors.Is(err, ErrHostNotPermitted) || cert != nil {
			t.Errorf("Leaf(%q) = %v, %v; want ErrHostNotPermitted", host, cert, err)
		}
	}
}

func TestEmptySetHasNoIntermediate(t *testing.T) {
	a := mustOpen(t, newOptions(t))
	check := func(when string) {
		t.Helper()
		if _, err := a.Leaf("acme.atlassian.net"); !errors.Is(err, ErrHostNotPermitted) {
			t.Errorf("%s: Leaf = %v, want ErrHostNotPermitted", when, err)
		}
		if n := len(a.current.Load().by); n != 0 {
			t.Errorf("%s: %d intermediates exist", when, n)
		}
	}
	check("before SetHosts")
	for _, hosts := range [][]string{{"acme.atlassian.net"}, nil} {
		if err := a.SetHosts(hosts); err != nil {
			t.Fatal(err)
		}
	}
	check("after the last host went")
}

func TestSetHosts(t *testing.T) {
	a := newAuthority(t, "a.example", "b.example")
	first := mustLeaf(t, a, "a.example")

	if err := a.SetHosts([]string{"b.example", "a.example", "b.example"}); err != nil {
		t.Fatal(err)
	}
	if mustLeaf(t, a, "a.example") != first {
		t.Error("the same set in another order dropped the cached leaf")
	}

	if err := a.SetHosts([]string{"a.example", "not a host"}); err == nil {
		t.Error("a host that is none was taken")
	}
	if mustLeaf(t, a, "a.example") != first || mustLeaf(t, a, "b.example") == nil {
		t.Error("a refused set changed something")
	}

	if err := a.SetHosts([]string{"a.example", "c.example"}); err != nil {
		t.Fatal(err)
	}
	second := mustLeaf(t, a, "a.example")
	if second == first || bytes.Equal(second.Certificate[1], first.Certificate[1]) {
		t.Error("a changed set did not change the intermediate")
	}
	if _, err := a.Leaf("b.example"); !errors.Is(err, ErrHostNotPermitted) {
		t.Errorf("Leaf of a removed host: %v", err)
	}
	if err := handshake(a, mustLeaf(t, a, "c.example"), "c.example"); err != nil {
		t.Error(err)
	}
}

// TestSetHostsKeepsNoneOfTheCallers: the caller's slice stays the caller's.
func TestSetHostsKeepsNoneOfTheCallers(t *testing.T) {
	hosts := []string{"b.example", "a.example"}
	a := newAuthority(t, hosts...)
	if !slices.Equal(hosts, []string{"b.example", "a.example"}) {
		t.Errorf("SetHosts reordered its argument: %v", hosts)
	}
	hosts[0] = "evil.example"
	if _, err := a.Leaf("evil.example"); !errors.Is(err, ErrHostNotPermitted) {
		t.Errorf("Leaf = %v, want ErrHostNotPermitted", err)
	}
}

// TestManyHosts: the chain stays small enough for any client however many
// connections there are. OpenSSL's default limit is 100 kB.
func TestManyHosts(t *testing.T) {
	hosts := []string{"192.0.2.7"}
	for i := range 2500 {
		hosts = append(hosts, fmt.Sprintf("customer-with-a-long-name-%04d.atlassian.net", i))
	}
	a := newAuthority(t, hosts...)
	for _, host := range []string{hosts[0], hosts[1], hosts[1250], hosts[2500]} {
		cert := mustLeaf(t, a, host)
		if err := handshake(a, cert, host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		if size := len(slices.Concat(cert.Certificate...)); size > 16<<10 {
			t.Errorf("%s: the chain has %d bytes", host, size)
		}
	}
}

// TestCertificates looks at each level's fields.
func TestCertificates(t *testing.T) {
	a := newAuthority(t, "acme.atlassian.net", "192.0.2.7")
	root := a.Root()
	name, addr := mustLeaf(t, a, "acme.atlassian.net"), mustLeaf(t, a, "192.0.2.7")
	im, err := x509.ParseCertificate(name.Certificate[1])
	if err != nil {
		t.Fatal(err)
	}
	if len(name.Certificate) != 2 {
		t.Errorf("the chain has %d certificates, want leaf and intermediate", len(name.Certificate))
	}

	serials := map[string]bool{}
	for _, c := range []*x509.Certificate{root, im, name.Leaf, addr.Leaf} {
		if c.PublicKeyAlgorithm != x509.ECDSA || c.SignatureAlgorithm != x509.ECDSAWithSHA256 {
			t.Errorf("%s: %v, %v", c.Subject, c.PublicKeyAlgorithm, c.SignatureAlgorithm)
		}
		if bits := c.SerialNumber.BitLen(); bits < 96 || bits > 159 {
			t.Errorf("%s: serial number of %d bits", c.Subject, bits)
		}
		serials[c.SerialNumber.String()] = true
	}
	if len(serials) != 4 {
		t.Error("serial numbers repeat")
	}

	if !root.IsCA || root.MaxPathLen != 1 || root.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("root: CA %v, path length %d, usage %v", root.IsCA, root.MaxPathLen, root.KeyUsage)
	}
	if !im.IsCA || im.MaxPathLen != 0 || !im.MaxPathLenZero || !im.PermittedDNSDomainsCritical {
		t.Errorf("intermediate: CA %v, path length %d, critical constraints %v", im.IsCA, im.MaxPathLen, im.PermittedDNSDomainsCritical)
	}
	if !slices.Equal(im.PermittedDNSDomains, []string{"acme.atlassian.net"}) ||
		len(im.PermittedIPRanges) != 1 || im.PermittedIPRanges[0].String() != "192.0.2.7/32" {
		t.Errorf("intermediate permits %v and %v", im.PermittedDNSDomains, im.PermittedIPRanges)
	}
	if im.NotAfter.Sub(im.NotBefore) > intermediateLife || im.NotAfter.After(root.NotAfter) || im.NotBefore.Before(root.NotBefore) {
		t.Errorf("intermediate lives from %v to %v", im.NotBefore, im.NotAfter)
	}

	if !slices.Equal(name.Leaf.DNSNames, []string{"acme.atlassian.net"}) || len(name.Leaf.IPAddresses) != 0 {
		t.Errorf("leaf names %v, %v", name.Leaf.DNSNames, name.Leaf.IPAddresses)
	}
	if len(addr.Leaf.DNSNames) != 0 || len(addr.Leaf.IPAddresses) != 1 || !addr.Leaf.IPAddresses[0].Equal(net.IPv4(192, 0, 2, 7)) {
		t.Errorf("leaf names %v, %v", addr.Leaf.DNSNames, addr.Leaf.IPAddresses)
	}
	for _, l := range []*x509.Certificate{name.Leaf, addr.Leaf} {
		if l.IsCA || l.KeyUsage != x509.KeyUsageDigitalSignature || !slices.Equal(l.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
			t.Errorf("leaf: CA %v, usage %v, %v", l.IsCA, l.KeyUsage, l.ExtKeyUsage)
		}
		if l.Subject.String() != "" {
			t.Errorf("leaf has the subject %q", l.Subject)
		}
		if l.NotAfter.Sub(l.NotBefore) > leafLife || l.NotBefore.Before(im.NotBefore) || l.NotAfter.After(im.NotAfter) {
			t.Errorf("leaf lives from %v to %v", l.NotBefore, l.NotAfter)
		}
		if lag := time.Since(l.NotBefore); lag < backdate-time.Minute {
			t.Errorf("leaf is back-dated by %v only", lag)
		}
	}
	if samePublicKey(name.Leaf.PublicKey, addr.Leaf.PublicKey) {
		t.Error("two leaves share a key")
	}
}

// TestConcurrentCallersShareOneLeaf: all callers stand at the same point, where
// they ask for the time, before any of them goes on to look into the cache.
func TestConcurrentCallersShareOneLeaf(t *testing.T) {
	const callers = 16
	var together atomic.Pointer[sync.WaitGroup]
	o := newOptions(t)
	o.Now = func() time.Time {
		if wg := together.Load(); wg != nil {
			wg.Done()
			wg.Wait()
		}
		return time.Now()
	}
	a := mustOpen(t, o)
	var hosts []string
	for i := range 20 {
		hosts = append(hosts, fmt.Sprintf("h%d.example", i))
	}
	if err := a.SetHosts(hosts); err != nil {
		t.Fatal(err)
	}
	for _, host := range hosts {
		got := make([]*tls.Certificate, callers)
		var barrier, done sync.WaitGroup
		barrier.Add(callers)
		together.Store(&barrier)
		for i := range got {
			done.Go(func() { got[i], _ = a.Leaf(host) })
		}
		done.Wait()
		for i, cert := range got {
			if cert == nil || cert != got[0] {
				t.Fatalf("%s: caller %d got a certificate of its own", host, i)
			}
		}
	}
}

// TestHostsChangeUnderLoad: whatever the moment, a caller gets a chain that
// verifies or ErrHostNotPermitted.
func TestHostsChangeUnderLoad(t *testing.T) {
	a := newAuthority(t, "a.example", "b.example")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, host := range []string{"a.example", "b.example", "c.example"} {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				cert, err := a.Leaf(host)
				if err == nil {
					err = handshake(a, cert, host)
				}
				if err != nil && !errors.Is(err, ErrHostNotPermitted) {
					t.Errorf("%s: %v", host, err)
				}
			}
		})
	}
	for i := range 50 {
		hosts := []string{"a.example", "b.example", "c.example"}
		if err := a.SetHosts(hosts[:1+i%3]); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

func TestCacheIsBounded(t *testing.T) {
	o := newOptions(t)
	o.CacheSize = 2
	a := mustOpen(t, o)
	if err := a.SetHosts([]string{"a.example", "b.example", "c.example"}); err != nil {
		t.Fatal(err)
	}
	first, second := mustLeaf(t, a, "a.example"), mustLeaf(t, a, "b.example")
	mustLeaf(t, a, "a.example") // now b is the one used longest ago
	mustLeaf(t, a, "c.example")
	if got := a.current.Load().leaves.recent.Len(); got != 2 {
		t.Errorf("%d leaves cached, want 2", got)
	}
	if mustLeaf(t, a, "a.example") != first {
		t.Error("the leaf used last was dropped")
	}
	if mustLeaf(t, a, "b.example") == second {
		t.Error("the leaf used longest ago was kept")
	}
}

func TestFingerprint(t *testing.T) {
	got := Fingerprint(&x509.Certificate{Raw: []byte("abc")})
	// SHA-256 of "abc": FIPS 180-2, appendix B.1.
	want := "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD"
	if got != want {
		t.Errorf("Fingerprint = %s, want %s", got, want)
	}
}

// TestLeafExactlyForTheSet: after any sequence of sets, a host has a
// certificate exactly if it is in the last one.
func TestLeafExactlyForTheSet(t *testing.T) {
	all := []string{"a.example", "b.a.example", "b.example", "192.0.2.1", "2001:db8::1"}
	a := mustOpen(t, newOptions(t))
	rapid.Check(t, func(t *rapid.T) {
		set := rapid.SliceOfN(rapid.SampledFrom(all), 0, 6).Draw(t, "set")
		if err := a.SetHosts(set); err != nil {
			t.Fatal(err)
		}
		for _, host := range all {
			cert, err := a.Leaf(host)
			if slices.Contains(set, host) != (err == nil) {
				t.Fatalf("set %v: Leaf(%q) = %v", set, host, err)
			}
			if err == nil && cert.Leaf.VerifyHostname(host) != nil {
				t.Fatalf("set %v: Leaf(%q) is for %v", set, host, cert.Leaf.DNSNames)
			}
		}
	})
}
