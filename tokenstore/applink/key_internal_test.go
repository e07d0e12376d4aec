package applink

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"jiragate/tokenstore/secret"
)

// FuzzKey: what is taken as a private key is an RSA key of a size that is allowed, with a
// public half; what isn't is refused in words that quote nothing.
func FuzzKey(f *testing.F) {
	whole, err := NewKey()
	if err != nil {
		f.Fatal(err)
	}
	block, _ := pem.Decode([]byte(whole.Reveal()))
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		f.Fatal(err)
	}
	of := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	for _, text := range []string{
		whole.Reveal(), whole.Reveal() + "more", "before\n" + whole.Reveal(), strings.ReplaceAll(whole.Reveal(), "\n", "\r\n"), of("RSA PRIVATE KEY", block.Bytes),
		of("PRIVATE KEY", der), of("PRIVATE KEY", block.Bytes[:100]), of("ENCRYPTED PRIVATE KEY", nil), of("S3cretS3cret", nil), "S3cretS3cret", "",
		"-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: S3cretS3cret\n\n-----END RSA PRIVATE KEY-----\n",
	} {
		f.Add(text)
	}
	said := map[string]bool{}
	for _, why := range []string{
		"it is not in PEM", "there is something after its PEM block", "it is encrypted: give it without a passphrase", "its PEM block is neither PRIVATE KEY nor RSA PRIVATE KEY",
		"it is damaged, or not what its PEM block says", "it is not RSA, the only kind that Jira takes",
	} {
		said[ErrKey.Error()+": "+why] = true
	}
	f.Fuzz(func(t *testing.T, text string) {
		private := secret.New(text)
		key, err := parseKey(private)
		if err != nil {
			if !errors.Is(err, ErrKey) || !said[err.Error()] && !strings.HasSuffix(err.Error(), " bits: use 2048 to 8192") {
				t.Errorf("error %q", err)
			}
			return
		}
		if bits := key.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
			t.Errorf("a key of %d bits", bits)
		}
		if public, err := PublicKey(private); err != nil || !strings.HasPrefix(public, "-----BEGIN PUBLIC KEY-----\n") {
			t.Errorf("its public half is %q: %v", public, err)
		}
	})
}
