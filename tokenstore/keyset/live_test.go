package keyset_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	"pgregory.net/rapid"

	"jiragate/tokenstore/keyset"
)

var createFile = keyset.Options{Create: true}

func fileURI(t *testing.T) string { return "file:" + filepath.Join(t.TempDir(), "keyset.json") }

func rotate(t *testing.T, l *keyset.Live) uint32 {
	t.Helper()
	id, err := l.Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func keyOf(ciphertext []byte) uint32 { return binary.BigEndian.Uint32(ciphertext[1:5]) }

func TestRotateWhileInUse(t *testing.T) {
	uri := fileURI(t)
	l := openLive(t, uri, createFile)
	first := l.PrimaryKeyID()
	old := sealLive(t, l, "before")
	second := rotate(t, l)
	young := sealLive(t, l, "after")

	if keyOf(old) != first || keyOf(young) != second || l.PrimaryKeyID() != second {
		t.Errorf("sealed under %d and %d, primary %d; want %d, %[4]d and then %d", keyOf(old), keyOf(young), l.PrimaryKeyID(), first, second)
	}
	want := []keyset.KeyInfo{{ID: first, Status: "enabled"}, {ID: second, Primary: true, Status: "enabled"}}
	if got := l.Keys(); !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
	if got := l.KeyIDs(); !slices.Equal(got, []uint32{first, second}) {
		t.Errorf("ids %v", got)
	}
	again := openLive(t, uri, keyset.Options{})
	for name, l := range map[string]*keyset.Live{"in use": l, "opened again": again} {
		if !opensLive(l, old) || !opensLive(l, young) {
			t.Errorf("the keyset %s does not open everything", name)
		}
	}
	info, err := os.Stat(strings.TrimPrefix(uri, "file:"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
}

func TestDrop(t *testing.T) {
	uri := fileURI(t)
	l := openLive(t, uri, createFile)
	first := l.PrimaryKeyID()
	old := sealLive(t, l, "text")
	second, third := rotate(t, l), rotate(t, l)
	for name, test := range map[string]struct {
		ids  []uint32
		want string
	}{
		"the primary key":              {[]uint32{third}, "rotate first"},
		"the primary key among them":   {[]uint32{first, third}, "rotate first"},
		"a key that is not there":      {[]uint32{first ^ second ^ third ^ 1}, "not in the keyset"},
		"one that is and one that not": {[]uint32{first, 0}, "not in the keyset"},
	} {
		if err := l.Drop(t.Context(), test.ids...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one that says %q", name, err, test.want)
		}
		if got := openLive(t, uri, keyset.Options{}).KeyIDs(); !slices.Equal(got, []uint32{first, second, third}) {
			t.Fatalf("%s: the file holds keys %v now", name, got)
		}
	}
	if err := l.Drop(t.Context()); err != nil {
		t.Errorf("dropping nothing: %v", err)
	}
	if err := l.Drop(t.Context(), first, first); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*keyset.Live{"in use": l, "opened again": openLive(t, uri, keyset.Options{})} {
		if got := l.KeyIDs(); opensLive(l, old) || !slices.Equal(got, []uint32{second, third}) {
			t.Errorf("the keyset %s has keys %v and opens what was sealed under one dropped: %v", name, got, opensLive(l, old))
		}
	}
}

func TestChangesThatCantBeStored(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, path string)
		is    error
		want  string
	}{
		{"another process rotated", func(t *testing.T, path string) {
			rotate(t, openLive(t, "file:"+path, keyset.Options{}))
		}, keyset.ErrChanged, "restart"},
		{"another keyset", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			openLive(t, "file:"+path, createFile)
		}, keyset.ErrChanged, "restart"},
		{"the file is gone", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, fs.ErrNotExist, "storing it"},
		{"its mode is loose", func(t *testing.T, path string) {
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
		}, nil, "chmod 0600"},
		{"there is no way to write", func(t *testing.T, path string) {
			if err := os.Mkdir(path+".next", 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(path+".next", "f"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, nil, "storing it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			uri := fileURI(t)
			path := strings.TrimPrefix(uri, "file:")
			l := openLive(t, uri, createFile)
			first := l.PrimaryKeyID()
			rotate(t, l)
			primary := l.PrimaryKeyID()
			test.spoil(t, path)
			before, _ := os.ReadFile(path)
			_, rotateErr := l.Rotate(t.Context())
			for _, err := range []error{rotateErr, l.Drop(t.Context(), first)} {
				if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
					t.Errorf("error %v, want %v that says %q", err, test.is, test.want)
				}
			}
			if l.PrimaryKeyID() != primary || keyOf(sealLive(t, l, "text")) != primary || len(l.KeyIDs()) != 2 {
				t.Error("the keyset in use is another one")
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the file was written to")
			}
		})
	}
}

func TestKeysetOfTheEnvironmentIsReadOnly(t *testing.T) {
	k := newKeyset(t)
	s, err := k.JSON()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_KEYSET", s.Reveal())
	l := openLive(t, "env:TEST_KEYSET", keyset.Options{})
	_, rotateErr := l.Rotate(t.Context())
	for _, err := range []error{rotateErr, l.Drop(t.Context(), 1)} {
		if !errors.Is(err, keyset.ErrReadOnly) || !strings.Contains(err.Error(), "file:PATH") {
			t.Errorf("error %v, want ErrReadOnly that says what to do", err)
		}
	}
	if !opensLive(l, seal(t, k, "text")) || l.PrimaryKeyID() != k.PrimaryKeyID() {
		t.Error("it is another keyset")
	}

	// What the error says to do works.
	path := filepath.Join(t.TempDir(), "keyset.json")
	if err := os.WriteFile(path, []byte(s.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	rotate(t, openLive(t, "file:"+path, keyset.Options{}))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_KEYSET", string(content))
	again := openLive(t, "env:TEST_KEYSET", keyset.Options{})
	if len(again.KeyIDs()) != 2 || !opensLive(again, seal(t, k, "text")) {
		t.Error("the variable set anew doesn't hold the old key and a new one")
	}
}

// A keyset grows until it would no longer be read, and no further.
func TestKeysetsStayReadable(t *testing.T) {
	const limit = 256 << 10 // in bytes
	m := tinkkeyset.NewManager()
	grown := func(keys int) []byte {
		for range keys {
			id, err := m.Add(aead.AES256GCMKeyTemplate())
			if err = errors.Join(err, m.SetPrimary(id)); err != nil {
				t.Fatal(err)
			}
		}
		h, err := m.Handle()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := insecurecleartextkeyset.Write(h, tinkkeyset.NewJSONWriter(&b)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	most := limit/(len(grown(100))/100) - 5
	uri := fileURI(t)
	if err := os.WriteFile(strings.TrimPrefix(uri, "file:"), grown(most-100), 0o600); err != nil {
		t.Fatal(err)
	}
	l := openLive(t, uri, keyset.Options{})
	for n := 0; ; n++ {
		_, err := l.Rotate(t.Context())
		if err != nil {
			if !strings.Contains(err.Error(), "drop old keys first") {
				t.Errorf("error %v", err)
			}
			break
		}
		if n > 100 {
			t.Fatal("it grows without bound")
		}
	}
	if again := openLive(t, uri, keyset.Options{}); again.PrimaryKeyID() != l.PrimaryKeyID() {
		t.Error("the file holds another keyset than the one in use")
	}
}

// While one goroutine rotates, others seal, and never under a key that is not
// on disk.
func TestUseWhileRotating(t *testing.T) {
	uri := fileURI(t)
	l := openLive(t, uri, createFile)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				c, err := l.Encrypt([]byte("text"), []byte("associated"))
				if err != nil {
					t.Error(err)
					return
				}
				stored, err := keyset.Open(t.Context(), uri, keyset.Options{})
				if err != nil || !slices.Contains(stored.KeyIDs(), keyOf(c)) {
					t.Errorf("sealed under key %d, on disk are %v, %v", keyOf(c), stored, err)
					return
				}
				if !opensLive(l, c) || l.Keys() == nil || l.String() == "" {
					t.Error("what was sealed doesn't open")
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 20 {
		rotate(t, l)
	}
	close(done)
	wg.Wait()
}

// Of processes that rotate at the same time one wins, and no new key is lost
// under which somebody may have sealed something.
func TestRotateRace(t *testing.T) {
	uri := fileURI(t)
	openLive(t, uri, createFile)
	lives := make([]*keyset.Live, 8)
	for i := range lives {
		lives[i] = openLive(t, uri, keyset.Options{})
	}
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		won []uint32
	)
	for _, l := range lives {
		wg.Go(func() {
			id, err := l.Rotate(t.Context())
			if err == nil {
				mu.Lock()
				won = append(won, id)
				mu.Unlock()
			} else if !errors.Is(err, keyset.ErrChanged) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := openLive(t, uri, keyset.Options{}); len(won) != 1 || got.PrimaryKeyID() != won[0] {
		t.Errorf("the file has primary key %d, %v were told of", got.PrimaryKeyID(), won)
	}
}

// However keys come and go, what was sealed opens exactly as long as its key is
// there, in use and on disk alike.
func TestKeysComeAndGo(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		uri := fmt.Sprintf("file:%s/%d.json", dir, n)
		l := openLive(t, uri, createFile)
		sealed := map[uint32][]byte{}
		keys := []uint32{l.PrimaryKeyID()}
		rt.Repeat(map[string]func(*rapid.T){
			"seal":   func(*rapid.T) { sealed[l.PrimaryKeyID()] = sealLive(t, l, "text") },
			"rotate": func(*rapid.T) { keys = append(keys, rotate(t, l)) },
			"reopen": func(*rapid.T) { l = openLive(t, uri, keyset.Options{}) },
			"drop": func(rt *rapid.T) {
				if len(keys) == 1 {
					return
				}
				id := rapid.SampledFrom(keys[:len(keys)-1]).Draw(rt, "id")
				if err := l.Drop(t.Context(), id); err != nil {
					rt.Fatal(err)
				}
				keys = slices.DeleteFunc(keys, func(k uint32) bool { return k == id })
			},
			"": func(rt *rapid.T) {
				if got := l.KeyIDs(); !slices.Equal(got, keys) || l.PrimaryKeyID() != keys[len(keys)-1] {
					rt.Fatalf("keys %v with primary %d, want %v", got, l.PrimaryKeyID(), keys)
				}
				for id, c := range sealed {
					if keyOf(c) != id || opensLive(l, c) != slices.Contains(keys, id) {
						rt.Fatalf("sealed under %d, with keys %v: opens is %v", id, keys, opensLive(l, c))
					}
				}
			},
		})
	})
}

func TestLivesPrintWithoutKeys(t *testing.T) {
	uri := fileURI(t)
	l := openLive(t, uri, createFile)
	content, err := os.ReadFile(strings.TrimPrefix(uri, "file:"))
	if err != nil {
		t.Fatal(err)
	}
	material := keyMaterial(t, string(content))
	for _, v := range []any{l, []*keyset.Live{l}, l.Keys()} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, material) {
				t.Errorf("%s prints a key: %s", verb, got)
			}
		}
	}
	if got, want := fmt.Sprint(l), fmt.Sprintf("keyset(1 keys, primary %d)", l.PrimaryKeyID()); got != want {
		t.Errorf("it prints %q, want %q", got, want)
	}
}

// A keyset moves from a file in clear to a place under a KMS key, and back: what
// was sealed still opens.
func TestKeysetMoves(t *testing.T) {
	dir := t.TempDir()
	clear, err := keyset.Open(t.Context(), "file:"+filepath.Join(dir, "clear.json"), keyset.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clear.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	sealed, err := clear.Encrypt([]byte("text"), nil)
	if err != nil {
		t.Fatal(err)
	}
	encrypted := keyset.Options{Create: true, EncryptedFile: filepath.Join(dir, "encrypted.json"), From: clear}
	inVault, err := keyset.Open(t.Context(), startVault(t).uri, encrypted)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := inVault.Decrypt(sealed, nil); err != nil || string(text) != "text" {
		t.Errorf("under the KMS key: %q, %v", text, err)
	}
	moved, err := keyset.Open(t.Context(), "file:"+filepath.Join(dir, "moved.json"), keyset.Options{Create: true, From: inVault})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := moved.Decrypt(sealed, nil); err != nil || string(text) != "text" || moved.PrimaryKeyID() != clear.PrimaryKeyID() {
		t.Errorf("%q, %v; %v and %v", text, err, moved, clear)
	}
	// What is there already is not replaced.
	other, err := keyset.Open(t.Context(), "file:"+filepath.Join(dir, "other.json"), keyset.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := keyset.Open(t.Context(), "file:"+filepath.Join(dir, "moved.json"), keyset.Options{Create: true, From: other}); err != nil || again.PrimaryKeyID() != moved.PrimaryKeyID() {
		t.Errorf("%v, %v", again, err)
	}
}
