package signer

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

const name = "jiragate/us"

// made is when the keys of these tests were made.
var made = time.Date(2026, time.November, 23, 10, 0, 0, 0, time.UTC)

// ring is a Tink keyset whose keys come and go, as that of a gateway.
type ring struct {
	manager *keyset.Manager
	current atomic.Pointer[Sealer]
}

func newRing() (*ring, error) {
	r := &ring{manager: keyset.NewManager()}
	_, err := r.rotate()
	return r, err
}

func (r *ring) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	return (*r.current.Load()).Encrypt(plaintext, associatedData)
}

func (r *ring) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	return (*r.current.Load()).Decrypt(ciphertext, associatedData)
}

func (r *ring) use() error {
	h, err := r.manager.Handle()
	if err != nil {
		return err
	}
	a, err := aead.New(h)
	if err != nil {
		return err
	}
	s := Sealer(a)
	r.current.Store(&s)
	return nil
}

func (r *ring) rotate() (uint32, error) {
	id, err := r.manager.Add(aead.AES256GCMKeyTemplate())
	return id, errors.Join(err, r.encryptWith(id))
}

func (r *ring) encryptWith(id uint32) error { return errors.Join(r.manager.SetPrimary(id), r.use()) }

func (r *ring) drop(id uint32) error { return errors.Join(r.manager.Delete(id), r.use()) }

// save and loadRing are for tests in which another process uses the keyset.
func (r *ring) save(t *testing.T, path string) {
	t.Helper()
	h, err := r.manager.Handle()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewBinaryWriter(&b)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, b.Bytes())
}

func loadRing(path string) (*ring, []uint32, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	h, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(data)))
	if err != nil {
		return nil, nil, err
	}
	var ids []uint32
	for i := range h.Len() {
		e, err := h.Entry(i)
		if err != nil {
			return nil, nil, err
		}
		ids = append(ids, e.KeyID())
	}
	r := &ring{manager: keyset.NewManagerFromHandle(h)}
	return r, ids, r.use()
}

func newOptions(t testing.TB) (Options, *ring) {
	t.Helper()
	r, err := newRing()
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Path:   filepath.Join(t.TempDir(), "data", "audit-key.json"),
		Sealer: r,
		Name:   name,
		Now:    func() time.Time { return made },
	}, r
}

func mustOpen(t testing.TB, o Options) *Key {
	t.Helper()
	k, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustSign(t testing.TB, k *Key, text string) []byte {
	t.Helper()
	signed, err := k.Sign([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// The private keys of the first two test vectors of RFC 8032, section 7.1.
var seeds = []string{
	"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
}

// entryOf is the entry of a known key.
func entryOf(t testing.TB, seed, name string, sealer Sealer) entry {
	t.Helper()
	raw, err := hex.DecodeString(seed)
	if err != nil {
		t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(raw)
	id, err := newIdentity(name, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := private{id, key}.seal(sealer)
	if err != nil {
		t.Fatal(err)
	}
	return entry{id, made, sealed, ""}
}

// put makes entries the content of o's file.
func put(t testing.TB, o Options, entries ...entry) {
	t.Helper()
	content, err := format(entries)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, o.Path, content)
}

// putBoth makes the two known keys the content of o's file, the first one first.
func putBoth(t testing.TB, o Options) []entry {
	t.Helper()
	entries := []entry{entryOf(t, seeds[0], o.Name, o.Sealer), entryOf(t, seeds[1], o.Name, o.Sealer)}
	put(t, o, entries...)
	return entries
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// alone checks that the folder of path holds nothing else.
func alone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("the folder holds %v (%v), want the file alone", entries, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != fs.FileMode(0o600) {
		t.Errorf("the file: %v, %v", info, err)
	}
}

// witness is a sealer that remembers what was in clear: the slices themselves,
// and copies of them.
type witness struct {
	Sealer
	mu     sync.Mutex
	lent   [][]byte
	copies [][]byte
}

func (w *witness) see(clear []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lent, w.copies = append(w.lent, clear), append(w.copies, bytes.Clone(clear))
}

func (w *witness) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	w.see(plaintext)
	return w.Sealer.Encrypt(plaintext, associatedData)
}

func (w *witness) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	plaintext, err := w.Sealer.Decrypt(ciphertext, associatedData)
	if err == nil {
		w.see(plaintext)
	}
	return plaintext, err
}

// rotateClosed rotates the key of a file of which no Key is open.
func rotateClosed(o Options) (verifier string, err error) {
	k, err := Open(o)
	if err != nil {
		return "", err
	}
	return k.Rotate()
}
