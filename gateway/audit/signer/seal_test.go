package signer

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// Whatever is changed about a sealed key, it doesn't open, and says why.
func TestSealHolds(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, o *Options, entries []entry)
	}{
		{"another keyset", func(t *testing.T, o *Options, _ []entry) { o.Sealer, _ = newRing() }},
		{"a bit of what is sealed", func(_ *testing.T, _ *Options, entries []entry) { entries[1].sealed[40] ^= 1 }},
		{"a bit of that of a key that doesn't sign", func(_ *testing.T, _ *Options, entries []entry) { entries[0].sealed[40] ^= 1 }},
		{"the end missing", func(_ *testing.T, _ *Options, entries []entry) {
			entries[1].sealed = entries[1].sealed[:len(entries[1].sealed)-1]
		}},
		{"swapped between two keys", func(_ *testing.T, _ *Options, entries []entry) {
			entries[0].sealed, entries[1].sealed = entries[1].sealed, entries[0].sealed
		}},
		{"the same key under another name", func(t *testing.T, o *Options, entries []entry) {
			o.Name = "jiragate/eu"
			for i, e := range entries {
				id, err := newIdentity(o.Name, e.public)
				if err != nil {
					t.Fatal(err)
				}
				entries[i].identity = id
			}
		}},
		{"another secret of the keyset", func(t *testing.T, o *Options, entries []entry) {
			plaintext, err := o.Sealer.Decrypt(entries[1].sealed, entries[1].associatedData())
			if err != nil {
				t.Fatal(err)
			}
			if entries[1].sealed, err = o.Sealer.Encrypt(plaintext, []byte("jiragate certs root-private-key v1\x00")); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, _ := newOptions(t)
			entries := putBoth(t, o)
			mustOpen(t, o)
			test.spoil(t, &o, entries)
			put(t, o, entries...)
			_, err := Open(o)
			if !errors.Is(err, ErrWrongSealer) || !strings.Contains(err.Error(), o.Path) || !strings.Contains(err.Error(), "from one backup") {
				t.Errorf("Open = %v; want ErrWrongSealer, the file and what to do", err)
			}
		})
	}
}

// The associated data is part of the format: files of today must open tomorrow.
func TestAssociatedData(t *testing.T) {
	id, err := parseIdentity(goldenVerifier)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(id.associatedData()), "jiragate audit signing-key v1\x00"+goldenVerifier; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// What is sealed is the text form that golang.org/x/mod/sumdb/note reads.
func TestSealedForm(t *testing.T) {
	o, _ := newOptions(t)
	e := putBoth(t, o)[0]
	plaintext, err := o.Sealer.Decrypt(e.sealed, e.associatedData())
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(string(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	if signed, err := note.Sign(&note.Note{Text: goldenText}, s); err != nil || string(signed) != golden {
		t.Errorf("signed with it: %q, %v", signed, err)
	}
}

// opening is a sealer that opens everything as the same text.
type opening struct {
	Sealer
	text string
}

func (o opening) Decrypt([]byte, []byte) ([]byte, error) { return []byte(o.text), nil }

// What opens but is not the key is refused, without a word of it in the error.
func TestWhatIsSealedIsNotTheKey(t *testing.T) {
	o, _ := newOptions(t)
	entries := putBoth(t, o)
	var secrets []string
	for _, e := range entries {
		plaintext, err := o.Sealer.Decrypt(e.sealed, e.associatedData())
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, string(plaintext))
	}
	put(t, o, entries[0])
	mine, other := secrets[0], secrets[1]
	prefix := entries[0].secretPrefix()
	o.Sealer = opening{o.Sealer, mine}
	mustOpen(t, o)
	typed, err := base64.StdEncoding.DecodeString(mine[len(prefix):])
	if err != nil {
		t.Fatal(err)
	}
	typed[0] = 4
	for name, text := range map[string]string{
		"nothing":                   "",
		"another key":               other,
		"another key as if of mine": prefix + strings.TrimPrefix(other, entries[1].secretPrefix()),
		"another name":              strings.Replace(mine, "jiragate/us", "jiragate/eu", 1),
		"half of it":                mine[:len(mine)-8],
		"more of it":                mine + "AAAA",
		"a newline":                 mine[:len(mine)-1] + "\n",
		"not base64":                mine[:len(mine)-1] + "!",
		"a key of another type":     prefix + base64.StdEncoding.EncodeToString(typed),
		"a seed of zeros":           prefix + base64.StdEncoding.EncodeToString(append([]byte{1}, make([]byte, 32)...)),
		"a public key":              goldenVerifier,
	} {
		o.Sealer = opening{o.Sealer, text}
		_, err := Open(o)
		if err == nil || errors.Is(err, ErrWrongSealer) || !strings.Contains(err.Error(), "restore the file") {
			t.Errorf("%s: error %v", name, err)
			continue
		}
		for _, secret := range secrets {
			if encoded := secret[len(prefix):]; strings.Contains(err.Error(), encoded[:16]) || strings.Contains(err.Error(), encoded[20:]) {
				t.Errorf("%s: the error gives the key away: %v", name, err)
			}
		}
	}
}

// The private key shows in no form and nowhere: not in the file, not in what is
// printed or logged, not in errors.
func TestPrivateKeyNeverShows(t *testing.T) {
	o, ring := newOptions(t)
	w := &witness{Sealer: ring}
	o.Sealer = w
	k := mustOpen(t, o)
	p, err := k.open()
	if err != nil {
		t.Fatal(err)
	}
	seed := bytes.Clone(p.key[:32])

	var shown bytes.Buffer
	shown.Write(readFile(t, o.Path))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		for _, value := range []any{k, p, &p, k.newest(), []any{k, p}, struct{ K any }{p}} {
			fmt.Fprintf(&shown, verb+"\n", value)
		}
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
		slog.New(handler).Info("key", "key", k, "private", p, "entry", k.newest())
	}
	for _, value := range []any{k, k.newest()} {
		if err := json.NewEncoder(&shown).Encode(value); err != nil {
			t.Fatal(err)
		}
	}
	shown.Write(mustSign(t, k, "text\n"))
	shown.WriteString(k.Verifier())
	shown.Write(k.PublicPEM())

	wrong := o
	wrong.Sealer, _ = newRing()
	_, wrongSealer := Open(wrong)
	wrong.Sealer, wrong.Name = o.Sealer, "jiragate/eu"
	_, wrongName := Open(wrong)
	_, wrongText := k.Sign([]byte("text"))
	_, wrongVerifier := Verify([]byte(golden), string(w.copies[0])) // a private key given by mistake
	for _, err := range []error{wrongSealer, wrongName, wrongText, wrongVerifier} {
		if err == nil {
			t.Fatal("no error")
		}
		fmt.Fprintf(&shown, "%v %+v %#v\n", err, err, err)
	}

	typed := append([]byte{algEd25519}, seed...)
	for name, secret := range map[string]string{
		"raw":                 string(seed),
		"hexadecimal":         hex.EncodeToString(seed),
		"capital hexadecimal": strings.ToUpper(hex.EncodeToString(seed)),
		"base64":              base64.StdEncoding.EncodeToString(seed),
		"text form":           base64.StdEncoding.EncodeToString(typed),
		"decimal":             strings.Trim(fmt.Sprint(seed), "[]"),
		"Go":                  strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", seed), "[]byte{"), "}"),
		"text form in hex":    hex.EncodeToString(w.copies[0][len(p.secretPrefix()):]),
	} {
		if secret = secret[:len(secret)/2]; strings.Contains(shown.String(), secret) {
			t.Errorf("the key shows (%s) in %s", name, shown.String())
		}
	}
	if !strings.Contains(string(w.copies[0]), base64.StdEncoding.EncodeToString(typed)) {
		t.Error("the test doesn't know the key")
	}
}

// What was in clear is wiped when it is over, whatever came of it.
func TestPlaintextIsCleared(t *testing.T) {
	o, ring := newOptions(t)
	w := &witness{Sealer: ring}
	o.Sealer = w
	k := mustOpen(t, o)
	mustSign(t, k, "text\n")
	if _, err := ring.rotate(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Reseal(); err != nil {
		t.Fatal(err)
	}
	if len(w.lent) < 6 {
		t.Fatalf("only %d times", len(w.lent))
	}
	for i, lent := range w.lent {
		if !bytes.HasPrefix(w.copies[i], []byte("PRIVATE+KEY+")) {
			t.Errorf("time %d: it was %q", i, w.copies[i])
		}
		if len(bytes.Trim(lent, "\x00")) > 0 {
			t.Errorf("time %d: %q is left of it", i, lent)
		}
	}
	p, err := k.open()
	if err != nil {
		t.Fatal(err)
	}
	p.clear()
	if len(bytes.Trim(p.key, "\x00")) > 0 {
		t.Error("the key is left")
	}
}
