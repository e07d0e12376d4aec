package keyset_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jiragate/tokenstore/keyset"
)

// Whatever stands in a key URI, its error doesn't repeat: it may be a secret.
func FuzzServiceURI(f *testing.F) {
	for _, rest := range []string{
		"//arn:aws:kms:us-east-1:123456789012:key/a",
		"projects/p/locations/l/keyRings/r/cryptoKeys/k",
		"//vault.example:8200/transit/keys/k",
		"//user:hunter2hunter2@vault.example/transit/keys/k",
		"//[::1%25hunter2hunter2]/transit/keys/k",
	} {
		f.Add(rest)
	}
	fixed := []string{
		"use aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID",
		"use gcp-kms://projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY",
		"use hcvault://HOST:PORT/transit/keys/NAME",
		"no file is named for the encrypted keyset",
	}
	f.Fuzz(func(t *testing.T, rest string) {
		for _, scheme := range []string{"aws-kms", "gcp-kms", "hcvault"} {
			// Without a file nothing is called.
			l, err := keyset.Open(t.Context(), scheme+":"+rest, keyset.Options{Create: true})
			if err == nil {
				t.Fatalf("it opens %v", l)
			}
			says := err.Error()
			if _, other, _ := strings.Cut(says, ": "); !slices.Contains(fixed, other) {
				t.Errorf("error %q is not one of those that repeat nothing", says)
			}
		}
	})
}

// What opens as a keyset works as one; everything else is refused.
func FuzzFile(f *testing.F) {
	k, err := keyset.New()
	if err != nil {
		f.Fatal(err)
	}
	s, err := k.JSON()
	if err != nil {
		f.Fatal(err)
	}
	for _, content := range []string{"", "{}", s.Reveal(), s.Reveal()[:100], `{"encryptedKeyset":"aHVudGVyMg=="}`} {
		f.Add([]byte(content))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(dir, "keyset.json")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := keyset.Open(t.Context(), "file:"+path, keyset.Options{Create: true})
		if err != nil {
			return
		}
		c := sealLive(t, l, "text")
		if !opensLive(l, c) || keyOf(c) != l.PrimaryKeyID() {
			t.Error("it doesn't open what it seals")
		}
	})
}
