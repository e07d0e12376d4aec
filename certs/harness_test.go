package certs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
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

// intermediateOf is the present intermediate of host, made if need be.
func intermediateOf(t interface{ Fatal(...any) }, a *Authority, host string) *intermediate {
	if _, err := a.Leaf(host); err != nil {
		t.Fatal(err)
	}
	is, err := a.find(host)
	if err != nil || is == nil {
		t.Fatal("nothing is cached for", host, err)
	}
	return is.by
}

// watched is a sealer that counts the unsealings of the root's key, fails while
// err is set, and calls during in the middle of one.
type watched struct {
	Sealer
	unsealed atomic.Int64
	err      error
	during   func()
}

func (w *watched) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	w.unsealed.Add(1)
	if w.during != nil {
		w.during()
	}
	if w.err != nil {
		return nil, w.err
	}
	return w.Sealer.Decrypt(ciphertext, associatedData)
}

func newWatched(t testing.TB, o Options) (*Authority, *watched) {
	t.Helper()
	w := &watched{Sealer: o.Sealer}
	o.Sealer = w
	return mustOpen(t, o), w
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
