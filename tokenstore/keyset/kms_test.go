package keyset_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"

	"jiragate/tokenstore/keyset"
)

func (f *fake) options(file string) keyset.Options {
	return keyset.Options{Create: true, EncryptedFile: file}.ForTest(0, f.google...)
}

func newFile(t *testing.T) string { return filepath.Join(t.TempDir(), "data", "keyset.json") }

func openLive(t *testing.T, uri string, o keyset.Options) *keyset.Live {
	t.Helper()
	l, err := keyset.Open(t.Context(), uri, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func sealLive(t *testing.T, l *keyset.Live, text string) []byte {
	t.Helper()
	c, err := l.Encrypt([]byte(text), []byte("associated"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func opensLive(l *keyset.Live, ciphertext []byte) bool {
	_, err := l.Decrypt(ciphertext, []byte("associated"))
	return err == nil
}

func TestServiceCreatesAndReopens(t *testing.T) {
	services(t, func(t *testing.T, f *fake) {
		file := newFile(t)
		o := f.options(file)
		o.Create = false
		if _, err := keyset.Open(t.Context(), f.uri, o); !errors.Is(err, fs.ErrNotExist) || f.calls.Load() != 0 {
			t.Fatalf("without Create: error %v after %d calls, want ErrNotExist and none", err, f.calls.Load())
		}
		first := openLive(t, f.uri, f.options(file))
		if n := f.calls.Swap(0); n != 2 {
			t.Errorf("making the keyset takes %d calls, want 2", n)
		}
		c := sealLive(t, first, "text")
		for range 100 {
			if !opensLive(first, c) {
				t.Fatal("it does not open what it sealed")
			}
		}
		if n := f.calls.Load(); n != 0 {
			t.Errorf("sealing and opening take %d calls", n)
		}
		o.Create = false
		again := openLive(t, f.uri, o)
		if n := f.calls.Load(); n != 1 {
			t.Errorf("opening the keyset takes %d calls, want 1", n)
		}
		if !opensLive(again, c) {
			t.Error("opened again it is another keyset")
		}
		// The form without //.
		scheme, rest, _ := strings.Cut(f.uri, "://")
		if !opensLive(openLive(t, scheme+":"+rest, o), c) {
			t.Error("without // it is another keyset")
		}
		for name, want := range map[string]fs.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s has mode %v, %v; want %v", name, info.Mode(), err, want)
			}
		}
	})
}

// rawAEAD is a key inside a fake, as Tink takes it, without the protocol.
type rawAEAD struct{ f *fake }

func (a rawAEAD) associated(ad []byte) string {
	if a.f.name == "aws" {
		return "associatedData=" + hex.EncodeToString(ad) + ";"
	}
	return string(ad)
}

func (a rawAEAD) Encrypt(plaintext, ad []byte) ([]byte, error) {
	return a.f.seal(a.f.keys.encrypt(a.f.key, plaintext, a.associated(ad))), nil
}

func (a rawAEAD) Decrypt(ciphertext, ad []byte) ([]byte, error) {
	b, ok := bytes.CutPrefix(ciphertext, a.f.seal(nil))
	if !ok {
		return nil, errors.New("it has another form")
	}
	if a.f.name == "vault" {
		var err error
		if b, err = base64.StdEncoding.DecodeString(string(b)); err != nil {
			return nil, err
		}
	}
	return a.f.keys.decrypt(a.f.key, b, a.associated(ad))
}

// What is in the file is Tink's encrypted keyset, and nothing of the keys.
func TestServiceFileIsTinks(t *testing.T) {
	services(t, func(t *testing.T, f *fake) {
		file := newFile(t)
		l := openLive(t, f.uri, f.options(file))
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		h, err := tinkkeyset.ReadWithAssociatedData(tinkkeyset.NewJSONReader(bytes.NewReader(content)), rawAEAD{f}, []byte("jiragate keyset"))
		if err != nil {
			t.Fatalf("Tink does not read it: %v", err)
		}
		if primary, err := h.Primary(); err != nil || primary.KeyID() != l.PrimaryKeyID() {
			t.Errorf("Tink reads another keyset, %v", err)
		}
		var shown struct {
			EncryptedKeyset []byte
			KeysetInfo      struct{ PrimaryKeyID uint32 }
		}
		if err := json.Unmarshal(content, &shown); err != nil || len(shown.EncryptedKeyset) < 32 || shown.KeysetInfo.PrimaryKeyID != l.PrimaryKeyID() {
			t.Errorf("the file holds %s, %v", content, err)
		}
		if bytes.Contains(content, []byte(`"keyData"`)) {
			t.Error("keys lie in the file in clear")
		}
	})
}

// writeEncrypted writes an encrypted keyset file of the fake's own making.
func (f *fake) writeEncrypted(t *testing.T, file string, plaintext []byte, associated string) {
	t.Helper()
	c, err := rawAEAD{f}.Encrypt(plaintext, []byte(associated))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string][]byte{"encryptedKeyset": c})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestServiceRefusesFiles(t *testing.T) {
	services(t, func(t *testing.T, f *fake) {
		dir := t.TempDir()
		file := filepath.Join(dir, "keyset.json")
		openLive(t, f.uri, f.options(file))
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		inClear, err := newKeyset(t).JSON()
		if err != nil {
			t.Fatal(err)
		}
		var parts struct {
			EncryptedKeyset []byte          `json:"encryptedKeyset"`
			KeysetInfo      json.RawMessage `json:"keysetInfo"`
		}
		if err := json.Unmarshal(good, &parts); err != nil {
			t.Fatal(err)
		}
		last := len(parts.EncryptedKeyset) - 1
		if f.name == "vault" {
			last -= 4 // not in the padding of base64
		}
		parts.EncryptedKeyset[last] ^= 1
		tampered, err := json.Marshal(parts)
		if err != nil {
			t.Fatal(err)
		}
		write := func(b []byte) func() {
			return func() {
				if err := os.WriteFile(file, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, test := range []struct {
			name, uri string
			spoil     func()
			want      string
		}{
			{"another key", f.other, write(good), "another key"},
			{"a key that is not there", f.missing, write(good), "no such key"},
			{"changed", f.uri, write(tampered), "was changed"},
			{"cut", f.uri, write(good[:len(good)/2]), "not an encrypted Tink keyset"},
			{"empty", f.uri, write(nil), "not an encrypted Tink keyset"},
			{"an empty object", f.uri, write([]byte("{}")), "not an encrypted Tink keyset"},
			{"in clear", f.uri, write([]byte(inClear.Reveal())), "is in clear, although the key URI names a key management service"},
			{"encrypted as something else", f.uri, func() { f.writeEncrypted(t, file, []byte("anything"), "something else") }, "for something else"},
			{"not a keyset inside", f.uri, func() { f.writeEncrypted(t, file, []byte(reflected), "jiragate keyset") }, "not a Tink keyset"},
			{"nothing inside", f.uri, func() { f.writeEncrypted(t, file, nil, "jiragate keyset") }, "answer is empty"},
			{"of the group", f.uri, func() { write(good)(); _ = os.Chmod(file, 0o640) }, "chmod 0600"},
			{"encrypted, but named as a file", "file:" + file, func() { _ = os.Chmod(file, 0o600); write(good)() }, "is encrypted: name the key"},
		} {
			test.spoil()
			before, _ := os.ReadFile(file)
			_, err := keyset.Open(t.Context(), test.uri, f.options(file))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: error %v, want one that says %q", test.name, err, test.want)
			} else {
				saysNoSecret(t, err, inClear.Reveal())
			}
			if after, _ := os.ReadFile(file); !bytes.Equal(after, before) {
				t.Errorf("%s: the file was written to", test.name)
			}
		}
	})
}

// AWS KMS encrypts 4096 bytes at once, which bounds the number of keys; the
// error says so before anything is sent.
func TestAWSKeysetOfManyKeys(t *testing.T) {
	f := startAWS(t)
	l := openLive(t, f.uri, f.options(newFile(t)))
	for n := 2; ; n++ {
		before, calls := l.PrimaryKeyID(), f.calls.Load()
		_, err := l.Rotate(t.Context())
		if err == nil && n < 100 {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "drop old keys first") || f.calls.Load() != calls {
			t.Errorf("with %d keys: error %v", n, err)
		}
		if n < 20 {
			t.Errorf("there is room for %d keys only", n-1)
		}
		if l.PrimaryKeyID() != before {
			t.Error("it has another primary key")
		}
		break
	}
	if err := l.Drop(t.Context(), l.KeyIDs()[0]); err != nil {
		t.Error(err)
	}
	if _, err := l.Rotate(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestServiceRotation(t *testing.T) {
	services(t, func(t *testing.T, f *fake) {
		file := newFile(t)
		l := openLive(t, f.uri, f.options(file))
		old := sealLive(t, l, "text")
		if _, err := l.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		young := sealLive(t, l, "text")
		again := openLive(t, f.uri, f.options(file))
		if !opensLive(again, old) || !opensLive(again, young) || again.PrimaryKeyID() != l.PrimaryKeyID() {
			t.Error("the file has another keyset than the one in use")
		}

		// The service is lost, before or after it has encrypted: nothing changes.
		before, _ := os.ReadFile(file)
		f.instead(outOfOrder)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if _, err := l.Rotate(ctx); err == nil {
			t.Error("it rotates without the service")
		}
		f.instead(nil)
		f.denied.Store(true)
		if err := l.Drop(t.Context(), l.KeyIDs()[0]); err == nil {
			t.Error("it drops without the service")
		}
		f.denied.Store(false)
		if now, _ := os.ReadFile(file); !bytes.Equal(now, before) || l.PrimaryKeyID() != again.PrimaryKeyID() || !opensLive(l, old) {
			t.Error("a change that failed changed something")
		}
		if err := l.Drop(t.Context(), l.KeyIDs()[0]); err != nil {
			t.Fatal(err)
		}
		if last := openLive(t, f.uri, f.options(file)); opensLive(last, old) || !opensLive(last, young) {
			t.Error("the key is not gone from the file, or another one is")
		}
	})
}

// A keyset that the service would encrypt but no longer decrypt doesn't take
// the place of one that opens.
func TestServiceThatOnlyEncrypts(t *testing.T) {
	f := startVault(t)
	file := newFile(t)
	l := openLive(t, f.uri, f.options(file))
	before, _ := os.ReadFile(file)
	f.instead(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/decrypt/") {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"errors":["permission denied"]}`)
			return
		}
		vaultAnswer(f, w, r)
	})
	if _, err := l.Rotate(t.Context()); err == nil || !strings.Contains(err.Error(), "access is denied") {
		t.Errorf("error %v", err)
	}
	if now, _ := os.ReadFile(file); !bytes.Equal(now, before) {
		t.Error("the file was written to")
	}
}
