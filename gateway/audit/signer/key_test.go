package signer

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestFirstUseAndReopen(t *testing.T) {
	o, _ := newOptions(t)
	first := mustOpen(t, o)
	alone(t, o.Path)
	if !strings.HasPrefix(first.Verifier(), name+"+") || !slices.Equal(first.Verifiers(), []string{first.Verifier()}) {
		t.Errorf("verifiers %q, of which %q signs", first.Verifiers(), first.Verifier())
	}
	if !strings.Contains(string(readFile(t, o.Path)), `{"created":"2026-11-23T10:00:00Z","verifier":"`+first.Verifier()+`","sealed":"`) {
		t.Errorf("it is written as %s", readFile(t, o.Path))
	}
	second := mustOpen(t, o)
	if text, err := Verify(mustSign(t, first, "text\n"), second.Verifiers()...); err != nil || string(text) != "text\n" {
		t.Errorf("after a restart: %q, %v", text, err)
	}

	other := o
	other.Path += ".other"
	if mustOpen(t, other).Verifier() == first.Verifier() {
		t.Error("another directory has the same key")
	}
}

// The last key signs, and notes of the one before it verify.
func TestSeveralKeys(t *testing.T) {
	o, _ := newOptions(t)
	entries := putBoth(t, o)
	k := mustOpen(t, o)
	if want := texts(entries); k.Verifier() != want[1] || !slices.Equal(k.Verifiers(), want) {
		t.Errorf("%q of %q signs", k.Verifier(), k.Verifiers())
	}
	signed := mustSign(t, k, "text\n")
	if _, err := Verify(signed, entries[1].text); err != nil {
		t.Error(err)
	}
	if _, err := Verify(signed, entries[0].text); err == nil {
		t.Error("the older key has signed as well")
	}
	put(t, o, entries[0])
	if _, err := Verify(mustSign(t, mustOpen(t, o), "text\n"), k.Verifiers()...); err != nil {
		t.Errorf("a note from before the rotation: %v", err)
	}
	k.Verifiers()[0] = "changed"
	if k.Verifiers()[0] != entries[0].text {
		t.Error("a caller can change the verifiers")
	}
}

func TestPublicPEM(t *testing.T) {
	o, _ := newOptions(t)
	putBoth(t, o)
	// As the cryptography package of Python writes the second key.
	const want = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n-----END PUBLIC KEY-----\n"
	got := mustOpen(t, o).PublicPEM()
	if string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
	block, _ := pem.Decode(got)
	if key, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil || key.(ed25519.PublicKey) == nil {
		t.Errorf("it is read as %v, %v", key, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, o *Options)
		want  string
	}{
		{"no path", func(_ *testing.T, o *Options) { o.Path = "" }, "no file"},
		{"no sealer", func(_ *testing.T, o *Options) { o.Sealer = nil }, "no sealer"},
		{"no name", func(_ *testing.T, o *Options) { o.Name = "" }, "has no name"},
		{"a name with a space", func(_ *testing.T, o *Options) { o.Name = "jiragate us" }, `has ' ' in it`},
		{"a name with a no-break space", func(_ *testing.T, o *Options) { o.Name = "jiragate\u00a0us" }, "printable ASCII"},
		{"a name with a plus", func(_ *testing.T, o *Options) { o.Name = "jiragate+us" }, `has '+' in it`},
		{"a name with a newline", func(_ *testing.T, o *Options) { o.Name = "jiragate\n" }, "printable ASCII"},
		{"a name with a control character", func(_ *testing.T, o *Options) { o.Name = "jira\x7fgate" }, "printable ASCII"},
		{"a name that looks like another", func(_ *testing.T, o *Options) { o.Name = "jiragate/\u0443s" }, "printable ASCII"},
		{"a name that is not UTF-8", func(_ *testing.T, o *Options) { o.Name = "jiragate\xff" }, "printable ASCII"},
		{"a long name", func(_ *testing.T, o *Options) { o.Name = strings.Repeat("x", maxName+1) }, "256 bytes long"},
		{"another name", func(_ *testing.T, o *Options) { o.Name = "jiragate/eu" },
			`holds the key of "jiragate/us", and this gateway signs as "jiragate/eu": give each its own data directory`},
		{"a name in capitals", func(_ *testing.T, o *Options) { o.Name = "jiragate/US" }, "its own data directory"},
		{"readable by the group", func(t *testing.T, o *Options) { chmod(t, o.Path, 0o640) }, "chmod 0600"},
		{"a link", func(t *testing.T, o *Options) {
			if err := os.Symlink(o.Path, o.Path+".link"); err != nil {
				t.Fatal(err)
			}
			o.Path += ".link"
		}, "symbolic link"},
		{"a directory", func(t *testing.T, o *Options) { o.Path = t.TempDir() }, "not a regular file"},
		{"an empty file", func(t *testing.T, o *Options) { writeFile(t, o.Path, nil) }, "from a backup"},
		{"a huge file", func(t *testing.T, o *Options) { writeFile(t, o.Path, make([]byte, maxFile+1)) }, "larger than"},
		{"a sealer that doesn't open what it seals", func(t *testing.T, o *Options) {
			o.Path += ".new"
			o.Sealer = forgetful{o.Sealer}
		}, "make a signing key"},
		{"a sealer that seals at length", func(t *testing.T, o *Options) {
			o.Path += ".new"
			o.Sealer = padding{o.Sealer}
		}, "could not be read again"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, _ := newOptions(t)
			mustOpen(t, o)
			present := o.Path
			test.spoil(t, &o)
			before := readFile(t, present)
			if _, err := Open(o); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Open = %v; want %q in it", err, test.want)
			}
			if string(readFile(t, present)) != string(before) {
				t.Error("the file was written to")
			}
			if _, err := os.Stat(present + ".new"); err == nil {
				t.Error("a file was made")
			}
		})
	}
}

// forgetful encrypts under a key that it doesn't keep.
type forgetful struct{ Sealer }

func (f forgetful) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	other, err := newRing()
	if err != nil {
		return nil, err
	}
	return other.Encrypt(plaintext, associatedData)
}

// padding seals more than a file holds.
type padding struct{ Sealer }

func (p padding) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	sealed, err := p.Sealer.Encrypt(plaintext, associatedData)
	return append(sealed, make([]byte, maxSealed)...), err
}

func (p padding) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	return p.Sealer.Decrypt(ciphertext[:len(ciphertext)-maxSealed], associatedData)
}

// Several that open a fresh directory at once, within one process.
func TestOpenAtOnce(t *testing.T) {
	o, _ := newOptions(t)
	verifiers := make([]string, 16)
	var wg sync.WaitGroup
	for i := range verifiers {
		wg.Go(func() {
			if k, err := Open(o); err != nil {
				t.Error(err)
			} else {
				verifiers[i] = k.Verifier()
			}
		})
	}
	wg.Wait()
	if all := slices.Compact(verifiers); len(all) != 1 {
		t.Errorf("they have the keys %q", all)
	}
	alone(t, o.Path)
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestCreated(t *testing.T) {
	o, _ := newOptions(t)
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	o.Now = func() time.Time { return now }
	k := mustOpen(t, o)
	if got := k.Created(); !got.Equal(now) {
		t.Errorf("created %s, want %s", got, now)
	}
	now = now.Add(time.Hour)
	mustRotateKey(t, k)
	if got := k.Created(); !got.Equal(now) {
		t.Errorf("created %s after a rotation, want %s", got, now)
	}
}
