package signer

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// written is a file as it is written, with something else sealed.
const written = `{
  "version": 1,
  "keys": [
    {"created":"2026-11-23T10:00:00Z","verifier":"jiragate/us+dd9ee1c0+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea","sealed":"AQIDBA=="},
    {"created":"2026-11-24T10:00:00Z","verifier":"jiragate/us+7b528cc8+AT1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM","sealed":"AQIDBAU="}
  ]
}
`

func TestFormat(t *testing.T) {
	entries, err := parse([]byte(written))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := format(entries); err != nil || string(got) != written {
		t.Errorf("it is written as %s (%v)", got, err)
	}
	if e := entries[0]; e.Name() != name || e.text != goldenVerifier || !e.created.Equal(made) || !bytes.Equal(e.sealed, []byte{1, 2, 3, 4}) {
		t.Errorf("the first key is %s %s %s %x", e.Name(), e.text, e.created, e.sealed)
	}
}

func TestParseLeavesWhiteSpaceFree(t *testing.T) {
	for name, content := range map[string]string{
		"none":    strings.Join(strings.Fields(written), ""),
		"Windows": strings.ReplaceAll(written, "\n", "\r\n"),
		"more":    strings.NewReplacer(`":`, "\" :\n", `",`, "\" ,\t").Replace(written),
	} {
		entries, err := parse([]byte(content))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got, _ := format(entries); string(got) != written {
			t.Errorf("%s: it is read as %s", name, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	first := written[strings.Index(written, "    {"):strings.Index(written, ",\n    {")]
	for _, test := range []struct{ name, old, new, says string }{
		{"an unknown name", `"version": 1,`, `"version": 1, "owner": "me",`, `unknown field "owner"`},
		{"an unknown name in a key", `"sealed"`, `"why":"moved","sealed"`, `unknown field "why"`},
		{"a newer version", `"version": 1`, `"version": 2, "more": {}`, "format version is 2, and this jiragate knows 1: use the jiragate that wrote it"},
		{"no version", `"version": 1,`, ``, "format version is 0"},
		{"a version in words", `"version": 1`, `"version": "1"`, "not the JSON it should be"},
		{"a version with a fraction", `"version": 1`, `"version": 1.0`, "not the JSON it should be"},
		{"something after it", "}\n", "}\n{}", "not the JSON it should be"},
		{"half of it", "  ]\n}\n", "", "not the JSON it should be"},
		{"nothing", written, "", "not the JSON it should be"},
		{"zeros, as after a power failure", written, strings.Repeat("\x00", len(written)), "not the JSON it should be"},
		{"null", written, "null", "format version is 0"},
		{"a byte order mark", "{\n  \"version", "\ufeff{\n  \"version", "not the JSON it should be"},
		{"a name twice", `"version": 1,`, `"version": 1, "version": 1,`, "not as jiragate writes it"},
		{"a name twice, the last of which counts", `"sealed":"AQIDBA=="`, `"sealed":"AAAA","sealed":"AQIDBA=="`, "not as jiragate writes it"},
		{"a name in capitals", `"sealed":"AQIDBA=="`, `"Sealed":"AQIDBA=="`, "not as jiragate writes it"},
		{"an escape that isn't needed", `"verifier":"j`, `"verifier":"\u006a`, "not as jiragate writes it"},

		{"no keys", written, `{"version":1,"keys":[]}`, "it holds 0 keys"},
		{"null for keys", written, `{"version":1,"keys":null}`, "it holds 0 keys"},
		{"too many keys", first, strings.Repeat(first+",", maxKeys) + first, fmt.Sprintf("it holds %d keys", maxKeys+2)},
		{"a key twice", first, first + "," + first, "key 2: there is one with the hash dd9ee1c0 before it"},
		{"null for a key", first, "null", "key 1: its verifier"},
		{"keys of two names", "jiragate/us+7b528cc8+AT1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM", otherName(t), "key 2: it is named jiragate/eu, unlike the one before it, jiragate/us"},

		{"no verifier", `"verifier":"jiragate/us+dd9ee1c0+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",`, ``, "key 1: its verifier"},
		{"a verifier with another name", "jiragate/us+dd", "jiragate/eu+dd", "key 1: its verifier: invalid verifier hash"},
		{"a verifier with another hash", "dd9ee1c0", "dd9ee1c1", "invalid verifier hash"},
		{"a verifier with another key", "B1Ea", "B1Eb", "invalid verifier hash"},
		{"a hash in capitals", "dd9ee1c0", "DD9EE1C0", "it is written jiragate/us+dd9ee1c0+"},
		{"base64 of the key with an end", "B1Ea", "B1Ea=", "malformed verifier"},
		{"base64 of the key with a newline", "B1Ea", `B1\nEa`, "it is written jiragate/us+dd9ee1c0+"},
		{"a key of another kind", goldenVerifier, otherKind(), "unknown verifier algorithm"},

		{"nothing sealed", "AQIDBA==", "", "what is sealed is 0 bytes long"},
		{"null sealed", `"AQIDBA=="`, "null", "what is sealed is 0 bytes long"},
		{"too much sealed", "AQIDBA==", strings.Repeat("AAAA", maxSealed/3+1), "what is sealed is 4098 bytes long"},
		{"what isn't base64", "AQIDBA==", "AQ!DBA==", "not the JSON it should be"},
		{"bits at the end of base64", "AQIDBA==", "AQIDBB==", "not as jiragate writes it"},
		{"a newline in base64", "AQIDBA==", `AQID\nBA==`, "not as jiragate writes it"},

		{"parts of a second", "23T10:00:00Z", "23T10:00:00.5Z", "times are whole seconds"},
		{"a fraction of zero", "23T10:00:00Z", "23T10:00:00.0Z", "not as jiragate writes it"},
		{"another time zone", "23T10:00:00Z", "23T10:00:00+00:00", "not as jiragate writes it"},
		{"another hour of another time zone", "23T10:00:00Z", "23T11:00:00+01:00", "not as jiragate writes it"},
		{"no time", `"created":"2026-11-23T10:00:00Z",`, ``, "it was not made at 0001-01-01T00:00:00Z"},
		{"what isn't a time", "2026-11-23T10:00:00Z", "2026-11-31T10:00:00Z", "not the JSON it should be"},
	} {
		t.Run(test.name, func(t *testing.T) {
			content := strings.Replace(written, test.old, test.new, 1)
			if content == written {
				t.Fatal("nothing was spoilt")
			}
			_, err := parse([]byte(content))
			if err == nil {
				t.Fatalf("it is read: %s", content)
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %q does not say %q", err, test.says)
			}
			if !strings.Contains(err.Error(), "restore the file from a backup") && !strings.Contains(err.Error(), ": use ") {
				t.Errorf("error %q does not say what to do", err)
			}
		})
	}
}

// otherName is the second key under the name of another region.
func otherName(t *testing.T) string {
	t.Helper()
	id, err := parseIdentity("jiragate/us+7b528cc8+AT1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM")
	if err != nil {
		t.Fatal(err)
	}
	if id, err = newIdentity("jiragate/eu", id.public); err != nil {
		t.Fatal(err)
	}
	return id.text
}

// A full file of the longest keys can be written and read again, also with a name
// that takes the most room in JSON.
func TestBounds(t *testing.T) {
	var (
		entries []entry
		before  private
	)
	for i := range maxKeys {
		p, err := generate(strings.Repeat("<", maxName))
		if err != nil {
			t.Fatal(err)
		}
		e := entry{p.identity, time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC), make([]byte, maxSealed), ""}
		if i > 0 {
			if e.succession, err = succeed(before, p); err != nil {
				t.Fatal(err)
			}
		}
		entries, before = append(entries, e), p
	}
	content, err := encode(entries)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parse(append(content, bytes.Repeat([]byte{' '}, maxFile)...)); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a larger file: %v", err)
	}
}

// FuzzParse: what is read is written as something that is read as the same, and
// that something is the same again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{written, strings.Join(strings.Fields(written), ""), rotated} {
		if _, err := parse([]byte(seed)); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(seed))
	}
	for _, spoilt := range []string{
		"", "null", `{"version":2}`, written + "x",
		strings.Replace(written, "us+7b", "eu+7b", 1),
		strings.Replace(rotated, "key succession", "key", 1),
		strings.Replace(written, "AQIDBA==", "AQIDBB==", 1),
		strings.Replace(written, "10:00:00Z", "10:00:00+00:00", 1),
	} {
		f.Add([]byte(spoilt))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		entries, err := parse(content)
		if err != nil {
			return
		}
		once, err := format(entries)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(once)
		if err != nil {
			t.Fatalf("%s is written as %s: %v", content, once, err)
		}
		if !slices.EqualFunc(again, entries, func(a, b entry) bool {
			return a.text == b.text && a.created.Equal(b.created) && bytes.Equal(a.sealed, b.sealed) && a.succession == b.succession
		}) {
			t.Errorf("%v is read again as %v", entries, again)
		}
		if twice, err := format(again); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s is written as %s (%v)", once, twice, err)
		}
		for i, e := range entries {
			if e.Name() != entries[0].Name() || slices.Contains(texts(entries[:i]), e.text) || checkName(e.Name()) != nil {
				t.Errorf("the keys %q", texts(entries))
			}
		}
	})
}

// otherKind is a well-formed verifier of a key of type 4, for cosignatures.
func otherKind() string {
	key := append([]byte{4}, make([]byte, 32)...)
	hash := sha256.Sum256(append([]byte(name+"\n"), key...))
	return fmt.Sprintf("%s+%x+%s", name, hash[:4], base64.StdEncoding.EncodeToString(key))
}
