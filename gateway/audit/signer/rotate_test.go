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
	"time"

	"pgregory.net/rapid"
)

type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func mustRotateKey(t failer, k *Key) string {
	t.Helper()
	v, err := k.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// mustSucceed walks the successions from the first key to the last, believing the
// first one alone.
func mustSucceed(t failer, k *Key) {
	t.Helper()
	all, successions := k.Verifiers(), k.Successions()
	if len(successions) != len(all)-1 {
		t.Fatalf("%d successions for %d keys", len(successions), len(all))
	}
	known := all[0]
	for i, s := range successions {
		text, err := Verify(s, known)
		if err != nil {
			t.Fatalf("succession %d is not signed by the key before: %v", i+1, err)
		}
		lines := strings.Split(string(text), "\n")
		if len(lines) != 4 || lines[0] != "jiragate audit key succession" || lines[1] != known || lines[2] != all[i+1] {
			t.Fatalf("succession %d says %q", i+1, text)
		}
		if _, err := Verify(s, lines[2]); err != nil {
			t.Fatalf("succession %d is not signed by the new key: %v", i+1, err)
		}
		known = lines[2]
	}
}

// After a rotation the new key signs, the old one verifies, and who knew only the
// old one learns the new one; also after a restart.
func TestRotate(t *testing.T) {
	for name, do := range map[string]func(k *Key, o Options) (string, error){
		"open":   func(k *Key, _ Options) (string, error) { return k.Rotate() },
		"closed": func(_ *Key, o Options) (string, error) { return rotateClosed(o) },
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := newOptions(t)
			k := mustOpen(t, o)
			old, before := k.Verifier(), mustSign(t, k, "before\n")
			if k.Name() != o.Name || len(k.Successions()) != 0 {
				t.Errorf("name %q, successions %q", k.Name(), k.Successions())
			}
			o.Now = func() time.Time { return made.AddDate(0, 3, 0).Add(time.Millisecond) }
			k.now = o.Now
			v, err := do(k, o)
			if err != nil {
				t.Fatal(err)
			}
			if name == "closed" {
				k = mustOpen(t, o)
			}
			for range 2 {
				if v == old || k.Verifier() != v || !slices.Equal(k.Verifiers(), []string{old, v}) || k.Name() != o.Name {
					t.Errorf("%q of %q signs, and %q was made", k.Verifier(), k.Verifiers(), v)
				}
				if _, err := Verify(mustSign(t, k, "after\n"), v); err != nil {
					t.Error(err)
				}
				if _, err := Verify(before, k.Verifiers()...); err != nil {
					t.Errorf("a note from before: %v", err)
				}
				mustSucceed(t, k)
				k = mustOpen(t, o)
			}
			if entries, _, err := read(o.Path); err != nil || !entries[1].created.Equal(made.AddDate(0, 3, 0)) {
				t.Errorf("it was made at %s (%v)", entries[1].created, err)
			}
			if got, err := Verifiers(o.Path); err != nil || !slices.Equal(got, k.Verifiers()) {
				t.Errorf("without a sealer: %q, %v", got, err)
			}
			if got := mustOpen(t, o).Successions(); !slices.EqualFunc(got, k.Successions(), bytes.Equal) {
				t.Errorf("read again: %q", got)
			}
			k.Successions()[0][0] = 'x'
			mustSucceed(t, k)
			alone(t, o.Path)
		})
	}
}

func TestReadingWithoutAFile(t *testing.T) {
	o, _ := newOptions(t)
	if _, err := Verifiers(o.Path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), o.Path) {
		t.Errorf("error %v, want ErrNotExist and the file", err)
	}
	if _, err := os.Stat(o.Path); err == nil {
		t.Error("a key was made")
	}
}

func TestRotateRefuses(t *testing.T) {
	other, _ := newOptions(t)
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, o *Options)
		is    error
		want  string
	}{
		{"another keyset", func(_ *testing.T, o *Options) { o.Sealer = other.Sealer }, ErrWrongSealer, "another keyset"},
		{"no file", func(t *testing.T, o *Options) {
			if err := os.Remove(o.Path); err != nil {
				t.Fatal(err)
			}
		}, fs.ErrNotExist, ""},
		{"readable by the group", func(t *testing.T, o *Options) { chmod(t, o.Path, 0o640) }, nil, "chmod 0600"},
		{"cut", func(t *testing.T, o *Options) { writeFile(t, o.Path, readFile(t, o.Path)[:100]) }, nil, "from a backup"},
		{"a sealer that doesn't open what it seals", func(_ *testing.T, o *Options) { o.Sealer = forgetful{o.Sealer} }, ErrWrongSealer, "try what was sealed"},
		{"a sealer that seals at length", func(_ *testing.T, o *Options) { o.Sealer = lengthening{o.Sealer} }, nil, "could not be read again"},
		{"other keys", func(t *testing.T, o *Options) { putBoth(t, *o) }, ErrChanged, "restart"},
		{"rotated by another process", func(t *testing.T, o *Options) {
			if _, err := rotateClosed(*o); err != nil {
				t.Fatal(err)
			}
		}, ErrChanged, "restart"},
		{"another process at the same time", func(t *testing.T, o *Options) {
			present := *o
			o.Sealer = &interrupted{Sealer: o.Sealer, do: func() {
				if _, err := rotateClosed(present); err != nil {
					t.Error(err)
				}
			}}
		}, ErrChanged, "try again"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, ring := newOptions(t)
			k := mustOpen(t, o)
			verifier := k.Verifier()
			test.spoil(t, &o)
			before, _ := os.ReadFile(o.Path)
			k.sealer = o.Sealer
			v, err := k.Rotate()
			if err == nil || v != "" || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), o.Path) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("Rotate = %q, %v; want %v, saying %q", v, err, test.is, test.want)
			}
			if _, meanwhile := o.Sealer.(*interrupted); !meanwhile {
				if after, _ := os.ReadFile(o.Path); !bytes.Equal(after, before) {
					t.Error("the file was written to")
				}
			}
			k.sealer = ring
			if _, err := Verify(mustSign(t, k, "text\n"), verifier); err != nil {
				t.Error(err)
			}
		})
	}
}

// A full file says so, and its newest key goes on signing.
func TestRotateFull(t *testing.T) {
	o, _ := newOptions(t)
	var entries []entry
	for i := range maxKeys - 1 {
		entries = append(entries, entryOf(t, fmt.Sprintf("%064x", i), o.Name, o.Sealer))
	}
	put(t, o, entries...)
	k := mustOpen(t, o)
	last := mustRotateKey(t, k)
	if v, err := k.Rotate(); !errors.Is(err, ErrFull) || v != "" {
		t.Errorf("Rotate = %q, %v", v, err)
	}
	if _, err := Verify(mustSign(t, mustOpen(t, o), "text\n"), last); err != nil {
		t.Error(err)
	}
}

// Notes are signed all the time while keys come and go, both those that sign and
// those that seal; each note verifies with the keys there are.
func TestRotateWhileSigningAndResealing(t *testing.T) {
	o, ring := newOptions(t)
	k := mustOpen(t, o)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				signed, err := k.Sign([]byte("text\n"))
				if err == nil {
					_, err = Verify(signed, k.Verifiers()...)
				}
				if err != nil {
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
	wg.Go(func() {
		for range 10 {
			if _, err := k.Rotate(); err != nil {
				t.Error(err)
			}
		}
	})
	old := primary(t, o.Path)
	for range 10 {
		now := mustRotate(t, ring)
		if _, err := k.Reseal(); err != nil {
			t.Error(err)
			break
		}
		if err := ring.drop(old); err != nil {
			t.Error(err)
		}
		old = now
	}
	close(done)
	wg.Wait()
	if again := mustOpen(t, o); len(again.Verifiers()) != 11 {
		t.Errorf("there are %d keys", len(again.Verifiers()))
	} else {
		mustSucceed(t, again)
	}
}

// Whatever is done in whatever order: each rotation adds one key at the end, notes
// signed before verify, and the file holds what is in memory, in its one form.
func TestRotateResealRestart(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o, ring := newOptions(t)
		k := mustOpen(t, o)
		keys := k.Verifiers()
		var notes [][]byte
		for _, do := range rapid.SliceOfN(rapid.SampledFrom([]string{"sign", "rotate", "reseal", "restart"}), 1, 12).Draw(rt, "do") {
			var err error
			switch do {
			case "sign":
				var signed []byte
				if signed, err = k.Sign([]byte("text\n")); err == nil {
					_, err = Verify(signed, keys[len(keys)-1])
				}
				notes = append(notes, signed)
			case "rotate":
				keys = append(keys, mustRotateKey(rt, k))
			case "reseal":
				if _, err = ring.rotate(); err == nil {
					_, err = k.Reseal()
				}
			case "restart":
				k, err = Open(o)
			}
			if err != nil {
				rt.Fatalf("%s: %v", do, err)
			}
			if !slices.Equal(k.Verifiers(), keys) || k.Verifier() != keys[len(keys)-1] {
				rt.Fatalf("%s: %q of the keys %q signs, want %q", do, k.Verifier(), k.Verifiers(), keys)
			}
			content, err := os.ReadFile(o.Path)
			if err != nil {
				rt.Fatal(err)
			}
			if written, err := format(k.entries); err != nil || !bytes.Equal(content, written) {
				rt.Fatalf("%s: the file holds %s, and in memory is %s (%v)", do, content, written, err)
			}
		}
		for _, signed := range notes {
			if _, err := Verify(signed, keys...); err != nil {
				rt.Fatalf("a note from before: %v", err)
			}
		}
		mustSucceed(rt, k)
	})
}
