package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// FuzzOpen: whatever the two files hold, Open gives the root that was there or
// an error that names a file, and it never changes ca-key.pem.
func FuzzOpen(f *testing.F) {
	o := newOptions(f)
	before := mustOpen(f, o)
	cert, key := filepath.Join(o.Dir, certFile), filepath.Join(o.Dir, keyFile)
	certData, err := os.ReadFile(cert)
	if err != nil {
		f.Fatal(err)
	}
	keyData, err := os.ReadFile(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(certData, keyData)
	f.Add(certData, keyData[:len(keyData)/2])
	f.Add(keyData, certData)
	f.Add(certData, bytes.ReplaceAll(keyData, []byte("\n"), []byte("\r\n")))
	f.Add(append([]byte("# our root\n"), certData...), append(keyData, keyData...))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), []byte{})
	f.Fuzz(func(t *testing.T, certData, keyData []byte) {
		if err := os.WriteFile(cert, certData, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(key, keyData, 0o600); err != nil {
			t.Fatal(err)
		}
		after, err := Open(o)
		if err == nil && !after.Root().Equal(before.Root()) {
			t.Error("another root was accepted")
		}
		if err != nil && !strings.Contains(err.Error(), "ca.pem") && !strings.Contains(err.Error(), "ca-key.pem") {
			t.Errorf("no file is named: %v", err)
		}
		if now, err := os.ReadFile(key); err != nil || !bytes.Equal(now, keyData) {
			t.Error("ca-key.pem was changed")
		}
	})
}

// FuzzKeyFile: what is accepted as a key file means the same when it is written
// again.
func FuzzKeyFile(f *testing.F) {
	a := mustOpen(f, newOptions(f))
	f.Add(a.root.encodeKeyFile())
	f.Add(a.RootPEM())
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseKeyFile(keyFile, data, nil)
		if err != nil {
			return
		}
		again, err := parseKeyFile(keyFile, r.encodeKeyFile(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !again.cert.Equal(r.cert) || !bytes.Equal(again.sealed, r.sealed) {
			t.Error("changed by writing and reading it again")
		}
	})
}

// FuzzImport: no input makes it panic, and what is imported can be opened and
// can sign.
func FuzzImport(f *testing.F) {
	o := newOptions(f)
	cert, key, err := newRoot(time.Now())
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodeCertificate(cert), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	f.Add(encodeCertificate(cert), []byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte{}, []byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"))
	f.Fuzz(func(t *testing.T, certPEM, keyPEM []byte) {
		dir := o
		dir.Dir = t.TempDir()
		if err := Import(dir, certPEM, keyPEM); err != nil {
			return
		}
		a, err := Open(dir)
		if err != nil {
			t.Fatalf("imported, but does not open: %v", err)
		}
		if _, err := newIntermediate(a.root, "a.example", time.Now()); err != nil {
			t.Fatalf("imported, but cannot sign: %v", err)
		}
	})
}
