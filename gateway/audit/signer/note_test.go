package signer

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"
)

const goldenText = "52.54.159.237\n\n2600:1f18::1 – announced\n"

// The first known key and its note of goldenText. They were made with hashlib and
// the cryptography package of Python, from the specification alone.
const (
	goldenVerifier = "jiragate/us+dd9ee1c0+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
	golden         = goldenText + "\n— jiragate/us 3Z7hwNCyDju/lNCdVrzZdcmXWsvBuTN7cg024/QBBintvsTSyJyfeNSjC/BBl8nsgHd1zqRq0w/Kd6e7L59juBPkFgk=\n"
)

func goldenKey(t testing.TB) *Key {
	t.Helper()
	o, _ := newOptions(t)
	put(t, o, entryOf(t, seeds[0], name, o.Sealer))
	return mustOpen(t, o)
}

func TestGolden(t *testing.T) {
	k := goldenKey(t)
	if k.Verifier() != goldenVerifier {
		t.Errorf("verifier %s, want %s", k.Verifier(), goldenVerifier)
	}
	if got := mustSign(t, k, goldenText); string(got) != golden {
		t.Errorf("signed:\n%s\nwant:\n%s", got, golden)
	}
	if text, err := Verify([]byte(golden), goldenVerifier); err != nil || string(text) != goldenText {
		t.Errorf("Verify = %q, %v", text, err)
	}
}

// What a customer can do without this program, by the letter of C2SP signed-note:
// https://c2sp.org/signed-note, "Format" and "Ed25519 signatures".
func TestNoteVerifiesByTheSpecification(t *testing.T) {
	o, _ := newOptions(t)
	k := mustOpen(t, o)
	for _, text := range []string{goldenText, "\n", "\n\n\n", "x\n\n", "— a b\n", golden} {
		signed := mustSign(t, k, text)
		at := bytes.LastIndex(signed, []byte("\n\n"))
		if string(signed[:at+1]) != text {
			t.Fatalf("the text before the last empty line of %q is not what was signed", signed)
		}
		encoded, named := bytes.CutPrefix(signed[at+2:], []byte("— jiragate/us "))
		encoded, ended := bytes.CutSuffix(encoded, []byte("\n"))
		if !named || !ended || bytes.IndexByte(encoded, '\n') >= 0 {
			t.Fatalf("after the empty line: %q, want one line of a signature", signed[at+2:])
		}
		raw, err := base64.StdEncoding.Strict().DecodeString(string(encoded))
		if err != nil || len(raw) != 4+ed25519.SignatureSize {
			t.Fatalf("the signature is %x, %v", raw, err)
		}
		parts := strings.SplitN(k.Verifier(), "+", 3)
		key, err := base64.StdEncoding.Strict().DecodeString(parts[2])
		if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 0x01 {
			t.Fatalf("the key is %x, %v", key, err)
		}
		hash := sha256.Sum256(append([]byte("jiragate/us\n\x01"), key[1:]...))
		if !bytes.Equal(raw[:4], hash[:4]) || parts[1] != fmt.Sprintf("%x", hash[:4]) {
			t.Errorf("the hash is %x, %s in the verifier; want %x", raw[:4], parts[1], hash[:4])
		}
		if !ed25519.Verify(key[1:], []byte(text), raw[4:]) {
			t.Errorf("%q: the signature is false", text)
		}
	}
}

// A note of others', from the documentation of golang.org/x/mod/sumdb/note.
func TestVerifyAForeignNote(t *testing.T) {
	const text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
	got, err := Verify([]byte(text+"\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"),
		"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
	if err != nil || string(got) != text {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSignRefuses(t *testing.T) {
	k := goldenKey(t)
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", "does not end in a newline"},
		{"no newline at the end", "text", "does not end in a newline"},
		{"a carriage return", "text\r\n", "control character 0x0d at byte 4"},
		{"a tab", "a\tb\n", "control character 0x09"},
		{"a zero byte", "\x00\n", "control character 0x00"},
		{"an escape sequence", "\x1b[1m\n", "control character 0x1b"},
		{"Latin-1", "caf\xe9\n", "not valid UTF-8"},
		{"half a surrogate pair", "\xed\xa0\x80\n", "not valid UTF-8"},
		{"an overlong newline", "a\xc0\x8a\n", "not valid UTF-8"},
		{"one byte too many", strings.Repeat("x", maxText) + "\n", "more than 1048576"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if signed, err := k.Sign([]byte(test.text)); err == nil || signed != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q, %v; want %q", signed, err, test.want)
			}
		})
	}
}

func TestLargestText(t *testing.T) {
	k := goldenKey(t)
	text := strings.Repeat("x", maxText-1) + "\n"
	if got, err := Verify(mustSign(t, k, text), k.Verifier()); err != nil || string(got) != text {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	o, _ := newOptions(t)
	entries := putBoth(t, o)
	other := entries[1].text // jiragate/us+7b528cc8+…
	signature := strings.TrimPrefix(golden, goldenText+"\n")
	namesake, err := newIdentity("jiragate/eu", entries[0].public)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		signed    string
		verifiers []string
		want      string
	}{
		{"no verifier", golden, nil, "no verifier is given"},
		{"another key", golden, []string{other}, "not signed by any"},
		{"the key under another name", golden, []string{namesake.text}, "not signed by any"},
		{"a verifier cut", golden, []string{goldenVerifier[:60]}, "verifier 1 of 1"},
		{"a verifier with another hash", golden, []string{strings.Replace(goldenVerifier, "dd9ee1c0", "dd9ee1c1", 1)}, "hash"},
		{"a verifier with another key", golden, []string{goldenVerifier[:len(goldenVerifier)-2] + "Eb"}, "hash"},
		{"a good verifier and an empty one", golden, []string{goldenVerifier, ""}, "verifier 2 of 2"},

		{"a changed text", strings.Replace(golden, "52.54", "52.55", 1), []string{goldenVerifier}, "invalid signature"},
		{"a line less", strings.Replace(golden, "\n2600:1f18::1 – announced\n", "", 1), []string{goldenVerifier}, "invalid signature"},
		{"a newline more", goldenText + "\n\n" + signature, []string{goldenVerifier}, "invalid signature"},
		{"a carriage return", strings.Replace(golden, "\n", "\r\n", 1), []string{goldenVerifier}, "malformed note"},
		{"a changed signature", strings.Replace(golden, "wNCyD", "wNCyE", 1), []string{goldenVerifier}, "invalid signature"},
		{"a short signature", goldenText + "\n— jiragate/us 3Z7hwNCyDju/\n", []string{goldenVerifier}, "invalid signature"},
		{"a changed hash", strings.Replace(golden, "3Z7hw", "4Z7hw", 1), []string{goldenVerifier}, "not signed by any"},
		{"a changed name", strings.Replace(golden, "— jiragate/us", "— jiragate/eu", 1), []string{goldenVerifier}, "not signed by any"},
		{"a hyphen for the dash", strings.Replace(golden, "\n— ", "\n- ", 1), []string{goldenVerifier}, "malformed note"},
		{"no empty line", strings.Replace(golden, "\n\n—", "\n—", 1), []string{goldenVerifier}, "malformed note"},
		{"no newline at the end", strings.TrimSuffix(golden, "\n"), []string{goldenVerifier}, "malformed note"},
		{"no signature", goldenText, []string{goldenVerifier}, "malformed note"},
		{"no text", signature, []string{goldenVerifier}, "malformed note"},
		{"nothing", "", []string{goldenVerifier}, "malformed note"},
		{"the signature of another text", "x\n\n" + signature, []string{goldenVerifier}, "invalid signature"},
		{"a false signature beside a good one", golden + "— jiragate/us " + base64.StdEncoding.EncodeToString(append([]byte{0x7b, 0x52, 0x8c, 0xc8}, make([]byte, 64)...)) + "\n",
			[]string{goldenVerifier, other}, "invalid signature"},
		{"101 signatures", golden + strings.Repeat("— other AAAAAAAA\n", 100), []string{goldenVerifier}, "malformed note"},
		{"a huge note", strings.Repeat("x", maxNote) + golden, []string{goldenVerifier}, "larger than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if text, err := Verify([]byte(test.signed), test.verifiers...); err == nil || text != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q, %v; want %q", text, err, test.want)
			}
		})
	}
}

func TestVerifyPassesOverOthers(t *testing.T) {
	o, _ := newOptions(t)
	other := putBoth(t, o)[1].text
	for name, test := range map[string]struct {
		signed    string
		verifiers []string
	}{
		"an unknown signature":       {golden + "— witness AAAAAAAA\n", []string{goldenVerifier}},
		"an unknown one of our name": {golden + "— jiragate/us AAAAAAAA\n", []string{goldenVerifier}},
		"99 of them":                 {golden + strings.Repeat("— witness AAAAAAAA\n", 99), []string{goldenVerifier}},
		"a verifier that is not of it": {
			golden, []string{other, goldenVerifier}},
		"a verifier given twice": {golden, []string{goldenVerifier, goldenVerifier}},
	} {
		if text, err := Verify([]byte(test.signed), test.verifiers...); err != nil || string(text) != goldenText {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// Whatever may be signed verifies as what was signed; and whichever byte of the
// note is changed into whatever, it is nothing else that verifies. (Two bits at the
// end of the base64 mean nothing.)
func TestRoundTrip(t *testing.T) {
	k := goldenKey(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.OneOf(
			rapid.SampledFrom([]rune("\n\n— ab+")),
			rapid.Rune().Filter(func(r rune) bool { return r >= ' ' }),
		)).Draw(t, "text") + "\n"
		signed, err := k.Sign([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Verify(signed, k.Verifier()); err != nil || string(got) != text {
			t.Fatalf("Verify = %q, %v", got, err)
		}
		spoilt := bytes.Clone(signed)
		spoilt[rapid.IntRange(0, len(spoilt)-1).Draw(t, "at")] ^= rapid.ByteRange(1, 255).Draw(t, "flip")
		if got, err := Verify(spoilt, k.Verifier()); err == nil && string(got) != text {
			t.Fatalf("%q verifies as %q", spoilt, got)
		}
	})
}

// FuzzVerify: of all notes, those alone verify whose text the key has signed. That
// text stands at the beginning, and a line of the signer's after it.
func FuzzVerify(f *testing.F) {
	if _, err := Verify([]byte(golden), goldenVerifier); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(golden))
	f.Add([]byte(golden + "— witness AAAAAAAA\n"))
	f.Add([]byte("x\n\n" + golden))
	f.Add([]byte(strings.Replace(golden, "52.54", "52.55", 1)))
	f.Add([]byte(goldenText))
	f.Add([]byte("\n\n— jiragate/us 3Z7hwNCyDju/\n"))
	f.Fuzz(func(t *testing.T, signed []byte) {
		text, err := Verify(signed, goldenVerifier)
		if err != nil {
			return
		}
		if string(text) != goldenText {
			t.Errorf("%q was never signed", text)
		}
		rest, ok := bytes.CutPrefix(signed, []byte(goldenText+"\n"))
		if !ok || !bytes.Contains(rest, []byte("— jiragate/us 3Z7hw")) {
			t.Errorf("%q verifies", signed)
		}
		if n, err := note.Open(signed, nil); err == nil || n != nil {
			t.Errorf("%q verifies without a key", signed)
		}
	})
}
