package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"
)

// operatorRoot is the template of an authority as an operator might bring it.
func operatorRoot() *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Acme Root"},
		NotBefore:             time.Now().Add(-10 * time.Minute),
		NotAfter:              time.Now().Add(90 * day),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            -1,
		KeyUsage:              x509.KeyUsageCertSign,
	}
}

func p256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signed is template signed by issuer's key, as PEM.
func signed(t *testing.T, template, issuer *x509.Certificate, key crypto.Signer, issuerKey crypto.Signer) (*x509.Certificate, []byte) {
	t.Helper()
	cert, err := sign(template, issuer, key.Public(), issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	return cert, encodeCertificate(cert)
}

func pkcs8(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestImport(t *testing.T) {
	ec, rsa2048 := p256(t), rsaKey(t, 2048)
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		key    crypto.Signer
		keyPEM []byte
	}{
		"ECDSA, PKCS #8":                {ec, pkcs8(t, ec)},
		"ECDSA, SEC 1":                  {ec, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})},
		"ECDSA, SEC 1 after parameters": {ec, append(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 0}}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})...)},
		"RSA, PKCS #8":                  {rsa2048, pkcs8(t, rsa2048)},
		"RSA, PKCS #1":                  {rsa2048, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsa2048)})},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOptions(t)
			cert, certPEM := signed(t, operatorRoot(), operatorRoot(), test.key, test.key)
			if err := Import(o, certPEM, test.keyPEM); err != nil {
				t.Fatal(err)
			}
			a := mustOpen(t, o)
			if !a.Root().Equal(cert) {
				t.Error("the root is not the one imported")
			}
			if err := a.SetHosts([]string{"a.example"}); err != nil {
				t.Fatal(err)
			}
			leaf := mustLeaf(t, a, "a.example")
			if err := handshake(a, leaf, "a.example"); err != nil {
				t.Error(err)
			}
			if leaf.Leaf.NotBefore.Before(cert.NotBefore) {
				t.Errorf("the leaf begins at %v, before its root at %v", leaf.Leaf.NotBefore, cert.NotBefore)
			}
		})
	}
}

// TestImportSubordinate: clients trust either the subordinate in ca.pem or the
// company's root above it, which the gateway never sees.
func TestImportSubordinate(t *testing.T) {
	companyKey, key := p256(t), p256(t)
	company, _ := signed(t, operatorRoot(), operatorRoot(), companyKey, companyKey)
	template := operatorRoot()
	template.Subject.CommonName = "Acme Jira gateway"
	_, certPEM := signed(t, template, company, key, companyKey)
	o := newOptions(t)
	if err := Import(o, certPEM, pkcs8(t, key)); err != nil {
		t.Fatal(err)
	}
	a := mustOpen(t, o)
	if err := a.SetHosts([]string{"a.example"}); err != nil {
		t.Fatal(err)
	}
	leaf := mustLeaf(t, a, "a.example")
	if err := handshake(a, leaf, "a.example"); err != nil {
		t.Errorf("a client that trusts the subordinate: %v", err)
	}
	opts := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), DNSName: "a.example"}
	opts.Roots.AddCert(company)
	for _, der := range leaf.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		opts.Intermediates.AddCert(c)
	}
	if _, err := leaf.Leaf.Verify(opts); err != nil {
		t.Errorf("a client that trusts the company's root: %v", err)
	}
}

// TestImportedRootForbidsAHost: what the operator's authority may not vouch for
// is said here, not by a client's handshake error.
func TestImportedRootForbidsAHost(t *testing.T) {
	template := operatorRoot()
	template.PermittedDNSDomainsCritical = true
	template.PermittedDNSDomains = []string{"acme.com"}
	key := p256(t)
	_, certPEM := signed(t, template, template, key, key)
	o := newOptions(t)
	if err := Import(o, certPEM, pkcs8(t, key)); err != nil {
		t.Fatal(err)
	}
	a := mustOpen(t, o)
	if err := a.SetHosts([]string{"jira.acme.com", "acme.atlassian.net"}); err != nil {
		t.Fatal(err)
	}
	mustLeaf(t, a, "jira.acme.com")
	if _, err := a.Leaf("acme.atlassian.net"); err == nil || !strings.Contains(err.Error(), "does not vouch") {
		t.Errorf("Leaf = %v", err)
	}
}

func TestImportRefuses(t *testing.T) {
	key := p256(t)
	_, good := signed(t, operatorRoot(), operatorRoot(), key, key)
	with := func(change func(*x509.Certificate)) []byte {
		template := operatorRoot()
		change(template)
		_, certPEM := signed(t, template, template, key, key)
		return certPEM
	}
	weak, edwards := rsaKey(t, 1024), ed25519.NewKeyFromSeed(make([]byte, 32))
	_, weakCert := signed(t, operatorRoot(), operatorRoot(), weak, weak)
	_, edwardsCert := signed(t, operatorRoot(), operatorRoot(), edwards, edwards)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, p224Cert := signed(t, operatorRoot(), operatorRoot(), p224, p224)
	// It names itself as its issuer, but another key signed it.
	_, forgedCert := signed(t, operatorRoot(), operatorRoot(), key, p256(t))

	for _, test := range []struct {
		name      string
		cert, key []byte
		want      string
	}{
		{"not an authority", with(func(c *x509.Certificate) { c.IsCA, c.KeyUsage, c.MaxPathLen = false, x509.KeyUsageDigitalSignature, 0 }), pkcs8(t, key), "CA:TRUE"},
		{"path length 0", with(func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true }), pkcs8(t, key), "path length 0"},
		{"no keyCertSign", with(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), pkcs8(t, key), "keyCertSign"},
		{"for clients only", with(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), pkcs8(t, key), "serverAuth"},
		{"unknown critical extension", with(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}), pkcs8(t, key), "1.2.3.4"},
		{"expired", with(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(0, 0), time.Now().Add(-time.Hour) }), pkcs8(t, key), "does not include now"},
		{"not yet valid", with(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), pkcs8(t, key), "does not include now"},
		{"signature by another key", forgedCert, pkcs8(t, key), "signature does not verify"},
		{"weak RSA", weakCert, pkcs8(t, weak), "1024 bits"},
		{"Ed25519", edwardsCert, pkcs8(t, edwards), "Ed25519"},
		{"P-224", p224Cert, pkcs8(t, p224), "P-224"},
		{"another's key", good, pkcs8(t, p256(t)), "not that of the certificate"},
		{"key encrypted", good, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}}), "openssl pkey"},
		{"key encrypted the old way", good, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte{1}}), "openssl pkey"},
		{"key damaged", good, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("not a key")}), "damaged"},
		{"key of no signature scheme", good, x25519PEM(), "damaged or of an unknown kind"},
		{"certificate for a key", good, good, "not a private key"},
		{"no key", good, nil, "no PEM block"},
		{"two keys", good, append(pkcs8(t, key), pkcs8(t, key)...), "more after"},
		{"key for a certificate", pkcs8(t, key), pkcs8(t, key), "stands where"},
		{"no certificate", nil, pkcs8(t, key), "missing"},
		{"two certificates", append(good, good...), pkcs8(t, key), "more after"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOptions(t)
			err := Import(o, test.cert, test.key)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Import = %v, want %q in it", err, test.want)
			}
			if _, _, err := ReadRoots(o.Dir); err == nil {
				t.Error("something was stored all the same")
			}
		})
	}
}

// x25519PEM is a PKCS #8 key (RFC 8410, section 7) that cannot sign.
func x25519PEM() []byte {
	der := append([]byte{0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20}, make([]byte, 32)...)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// TestImportReplaces only when told to, and recovers from a crash on the way.
func TestImportReplaces(t *testing.T) {
	o := newOptions(t)
	old := mustOpen(t, o)
	key := p256(t)
	cert, certPEM := signed(t, operatorRoot(), operatorRoot(), key, key)
	if err := Import(o, certPEM, pkcs8(t, key)); !errors.Is(err, ErrRootExists) {
		t.Fatalf("Import over a root: %v, want ErrRootExists", err)
	}
	if !mustOpen(t, o).Root().Equal(old.Root()) {
		t.Fatal("a refused import changed the root")
	}
	o.Replace = true
	if err := Import(o, certPEM, pkcs8(t, key)); err != nil {
		t.Fatal(err)
	}
	if !mustOpen(t, o).Root().Equal(cert) {
		t.Error("the root is not the one imported")
	}
}
