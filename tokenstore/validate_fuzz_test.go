package tokenstore_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"jiragate/tokenstore"
)

// FuzzCertificateSAN: a name that a client may be given is one that a certificate can show,
// in the one spelling in which it is compared.
func FuzzCertificateSAN(f *testing.F) {
	for _, san := range []string{
		"dns:station.example", "dns:STATION.example", "dns:*.example", "dns:", "uri:spiffe://acme.example/ns/reports", "uri:spiffe://acme.example/%6Es", "uri:urn:x", "uri:/x",
		"uri:https://user@h/", "uri:https://h/\x1b", "station.example", "ip:127.0.0.1", "uri:HTTP://h",
	} {
		f.Add(san)
	}
	f.Fuzz(func(t *testing.T, san string) {
		c := tokenstore.Client{Name: "station", CertificateSANs: []string{san}, Connections: []string{"acme"}, CreatedAt: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
		if err := c.Validate(); err != nil {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("error %q", err)
			}
			return
		}
		kind, name, _ := strings.Cut(san, ":")
		switch kind {
		case "dns":
			if name == "" || name != strings.ToLower(name) || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
				t.Errorf("%q can be a DNS name of a certificate", san)
			}
		case "uri":
			if u, err := url.Parse(name); err != nil || u.String() != name || !u.IsAbs() {
				t.Errorf("%q can be a URI of a certificate", san)
			}
		default:
			t.Errorf("%q can be a name of a certificate", san)
		}
	})
}

// FuzzUpstreamCA: PEM that a connection takes is whole certificates up to its end; an error
// steers no terminal.
func FuzzUpstreamCA(f *testing.F) {
	for _, text := range []string{
		"", " ", "no PEM", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\nUzNjcmV0\n-----END PRIVATE KEY-----\n",
		"-----BEGIN \x1b[31m-----\n-----END \x1b[31m-----\n",
	} {
		f.Add(text)
	}
	whole := string(selfSigned(f))
	f.Add(whole)
	f.Add(whole + whole + "\n")
	f.Add(whole + "more")
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		c := tokenstore.Connection{
			ID: "dc", Edition: "datacenter", BaseURL: "https://jira.acme.example", Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindPAT,
			State: tokenstore.StateActive, StateSince: at, CreatedAt: at, UpdatedAt: at, UpstreamCA: text,
		}
		err := c.Validate()
		if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("error %q", err)
		}
		if (text == "" || text == whole) && err != nil {
			t.Errorf("%q is refused: %v", text, err)
		}
		if err == nil && text != "" && (!strings.Contains(text, "-----BEGIN CERTIFICATE-----") || !strings.Contains(text, "-----END CERTIFICATE-----")) {
			t.Errorf("%q is taken", text)
		}
	})
}

// selfSigned is a certificate in PEM.
func selfSigned(f *testing.F) []byte {
	f.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		f.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
