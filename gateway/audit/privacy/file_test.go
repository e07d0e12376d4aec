package privacy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"

	"jiragate/gateway/audit/privacy"
)

// After a rotation and a resealing the sealer's old key can go, and pseudonyms stay.
func TestReseal(t *testing.T) {
	ring, path := newRing(t), keyFile(t)
	if _, err := privacy.Reseal(path, ring); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	if _, _, err := privacy.SealedUnder(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	m := open(t, path, ring, privacy.Pseudonymise, privacy.Keep)
	before := m.Mask(deletion("acme"), paths).Path
	first, ok, err := privacy.SealedUnder(path)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if changed, err := privacy.Reseal(path, ring); changed || err != nil {
		t.Errorf("under the present key: %v, %v", changed, err)
	}
	second := ring.rotate(t)
	if changed, err := privacy.Reseal(path, ring); !changed || err != nil {
		t.Fatalf("under an older key: %v, %v", changed, err)
	}
	if id, ok, err := privacy.SealedUnder(path); id != second || !ok || err != nil {
		t.Errorf("sealed under %d, %v, %v; want %d", id, ok, err, second)
	}
	ring.drop(t, first)
	if after := open(t, path, ring, privacy.Pseudonymise, privacy.Keep).Mask(deletion("acme"), paths).Path; after != before {
		t.Errorf("%s became %s", before, after)
	}
}

func TestRefusesAKeyOfAnotherKeyset(t *testing.T) {
	path := keyFile(t)
	open(t, path, newRing(t), privacy.Pseudonymise, privacy.Keep)
	content := mustRead(t, path)
	other := newRing(t)
	_, err := privacy.Open(privacy.Options{Identifiers: privacy.Pseudonymise, Path: path, Sealer: other})
	if !errors.Is(err, privacy.ErrWrongSealer) || !strings.Contains(err.Error(), path) {
		t.Errorf("Open: %v", err)
	}
	if _, err := privacy.Reseal(path, other); !errors.Is(err, privacy.ErrWrongSealer) {
		t.Errorf("Reseal: %v", err)
	}
	if !bytes.Equal(mustRead(t, path), content) {
		t.Error("the file was changed")
	}
}

// What another secret of the keyset was sealed as is no key of pseudonyms.
func TestRefusesAnotherSecret(t *testing.T) {
	ring, path := newRing(t), keyFile(t)
	open(t, path, ring, privacy.Pseudonymise, privacy.Keep)
	for name, seal := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return ring.Encrypt(make([]byte, 32), []byte("jiragate audit signing-key v1")) },
		"another length": func() ([]byte, error) {
			return ring.Encrypt(make([]byte, 16), []byte("jiragate audit pseudonym-key v1\x00"))
		},
	} {
		sealed, err := seal()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, document(sealed), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := privacy.OpenKey(path, ring); err == nil {
			t.Errorf("%s was taken for the key", name)
		}
	}
}

func TestRefusesWhatIsNotTheFile(t *testing.T) {
	ring, path := newRing(t), keyFile(t)
	open(t, path, ring, privacy.Pseudonymise, privacy.Keep)
	good := string(mustRead(t, path))
	for name, content := range map[string]string{
		"empty":            "",
		"cut":              good[:len(good)/2],
		"more after it":    good + "{}",
		"another version":  strings.Replace(good, `"version": 1`, `"version": 2`, 1),
		"unknown name":     strings.Replace(good, `"version": 1`, `"version": 1, "x": 1`, 1),
		"repeated name":    strings.Replace(good, `"version": 1`, `"version": 1, "version": 1`, 1),
		"nothing sealed":   `{"version":1,"created":"2026-11-23T10:00:00Z","sealed":""}`,
		"no time":          `{"version":1,"created":"0001-01-01T00:00:00Z","sealed":"AQ=="}`,
		"larger than ever": good + strings.Repeat(" ", 20<<10),
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := privacy.Open(privacy.Options{Identifiers: privacy.Pseudonymise, Path: path, Sealer: ring})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if string(mustRead(t, path)) != content {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := privacy.OpenKey(path, ring); err == nil {
		t.Error("a file that others may read was taken")
	}
}

// Of several that open a fresh directory, one makes the key and all use it.
func TestOpenAtOnce(t *testing.T) {
	ring, path := newRing(t), keyFile(t)
	made := make([]string, 8)
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() {
			m, err := privacy.Open(privacy.Options{Identifiers: privacy.Pseudonymise, Path: path, Sealer: ring})
			if err != nil {
				t.Error(err)
				return
			}
			made[i] = m.Mask(deletion("acme"), paths).Path
		})
	}
	all.Wait()
	for _, p := range made {
		if p != made[0] {
			t.Fatalf("several keys: %q", made)
		}
	}
}

// document is a file with that sealed.
func document(sealed []byte) []byte {
	text, _ := json.Marshal(sealed) // bytes always have a form
	return []byte(`{"version":1,"created":"2026-11-23T10:00:00Z","sealed":` + string(text) + "}")
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
