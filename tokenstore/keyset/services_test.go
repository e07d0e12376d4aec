package keyset_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"google.golang.org/api/option"
)

// errFakeCiphertext: the key or the associated data is another one.
var errFakeCiphertext = errors.New("it does not decrypt")

// fakeKeys are the keys inside a fake of a key management service. Their
// ciphertexts are bound to key and associated data.
type fakeKeys struct{ keys map[string]cipher.AEAD }

func newFakeKeys(t *testing.T, names ...string) *fakeKeys {
	k := &fakeKeys{keys: map[string]cipher.AEAD{}}
	for _, name := range names {
		secret := make([]byte, 32)
		rand.Read(secret)
		block, err := aes.NewCipher(secret)
		if err != nil {
			t.Fatal(err)
		}
		if k.keys[name], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func (k *fakeKeys) has(name string) bool { return k.keys[name] != nil }

func (k *fakeKeys) encrypt(name string, plaintext []byte, associated string) []byte {
	return k.keys[name].Seal(nil, nil, plaintext, []byte(associated))
}

func (k *fakeKeys) decrypt(name string, ciphertext []byte, associated string) ([]byte, error) {
	plaintext, err := k.keys[name].Open(nil, nil, ciphertext, []byte(associated))
	if err != nil {
		return nil, errFakeCiphertext
	}
	return plaintext, nil
}

// fake is a key management service on 127.0.0.1, over TLS. The protocol is that
// of its handler.
type fake struct {
	name                string
	uri, other, missing string // key URIs: of two keys that it has, and of one that it hasn't

	keys   *fakeKeys
	key    string // that of uri, in keys
	seal   func(ciphertext []byte) []byte
	server *httptest.Server
	google []option.ClientOption

	calls  atomic.Int64
	denied atomic.Bool                      // all access
	answer atomic.Pointer[http.HandlerFunc] // instead of the service's
}

// serve starts the fake, and gives the certificate that clients must trust.
func (f *fake) serve(t *testing.T, service http.Handler) (caFile string) {
	t.Helper()
	f.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.calls.Add(1)
		if instead := f.answer.Load(); instead != nil {
			(*instead)(w, r)
			return
		}
		service.ServeHTTP(w, r)
	}))
	f.server.EnableHTTP2 = true
	f.server.Config.ErrorLog = quiet
	f.server.StartTLS()
	t.Cleanup(f.server.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: f.server.Certificate().Raw}
	if err := os.WriteFile(caFile, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return caFile
}

func (f *fake) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(f.server.Certificate())
	return p
}

// instead makes the service answer every call in that way; nil ends it.
func (f *fake) instead(h http.HandlerFunc) {
	if h == nil {
		f.answer.Store(nil)
		return
	}
	f.answer.Store(&h)
}

// services starts each fake in turn, for a subtest.
func services(t *testing.T, test func(t *testing.T, f *fake)) {
	for name, start := range map[string]func(*testing.T) *fake{
		"aws": startAWS, "google": startGoogle, "vault": startVault,
	} {
		t.Run(name, func(t *testing.T) { test(t, start(t)) })
	}
}

// Answers that no service should give.

// reflected stands for what a service may quote, and no error may.
const reflected = "hunter2"

func outOfOrder(w http.ResponseWriter, r *http.Request) {
	http.Error(w, reflected, http.StatusServiceUnavailable)
}

func html(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprintf(w, "<html><title>%s</title>Please sign in", reflected)
}

func truncated(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	w.Header().Set("Content-Length", "1000")
	fmt.Fprintf(w, `{"Plaintext":"%s`, reflected)
}

func empty(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	fmt.Fprint(w, `{}`)
}

func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	fmt.Fprint(w, `{"Plaintext":"`)
	line := make([]byte, 1<<16)
	for i := range line {
		line[i] = 'A'
	}
	for r.Context().Err() == nil {
		if _, err := w.Write(line); err != nil {
			return
		}
	}
}

func hanging(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // or the server doesn't see the client go
	<-r.Context().Done()
}
