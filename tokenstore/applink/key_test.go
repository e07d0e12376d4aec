package applink_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/secret"
)

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestKeys(t *testing.T) {
	whole := newKey().Reveal()
	block, _ := pem.Decode([]byte(whole))
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key := parsed.(*rsa.PrivateKey)
	if bits := key.N.BitLen(); bits < 2048 {
		t.Errorf("a new key has %d bits", bits)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	ec := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for _, row := range []struct {
		name, pem, problem string // no problem: good
	}{
		{"new", whole, ""},
		{"PKCS#1", pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), ""},
		{"space around", "\n" + whole + " \r\n\n", ""},
		{"nothing", "", "not in PEM"},
		{"no PEM", "SECRET", "not in PEM"},
		{"two", whole + whole, "something after"},
		{"certificate", pemOf("CERTIFICATE", block.Bytes), "neither"},
		{"public", pemOf("PUBLIC KEY", block.Bytes), "neither"},
		{"damaged", pemOf("PRIVATE KEY", block.Bytes[:100]), "damaged"},
		{"mislabelled", pemOf("RSA PRIVATE KEY", block.Bytes), "damaged"},
		{"rubbish", pemOf("PRIVATE KEY", []byte("SECRET")), "damaged"},
		{"encrypted", pemOf("ENCRYPTED PRIVATE KEY", []byte("SECRET")), "encrypted"},
		{"encrypted, the old way", strings.Replace(pemOf("RSA PRIVATE KEY", block.Bytes), "-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1), "encrypted"},
		{"small", pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small)), "1024 bits"},
		{"elliptic", pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ec))), "not RSA"},
	} {
		err := applink.CheckKey(secret.New(row.pem))
		if row.problem == "" {
			if err != nil {
				t.Errorf("%s: %v", row.name, err)
			}
			continue
		}
		if !errors.Is(err, applink.ErrKey) || !strings.Contains(err.Error(), row.problem) {
			t.Errorf("%s: %v, want %q", row.name, err, row.problem)
		}
		wantNoSecret(t, err, "SECRET", "MII")
		if _, err := applink.PublicKey(secret.New(row.pem)); !errors.Is(err, applink.ErrKey) {
			t.Errorf("%s: its public key: %v", row.name, err)
		}
	}
}

func TestPublicKey(t *testing.T) {
	public, err := applink.PublicKey(newKey())
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode([]byte(public))
	if block == nil || block.Type != "PUBLIC KEY" || len(rest) != 0 {
		t.Fatalf("public key %q", public)
	}
	if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
		t.Error(err)
	}
}
