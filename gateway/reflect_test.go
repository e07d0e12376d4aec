package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSecretsAreFoundInTheFormsInWhichServersReflect(t *testing.T) {
	var s secrets
	s.add(`jira-bot:p"ss wörd/+`)
	for name, answer := range map[string]string{
		"base64url":         base64.RawURLEncoding.EncodeToString([]byte(`jira-bot:p"ss wörd/+`)),
		"hexadecimal":       hex.EncodeToString([]byte(`jira-bot:p"ss wörd/+`)),
		"HTML":              "<p>jira-bot:p&#34;ss wörd/+</p>",
		"HTML, slash too":   "<p>jira-bot:p&#34;ss wörd&#47;+</p>",
		"JSON, slash too":   `{"auth":"jira-bot:p\"ss wörd\/+"}`,
		"lower-case escape": "?auth=jira-bot%3ap%22ss+w%c3%b6rd%2f%2b",
		"as it is":          `you sent jira-bot:p"ss wörd/+ to us`,
		"Basic":             "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(`jira-bot:p"ss wörd/+`)),
		"JSON string":       `{"auth":"jira-bot:p\"ss wörd/+"}`,
		"query":             "?auth=jira-bot%3Ap%22ss+w%C3%B6rd%2F%2B",
		"path segment":      "/auth/jira-bot:p%22ss%20w%C3%B6rd%2F+",
	} {
		if !s.in([]byte(answer)) {
			t.Errorf("%s: not found in %s", name, answer)
		}
	}
	if s.in([]byte(`{"name":"jira-bot","displayName":"Jira Bot"}`)) {
		t.Error("found in an answer that does not hold it")
	}
}

// A password with characters that some encoders escape and others don't is
// found either way, and a long plain run of a secret by itself.
func TestSecretsAreFoundInEscapesThatVary(t *testing.T) {
	var s secrets
	s.add(`s3cr/t&pass=w?rd"<1>`)
	for name, answer := range map[string]string{
		"JSON, only the quote escaped": `{"p":"s3cr/t&pass=w?rd\"<1>"}`,
		"JSON, HTML escaped as well":   `{"p":"s3cr/t\u0026pass=w?rd\"\u003c1\u003e"}`,
	} {
		if !s.in([]byte(answer)) {
			t.Errorf("%s: not found in %s", name, answer)
		}
	}
	var token secrets
	token.addRun("eyJhbGciOiJSUzI1NiJ9.dGhpcyBpcyBhIGxvbmcgcGF5bG9hZA.c2lnbmF0dXJl")
	if !token.in([]byte("eyJhbGciOiJSUzI1NiJ9%2EdGhpcyBpcyBhIGxvbmcgcGF5bG9hZA%2E")) {
		t.Error("the payload of a token was not found")
	}
}

// exactly is a secret that is looked for as it is only.
func exactly(value string) secrets {
	var s secrets
	s.enter(value, func(f *forms, value string) { f.append(value) }).anchors.add(longestRun(value))
	return s
}

// However an answer is cut into pieces: one that holds a secret is stopped
// before a byte of the secret's end is passed on, and one that holds none
// passes whole.
func TestScannerIsIndependentOfPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[ab]{1,8}c`).Draw(t, "secret")
		text := rapid.StringMatching(`[abcd]{0,60}`).Draw(t, "text")
		s := scanner{secrets: exactly(secret)}
		var passed bytes.Buffer
		found := false
		for rest := []byte(text); len(rest) > 0 && !found; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			pass, ok := s.next(rest[:n])
			passed.Write(pass)
			found, rest = !ok, rest[n:]
		}
		if !found {
			passed.Write(s.rest())
		}
		if found != strings.Contains(text, secret) {
			t.Fatalf("secret %q in %q: found %v", secret, text, found)
		}
		if !found && passed.String() != text {
			t.Fatalf("passed %q of %q", passed.String(), text)
		}
		if strings.Contains(passed.String(), secret) || !strings.HasPrefix(text, passed.String()) {
			t.Fatalf("passed %q of %q, secret %q", passed.String(), text, secret)
		}
	})
}

// What cannot begin a secret is not held back: answers flow as they come.
func TestScannerHoldsBackOnlyBeginningsOfSecrets(t *testing.T) {
	s := scanner{secrets: exactly("secret")}
	for _, tt := range []struct{ piece, want string }{
		{`{"a":1}`, `{"a":1}`},
		{"no se", "no "},
		{"cre", ""},
		{"am", "secream"},
	} {
		if got, ok := s.next([]byte(tt.piece)); !ok || string(got) != tt.want {
			t.Errorf("next(%q) = %q, %v; want %q", tt.piece, got, ok, tt.want)
		}
	}
}

func BenchmarkScanner(b *testing.B) {
	s := scanner{secrets: exactly(strings.Repeat("Zm9v", 500))}
	piece := bytes.Repeat([]byte(`{"id":"10000","key":"ACME"}`), 1200)
	b.SetBytes(int64(len(piece)))
	for b.Loop() {
		if _, ok := s.next(piece); !ok {
			b.Fatal("found a secret that isn't there")
		}
	}
}
