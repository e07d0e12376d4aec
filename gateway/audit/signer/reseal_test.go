package signer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

func mustRotate(t *testing.T, r *ring) uint32 {
	t.Helper()
	id, err := r.rotate()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func mustBeUnder(t *testing.T, path string, want ...uint32) {
	t.Helper()
	if ids, ok, err := SealedUnder(path); !slices.Equal(ids, want) || !ok || err != nil {
		t.Fatalf("SealedUnder = %d, %v, %v; want %d", ids, ok, err, want)
	}
}

func primary(t *testing.T, path string) uint32 {
	t.Helper()
	ids, ok, err := SealedUnder(path)
	if len(ids) != 1 || !ok || err != nil {
		t.Fatalf("SealedUnder = %d, %v, %v", ids, ok, err)
	}
	return ids[0]
}

// After a rotation and a resealing, the sealer's old keys can go: from the open
// Key as from the file.
func TestResealAndDrop(t *testing.T) {
	for name, do := range map[string]func(k *Key, o Options) (bool, error){
		"open":   func(k *Key, _ Options) (bool, error) { return k.Reseal() },
		"closed": func(_ *Key, o Options) (bool, error) { return Reseal(o.Path, o.Sealer) },
	} {
		t.Run(name, func(t *testing.T) {
			o, ring := newOptions(t)
			older := entryOf(t, seeds[0], o.Name, o.Sealer)
			put(t, o, older)
			first := primary(t, o.Path)
			second := mustRotate(t, ring)
			newer := entryOf(t, seeds[1], o.Name, o.Sealer)
			put(t, o, older, newer)
			mustBeUnder(t, o.Path, first, second)
			k := mustOpen(t, o)

			if changed, err := do(k, o); !changed || err != nil {
				t.Fatalf("with one of two under an older key: %v, %v", changed, err)
			}
			mustBeUnder(t, o.Path, second)
			if now, _, err := read(o.Path); err != nil || !bytes.Equal(now[1].sealed, newer.sealed) || bytes.Equal(now[0].sealed, older.sealed) {
				t.Errorf("other keys than that one were sealed again (%v)", err)
			}
			third := mustRotate(t, ring)
			mustBeUnder(t, o.Path, second)
			if changed, err := do(k, o); !changed || err != nil {
				t.Fatalf("with both under an older key: %v, %v", changed, err)
			}
			mustBeUnder(t, o.Path, third)
			before := readFile(t, o.Path)
			if changed, err := do(k, o); changed || err != nil {
				t.Errorf("once more: %v, %v", changed, err)
			}
			if !bytes.Equal(readFile(t, o.Path), before) {
				t.Error("once more, the file was written to")
			}

			if err := errors.Join(ring.drop(first), ring.drop(second)); err != nil {
				t.Fatal(err)
			}
			again := mustOpen(t, o)
			if !slices.Equal(again.Verifiers(), []string{older.text, newer.text}) {
				t.Errorf("the keys are %q now", again.Verifiers())
			}
			if name == "closed" {
				if _, err := k.Sign([]byte("text\n")); !errors.Is(err, ErrWrongSealer) {
					t.Errorf("a Key that was open meanwhile signs: %v", err)
				}
				k = again
			}
			if text, err := Verify(mustSign(t, k, goldenText), newer.text); err != nil || string(text) != goldenText {
				t.Errorf("%q, %v", text, err)
			}
			alone(t, o.Path)
		})
	}
}

// Notes are signed all the time while keys of the sealer come and go.
func TestResealWhileSigning(t *testing.T) {
	o, ring := newOptions(t)
	k := mustOpen(t, o)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				if _, err := k.Sign([]byte("text\n")); err != nil {
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
	defer wg.Wait()
	defer close(done)
	old := primary(t, o.Path)
	for range 20 {
		now := mustRotate(t, ring)
		if changed, err := k.Reseal(); !changed || err != nil {
			t.Fatal(changed, err)
		}
		if err := ring.drop(old); err != nil {
			t.Fatal(err)
		}
		old = now
	}
}

// Several that seal again at once: one does, the others say so or find it done.
func TestResealAtOnce(t *testing.T) {
	o, ring := newOptions(t)
	k := mustOpen(t, o)
	now := mustRotate(t, ring)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := Reseal(o.Path, o.Sealer); err != nil && !errors.Is(err, ErrChanged) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	mustBeUnder(t, o.Path, now)
	if changed, err := k.Reseal(); changed || err != nil {
		t.Errorf("afterwards: %v, %v", changed, err)
	}
	mustSign(t, k, "text\n")
	alone(t, o.Path)
}

// A sealer during whose use something happens once.
type interrupted struct {
	Sealer
	once sync.Once
	do   func()
}

func (i *interrupted) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	i.once.Do(i.do)
	return i.Sealer.Encrypt(plaintext, associatedData)
}

func TestResealRefuses(t *testing.T) {
	other, _ := newOptions(t)
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, o *Options)
		open  bool // only an open Key can tell
		is    error
		want  string
	}{
		{name: "another keyset", is: ErrWrongSealer, want: "another keyset", spoil: func(_ *testing.T, o *Options) {
			o.Sealer = other.Sealer
		}},
		{name: "no file", is: fs.ErrNotExist, spoil: func(t *testing.T, o *Options) {
			if err := os.Remove(o.Path); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "readable by the group", want: "chmod 0600", spoil: func(t *testing.T, o *Options) {
			chmod(t, o.Path, 0o640)
		}},
		{name: "cut", want: "from a backup", spoil: func(t *testing.T, o *Options) {
			writeFile(t, o.Path, readFile(t, o.Path)[:100])
		}},
		{name: "a sealer that doesn't open what it seals", is: ErrWrongSealer, want: "sealed again", spoil: func(_ *testing.T, o *Options) {
			o.Sealer = forgetful{o.Sealer}
		}},
		{name: "a sealer that seals at length", want: "could not be read again", spoil: func(_ *testing.T, o *Options) {
			o.Sealer = lengthening{o.Sealer}
		}},
		{name: "other keys", open: true, is: ErrChanged, want: "restart", spoil: func(t *testing.T, o *Options) {
			putBoth(t, *o)
		}},
		{name: "a newer key", open: true, is: ErrChanged, want: "restart", spoil: func(t *testing.T, o *Options) {
			entries, _, err := read(o.Path)
			if err != nil {
				t.Fatal(err)
			}
			put(t, *o, append(entries, entryOf(t, seeds[0], o.Name, o.Sealer))...)
		}},
		{name: "another process at the same time", is: ErrChanged, want: "try again", spoil: func(t *testing.T, o *Options) {
			sealer, path := o.Sealer, o.Path
			o.Sealer = &interrupted{Sealer: sealer, do: func() {
				if changed, err := Reseal(path, sealer); !changed || err != nil {
					t.Error(changed, err)
				}
			}}
		}},
	} {
		for _, open := range []bool{false, true} {
			if test.open && !open {
				continue
			}
			t.Run(fmt.Sprintf("%s/open=%v", test.name, open), func(t *testing.T) {
				o, ring := newOptions(t)
				k := mustOpen(t, o)
				mustRotate(t, ring)
				test.spoil(t, &o)
				before, _ := os.ReadFile(o.Path)
				var (
					changed bool
					err     error
				)
				if open {
					k.sealer = o.Sealer
					changed, err = k.Reseal()
				} else {
					changed, err = Reseal(o.Path, o.Sealer)
				}
				if err == nil || changed || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
					t.Errorf("%v, %v; want %v, saying %q", changed, err, test.is, test.want)
				}
				if _, meanwhile := o.Sealer.(*interrupted); !meanwhile {
					if after, _ := os.ReadFile(o.Path); !bytes.Equal(after, before) {
						t.Error("the file was written to")
					}
				}
				k.sealer = ring
				mustSign(t, k, "text\n")
			})
		}
	}
}

// lengthening seals more than a file holds, and opens both.
type lengthening struct{ Sealer }

func (l lengthening) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	return padding(l).Encrypt(plaintext, associatedData)
}

func (l lengthening) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	if len(ciphertext) > maxSealed {
		return padding(l).Decrypt(ciphertext, associatedData)
	}
	return l.Sealer.Decrypt(ciphertext, associatedData)
}

func TestSealedUnder(t *testing.T) {
	o, _ := newOptions(t)
	if _, _, err := SealedUnder(o.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: error %v, want ErrNotExist", err)
	}
	entries := putBoth(t, o)
	a, b := []byte{1, 0, 0, 1, 2, 'x'}, []byte{1, 0, 0, 0, 3, 'x'}
	for name, test := range map[string]struct {
		sealed [2][]byte
		ids    []uint32
		ok     bool
	}{
		"two keys, the older first":     {[2][]byte{a, b}, []uint32{258, 3}, true},
		"one key":                       {[2][]byte{a, a}, []uint32{258}, true},
		"another prefix":                {[2][]byte{{0, 0, 0, 1, 2, 'x'}, {0, 0, 0, 1, 2, 'x'}}, nil, false},
		"another prefix once":           {[2][]byte{a, {0, 0, 0, 1, 2, 'x'}}, []uint32{258}, false},
		"too short to be one of Tink's": {[2][]byte{{1, 0, 0, 1}, a}, []uint32{258}, false},
	} {
		entries[0].sealed, entries[1].sealed = test.sealed[0], test.sealed[1]
		put(t, o, entries...)
		if ids, ok, err := SealedUnder(o.Path); !slices.Equal(ids, test.ids) || ok != test.ok || err != nil {
			t.Errorf("%s: %d, %v, %v", name, ids, ok, err)
		}
	}
}
