package certs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

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
	return id, errors.Join(err, r.manager.SetPrimary(id), r.use())
}

func (r *ring) drop(id uint32) error { return errors.Join(r.manager.Delete(id), r.use()) }

func newRingOptions(t testing.TB) (Options, *ring) {
	t.Helper()
	r, err := newRing()
	if err != nil {
		t.Fatal(err)
	}
	return Options{Dir: filepath.Join(t.TempDir(), "data"), Sealer: r}, r
}

func mustRotate(t *testing.T, r *ring) uint32 {
	t.Helper()
	id, err := r.rotate()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func mustBeUnder(t *testing.T, dir string) uint32 {
	t.Helper()
	ids, err := SealedUnder(dir)
	if len(ids) != 1 || err != nil {
		t.Fatalf("SealedUnder = %d, %v", ids, err)
	}
	return ids[0]
}

// After a rotation and a resealing, the old key can go: from the open authority
// as from the file.
func TestResealAndDrop(t *testing.T) {
	o, ring := newRingOptions(t)
	a := mustOpen(t, o)
	first := mustBeUnder(t, o.Dir)
	if changed, err := a.Reseal(); changed || err != nil {
		t.Errorf("before a rotation: %v, %v", changed, err)
	}
	second := mustRotate(t, ring)
	if got := mustBeUnder(t, o.Dir); got != first || first == second {
		t.Errorf("sealed under %d before, %d after a rotation to %d", first, got, second)
	}
	if changed, err := a.Reseal(); !changed || err != nil {
		t.Fatalf("after a rotation: %v, %v", changed, err)
	}
	if got := mustBeUnder(t, o.Dir); got != second {
		t.Errorf("sealed under %d, want %d", got, second)
	}
	before := read(t, filepath.Join(o.Dir, keyFile))
	if changed, err := a.Reseal(); changed || err != nil {
		t.Errorf("once more: %v, %v", changed, err)
	}
	if !bytes.Equal(read(t, filepath.Join(o.Dir, keyFile)), before) {
		t.Error("once more, the file was written to")
	}
	if err := ring.drop(first); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, o)
	if !again.Root().Equal(a.Root()) || !bytes.Equal(read(t, filepath.Join(o.Dir, certFile)), a.RootPEM()) {
		t.Error("it is another root")
	}
	if err := a.SetHosts([]string{"a.example"}); err != nil {
		t.Fatal(err)
	}
	if err := handshake(again, mustLeaf(t, a, "a.example"), "a.example"); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(filepath.Join(o.Dir, keyFile)); err != nil || info.Mode() != 0o600 {
		t.Errorf("the key file has mode %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(o.Dir); len(entries) != 2 {
		t.Errorf("the directory holds %v, want the two files alone", entries)
	}
}

// TestResealWhileIssuing: leaves are issued all the time while keys come and go.
func TestResealWhileIssuing(t *testing.T) {
	o, ring := newRingOptions(t)
	o.CacheSize = 1 // so that each leaf needs the root's key
	a := mustOpen(t, o)
	hosts := []string{"a.example", "b.example", "c.example"}
	if err := a.SetHosts(hosts); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, host := range hosts {
		wg.Go(func() {
			for {
				if _, err := a.Leaf(host); err != nil {
					t.Error(err)
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
	old := mustBeUnder(t, o.Dir)
	for range 20 {
		now := mustRotate(t, ring)
		if changed, err := a.Reseal(); !changed || err != nil {
			t.Fatal(changed, err)
		}
		if err := ring.drop(old); err != nil {
			t.Fatal(err)
		}
		old = now
	}
	close(done)
	wg.Wait()
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

func TestResealRefuses(t *testing.T) {
	other, _ := newRingOptions(t)
	mustOpen(t, other)
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, o *Options, key string)
		is    error
		want  string
	}{
		{name: "another keyset", is: ErrWrongSealer, want: "another keyset", spoil: func(t *testing.T, o *Options, _ string) {
			o.Sealer = other.Sealer
		}},
		{name: "no root", is: fs.ErrNotExist, want: "no root", spoil: func(t *testing.T, _ *Options, key string) {
			remove(t, key)
		}},
		{name: "no directory", is: fs.ErrNotExist, spoil: func(t *testing.T, o *Options, _ string) {
			if err := os.RemoveAll(o.Dir); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "key file of the group", want: "chmod 600", spoil: func(t *testing.T, _ *Options, key string) {
			chmod(t, key, 0o640)
		}},
		{name: "key file cut", want: "from a backup", spoil: func(t *testing.T, _ *Options, key string) {
			data := read(t, key)
			write(t, key, data[:len(data)-40], 0o600)
		}},
		{name: "a sealer that doesn't open what it seals", is: ErrWrongSealer, want: "sealed again", spoil: func(t *testing.T, o *Options, _ string) {
			o.Sealer = forgetful{o.Sealer}
		}},
		{name: "another root", is: ErrFilesDisagree, want: "jiragate reload", spoil: func(t *testing.T, o *Options, key string) {
			remove(t, key)
			remove(t, filepath.Join(o.Dir, certFile))
			mustOpen(t, *o)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, ring := newRingOptions(t)
			a := mustOpen(t, o)
			mustRotate(t, ring)
			key := filepath.Join(o.Dir, keyFile)
			test.spoil(t, &o, key)
			before, _ := os.ReadFile(key)
			a.root.sealer = o.Sealer
			changed, err := a.Reseal()
			if err == nil || changed || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%v, %v; want %v, saying %q", changed, err, test.is, test.want)
			}
			if after, _ := os.ReadFile(key); !bytes.Equal(after, before) {
				t.Error("the file was written to")
			}
		})
	}
}

func TestSealedUnder(t *testing.T) {
	o := newOptions(t) // whose sealer is not Tink's
	if _, err := SealedUnder(o.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a directory: error %v, want ErrNotExist", err)
	}
	a := mustOpen(t, o)
	for name, test := range map[string]struct {
		sealed []byte
		ids    []uint32
	}{
		"Tink's form":    {[]byte{1, 0, 0, 1, 2, 'x'}, []uint32{258}},
		"another prefix": {[]byte{0, 0, 0, 1, 2, 'x'}, nil},
		"too short":      {[]byte{1, 0, 0, 1}, nil},
		"nothing":        {nil, nil},
	} {
		write(t, filepath.Join(o.Dir, keyFile), (&root{cert: a.Root(), sealed: test.sealed}).encodeKeyFile(), 0o600)
		if ids, err := SealedUnder(o.Dir); !slices.Equal(ids, test.ids) || err != nil {
			t.Errorf("%s: %d, %v", name, ids, err)
		}
	}
}

// crashDir tells this test binary, started again, to be the process that is
// killed.
const crashDir = "JIRAGATE_TEST_CRASH_CERTS"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := resealUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// crashSealers are the two that take turns, of one keyset in a file. Each opens
// what the other seals.
func crashSealers(dir string) (sealers [2]Sealer, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "keys"))
	if err != nil {
		return sealers, err
	}
	h, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(data)))
	if err != nil {
		return sealers, err
	}
	m := keyset.NewManagerFromHandle(h)
	for i := range sealers {
		e, err := h.Entry(i)
		if err != nil {
			return sealers, err
		}
		if err := m.SetPrimary(e.KeyID()); err != nil {
			return sealers, err
		}
		turned, err := m.Handle()
		if err != nil {
			return sealers, err
		}
		if sealers[i], err = aead.New(turned); err != nil {
			return sealers, err
		}
	}
	return sealers, nil
}

func resealUntilKilled(dir string) error {
	sealers, err := crashSealers(dir)
	if err != nil {
		return err
	}
	a, err := Open(Options{Dir: filepath.Join(dir, "data"), Sealer: sealers[0]})
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		a.root.sealer = sealers[n%2]
		if _, err := a.Reseal(); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// Killed at any moment, the root is there, whole, and opens.
func TestResealKilledAtAnyMoment(t *testing.T) {
	dir := t.TempDir()
	ring, err := newRing()
	if err != nil {
		t.Fatal(err)
	}
	mustRotate(t, ring)
	h, err := ring.manager.Handle()
	if err != nil {
		t.Fatal(err)
	}
	var keys bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewBinaryWriter(&keys)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "keys"), keys.Bytes(), 0o600)
	o := Options{Dir: filepath.Join(dir, "data"), Sealer: ring}
	want := mustOpen(t, o).Root()
	for round := range 10 {
		killedResealer(t, dir)
		if got := mustOpen(t, o).Root(); !got.Equal(want) {
			t.Fatalf("round %d: another root", round)
		}
	}
}

func killedResealer(t *testing.T, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, enough := 0, 1+rand.IntN(12)
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		if lines++; lines == enough {
			// Anywhere within the changes that follow.
			time.AfterFunc(time.Duration(rand.Int64N(int64(4*time.Millisecond))), func() {
				_ = cmd.Process.Kill() // gone already, at worst: Wait tells
			})
		}
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Exited() {
		t.Fatalf("the process ended by itself: %v\n%s", err, stderr.String())
	}
}
