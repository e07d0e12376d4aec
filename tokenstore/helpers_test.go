package tokenstore_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
)

func cloud() tokenstore.Connection {
	return tokenstore.Connection{
		ID:             "acme",
		Edition:        policy.Cloud,
		SiteURL:        "https://acme.atlassian.net",
		CloudID:        "11223344-5566-7788-99aa-bbccddeeff00",
		Region:         tokenstore.RegionUS,
		CredentialKind: tokenstore.KindOAuth2,
		Scopes:         []string{"read:jira-work", "write:jira-work"},
		State:          tokenstore.StateActive,
	}
}

func dataCenter() tokenstore.Connection {
	return tokenstore.Connection{
		ID:             "umbrella",
		Edition:        policy.DataCenter,
		BaseURL:        "https://jira.umbrella.example/jira",
		Region:         tokenstore.RegionEU,
		CredentialKind: tokenstore.KindBasic,
		State:          tokenstore.StateActive,
	}
}

// certificate returns a self-signed certificate and its key, as PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "umbrella root"},
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}
