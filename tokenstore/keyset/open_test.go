package keyset_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"jiragate/tokenstore/keyset"
)

func TestOpenCreatesTheFileOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "keyset.json")
	uri := "file:" + path

	if _, err := keyset.Open(t.Context(), uri, keyset.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("without Create: error %v, want ErrNotExist", err)
	}
	first, err := keyset.Open(t.Context(), uri, keyset.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	again, err := keyset.Open(t.Context(), uri, keyset.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := opens(again, seal(t, first, "text")); !ok {
		t.Error("opened again it is another keyset")
	}
	for name, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %#o, want %#o", name, got, want)
		}
	}
}

// Gateways that start at the same moment must not each seal under a keyset of
// their own.
func TestOpenCreateRace(t *testing.T) {
	uri := "file:" + filepath.Join(t.TempDir(), "keyset.json")
	var (
		wg   sync.WaitGroup
		sets [8]*keyset.Live
	)
	for i := range sets {
		wg.Go(func() {
			var err error
			if sets[i], err = keyset.Open(t.Context(), uri, keyset.Options{Create: true}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	c := seal(t, sets[0], "text")
	for i, k := range sets {
		if _, ok := opens(k, c); !ok {
			t.Errorf("keyset #%d is another one", i)
		}
	}
}

func TestOpenRefusesFiles(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(path string) error
		want  string
	}{
		{"readable by the group", func(p string) error { return os.Chmod(p, 0o640) }, "run chmod 0600 "},
		{"readable by everybody", func(p string) error { return os.Chmod(p, 0o604) }, "run chmod 0600 "},
		{"a symbolic link", func(p string) error {
			return errors.Join(os.Rename(p, p+".real"), os.Symlink(p+".real", p))
		}, "symbolic link"},
		{"empty", func(p string) error { return os.Truncate(p, 0) }, "not a Tink keyset"},
		{"cut", func(p string) error { return os.Truncate(p, 100) }, "not a Tink keyset"},
		{"endless", func(p string) error { return os.Truncate(p, 1<<20) }, "longer than"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keyset.json")
			if _, err := keyset.Open(t.Context(), "file:"+path, keyset.Options{Create: true}); err != nil {
				t.Fatal(err)
			}
			if err := test.spoil(path); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = keyset.Open(t.Context(), "file:"+path, keyset.Options{Create: true})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want one that says %q and names the file", err, test.want)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the file was written to")
			}
		})
	}
}

func TestOpenFromTheEnvironment(t *testing.T) {
	k := newKeyset(t)
	s, err := k.JSON()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_KEYSET", s.Reveal())
	got, err := keyset.Open(t.Context(), "env:TEST_KEYSET", keyset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got.PrimaryKeyID() != k.PrimaryKeyID() {
		t.Error("it is another keyset")
	}
	if _, there := os.LookupEnv("TEST_KEYSET"); there {
		t.Error("the variable is still there for child processes to inherit")
	}

	if _, err := keyset.Open(t.Context(), "env:TEST_KEYSET", keyset.Options{Create: true}); err == nil || !strings.Contains(err.Error(), "TEST_KEYSET") {
		t.Errorf("without the variable: error %v", err)
	}
	t.Setenv("TEST_KEYSET", "hunter2")
	if _, err := keyset.Open(t.Context(), "env:TEST_KEYSET", keyset.Options{}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("not a keyset: error %v, want one that does not quote it", err)
	}
}

func TestOpenRefusesURIs(t *testing.T) {
	tests := map[string]string{
		"":                                    "use file:PATH or env:NAME",
		"keyset.json":                         "use file:PATH or env:NAME",
		"http://vault.example/key":            "use file:PATH or env:NAME",
		"FILE:/keyset.json":                   "use file:PATH or env:NAME",
		`{"primaryKeyId":1,"key":"hunter2"}`:  "use file:PATH or env:NAME",
		"file:":                               "names no file",
		"file://host/keyset.json":             "names a host",
		"env:":                                "not set",
		"env:THERE_IS_NO_SUCH_VARIABLE":       "THERE_IS_NO_SUCH_VARIABLE",
		"aws-kms:":                            "names no AWS key",
		"aws-kms:hunter2":                     "names no AWS key",
		"aws-kms:arn:aws:kms:us-east-1:1:k/a": "names no AWS key",
		"aws-kms:arn:aws:s3:us-east-1:123456789012:key/a":           "names no AWS key",
		"aws-kms://host/arn:aws:kms:us-east-1:123456789012:key/a":   "names no AWS key",
		"aws-kms:arn:aws:kms:us-east-1:123456789012:key/a\nhunter2": "names no AWS key",
		"gcp-kms:projects/p": "names no Google key",
		"gcp-kms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1":  "names no Google key",
		"gcp-kms:projects/p/locations/l/keyRings/r/cryptoKeys/../k":                   "names no Google key",
		"hcvault:vault.example/transit":                                               "names no Vault key",
		"hcvault:/transit/keys/k":                                                     "names no Vault key",
		"hcvault://:8200/transit/keys/k":                                              "names no Vault key",
		"hcvault://user:hunter2@vault.example/transit/keys/k":                         "names no Vault key",
		"hcvault://vault.example/transit/keys/k?a=hunter2":                            "names no Vault key",
		"hcvault://vault.example/transit/../keys/k":                                   "names no Vault key",
		"hcvault://vault.example/transit/keys/k%2Fhunter2":                            "names no Vault key",
		"aws-kms:arn:aws:kms:us-east-1:123456789012:key/a":                            "no file is named",
		"gcp-kms://projects/example.com:p/locations/global/keyRings/r/cryptoKeys/k":   "no file is named",
		"hcvault:[::1]:8200/team/transit/keys/k":                                      "no file is named",
		"aws-kms:arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/jiragate/keyset": "no file is named",
	}
	for uri, want := range tests {
		t.Run(uri, func(t *testing.T) {
			k, err := keyset.Open(t.Context(), uri, keyset.Options{Create: true})
			if err == nil {
				t.Fatalf("it opens %v", k)
			}
			if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %q, want one that says %q", err, want)
			}
		})
	}
}
