package keyset_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/secret"
)

func newKeyset(t *testing.T) *keyset.Keyset {
	t.Helper()
	k, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rotated(t *testing.T, k *keyset.Keyset) *keyset.Keyset {
	t.Helper()
	r, err := k.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func seal(t *testing.T, k tink.AEAD, text string) []byte {
	t.Helper()
	c, err := k.Encrypt([]byte(text), []byte("associated"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func opens(k tink.AEAD, ciphertext []byte) (string, bool) {
	p, err := k.Decrypt(ciphertext, []byte("associated"))
	return string(p), err == nil
}

func TestRotationKeepsOldRecordsReadable(t *testing.T) {
	first := newKeyset(t)
	old := seal(t, first, "sealed before")
	second := rotated(t, first)
	third := rotated(t, second)

	if first.PrimaryKeyID() == second.PrimaryKeyID() || second.PrimaryKeyID() == third.PrimaryKeyID() {
		t.Error("rotating does not change the primary key")
	}
	for name, k := range map[string]*keyset.Keyset{"second": second, "third": third} {
		if got, ok := opens(k, old); !ok || got != "sealed before" {
			t.Errorf("the %s keyset does not open what the first sealed", name)
		}
	}
	young := seal(t, third, "sealed after")
	if _, ok := opens(first, young); ok {
		t.Error("the first keyset opens what the third sealed")
	}
	if _, ok := opens(newKeyset(t), old); ok {
		t.Error("another keyset opens it")
	}
}

func TestCiphertextsBeginWithTheKeyID(t *testing.T) {
	k := rotated(t, newKeyset(t))
	c := seal(t, k, "text")
	if c[0] != 1 || binary.BigEndian.Uint32(c[1:5]) != k.PrimaryKeyID() {
		t.Errorf("it begins with % x, the primary key is %08x", c[:5], k.PrimaryKeyID())
	}
}

func TestJSONRoundTrip(t *testing.T) {
	k := rotated(t, newKeyset(t))
	s, err := k.JSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := keyset.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := opens(again, seal(t, k, "text")); !ok || got != "text" || again.PrimaryKeyID() != k.PrimaryKeyID() {
		t.Error("what was written and read again is another keyset")
	}
}

func TestParseRefuses(t *testing.T) {
	k := newKeyset(t)
	s, err := k.JSON()
	if err != nil {
		t.Fatal(err)
	}
	good := s.Reveal()
	tests := map[string]string{
		"nothing":            "",
		"something else":     "hunter2",
		"an empty object":    "{}",
		"half a keyset":      good[:len(good)/2],
		"no keys":            `{"primaryKeyId":1,"key":[]}`,
		"a primary not in":   strings.Replace(good, fmt.Sprint(k.PrimaryKeyID()), "1", 1),
		"AES-128":            foreign(t, aead.AES128GCMKeyTemplate()),
		"ChaCha20":           foreign(t, aead.ChaCha20Poly1305KeyTemplate()),
		"keys without an id": foreign(t, aead.AES256GCMNoPrefixKeyTemplate()),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			k, err := keyset.Parse(secret.New(text))
			if err == nil {
				t.Fatalf("it is taken as %v", k)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), keyMaterial(t, good)) {
				t.Errorf("error %q quotes what was given", err)
			}
		})
	}
}

// foreign returns a keyset of another kind.
func foreign(t *testing.T, template *tinkpb.KeyTemplate) string {
	t.Helper()
	h, err := tinkkeyset.NewHandle(template)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, tinkkeyset.NewJSONWriter(&b)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// keyMaterial returns the base64 of the first key in a keyset.
func keyMaterial(t *testing.T, keysetJSON string) string {
	t.Helper()
	var k struct {
		Key []struct {
			KeyData struct {
				Value string `json:"value"`
			} `json:"keyData"`
		} `json:"key"`
	}
	if err := json.Unmarshal([]byte(keysetJSON), &k); err != nil || len(k.Key) == 0 || len(k.Key[0].KeyData.Value) < 32 {
		t.Fatalf("no key in the keyset: %v", err)
	}
	return k.Key[0].KeyData.Value
}

func TestKeysetsPrintWithoutKeys(t *testing.T) {
	k := newKeyset(t)
	s, err := k.JSON()
	if err != nil {
		t.Fatal(err)
	}
	material := keyMaterial(t, s.Reveal())
	for _, v := range []any{k, *k, struct{ k *keyset.Keyset }{k}, []*keyset.Keyset{k}, s} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, material) {
				t.Errorf("%s prints a key: %s", verb, got)
			}
		}
	}
	if got, want := fmt.Sprint(k), fmt.Sprintf("keyset(1 keys, primary %d)", k.PrimaryKeyID()); got != want {
		t.Errorf("it prints %q, want %q", got, want)
	}
}
