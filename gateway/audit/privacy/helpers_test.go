package privacy_test

import (
	"path/filepath"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"jiragate/gateway/audit/privacy"
)

// ring is a Tink keyset whose keys come and go, as that of a gateway.
type ring struct {
	manager *keyset.Manager
	privacy.Sealer
}

func newRing(t testing.TB) *ring {
	t.Helper()
	r := &ring{manager: keyset.NewManager()}
	r.rotate(t)
	return r
}

func (r *ring) rotate(t testing.TB) uint32 {
	t.Helper()
	id, err := r.manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.manager.SetPrimary(id); err != nil {
		t.Fatal(err)
	}
	r.use(t)
	return id
}

func (r *ring) drop(t testing.TB, id uint32) {
	t.Helper()
	if err := r.manager.Delete(id); err != nil {
		t.Fatal(err)
	}
	r.use(t)
}

func (r *ring) use(t testing.TB) {
	t.Helper()
	h, err := r.manager.Handle()
	if err != nil {
		t.Fatal(err)
	}
	if r.Sealer, err = aead.New(h); err != nil {
		t.Fatal(err)
	}
}

func keyFile(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "data", "audit-pseudonyms.json")
}

func open(t testing.TB, path string, sealer privacy.Sealer, identifiers, clientAddr privacy.Mode) *privacy.Masker {
	t.Helper()
	m, err := privacy.Open(privacy.Options{Identifiers: identifiers, ClientAddr: clientAddr, Path: path, Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
