package signer

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"jiragate/gateway/audit/checkpoint"
)

// goldenSuccession is that from the first known key to the second. Both signatures
// were made with OpenSSL, and with the cryptography package of Python.
const goldenSuccession = `jiragate audit key succession
jiragate/us+dd9ee1c0+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea
jiragate/us+7b528cc8+AT1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM

— jiragate/us 3Z7hwHzSVwmaDwEnYdbdBq3+IGyqk1OXQrRHd76nL0oNnLtZKPRgffNPF01ZHxbB2KPESEIKRZhjJvfR46S+lxEBnAI=
— jiragate/us e1KMyIUtTXseAjmPJuIaWh5y4y+cdbJKXP/Z6HqsP93+FH+pk90Fg8QtduUP8mEXGD01TscX2oyyRARJk1zF2+yirgY=
`

// rotated is a file as it is written after a rotation.
var rotated = strings.Replace(written, `"AQIDBAU="}`, `"AQIDBAU=","succession":"`+strings.ReplaceAll(goldenSuccession, "\n", `\n`)+`"}`, 1)

// known opens the two known keys.
func known(t testing.TB) (older, newer private) {
	t.Helper()
	o, _ := newOptions(t)
	var both [2]private
	for i, seed := range seeds {
		e := entryOf(t, seed, name, o.Sealer)
		p, err := e.unseal(e.sealed, o.Sealer)
		if err != nil {
			t.Fatal(err)
		}
		both[i] = p
	}
	return both[0], both[1]
}

func TestGoldenSuccession(t *testing.T) {
	older, newer := known(t)
	if got, err := succeed(older, newer); err != nil || got != goldenSuccession {
		t.Errorf("%s (%v), want %s", got, err, goldenSuccession)
	}
}

// What auditors use learns from the successions of a file, and shares no code with
// what wrote them.
func TestAuditorsLearnFromSuccessions(t *testing.T) {
	o, _ := newOptions(t)
	k := mustOpen(t, o)
	trust, err := checkpoint.NewTrust(k.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		mustRotateKey(t, k)
	}
	for i, s := range mustOpen(t, o).Successions() { // as they are in the file
		if v, learned, err := trust.Learn(s); v != k.Verifiers()[i+1] || !learned || err != nil {
			t.Errorf("succession %d: %q, %v, %v", i+1, v, learned, err)
		}
	}
	head := checkpoint.Checkpoint{Origin: k.Name(), Size: 7}
	if got, err := trust.Open(mustSign(t, k, string(head.Text()))); err != nil || got != head {
		t.Errorf("the newest key's checkpoint: %+v, %v", got, err)
	}
}

// A file of before there were successions, and one with them, is rewritten byte by
// byte, and sealing its keys again leaves the successions as they are.
func TestFormatOfSuccessions(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		want    []string
	}{
		"without": {written, nil},
		"with":    {rotated, []string{goldenSuccession}},
	} {
		entries, err := parse([]byte(test.content))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := format(entries); err != nil || string(got) != test.content {
			t.Errorf("%s: it is written as %s (%v)", name, got, err)
		}
		if got := successions(entries); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", test.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A key of which nobody vouches may stand before one that was rotated to.
func TestRotateAfterKeysWithoutSuccession(t *testing.T) {
	o, ring := newOptions(t)
	entries := putBoth(t, o)
	before := strings.TrimSuffix(string(readFile(t, o.Path)), "\n  ]\n}\n")
	k := mustOpen(t, o)
	v := mustRotateKey(t, k)
	if after := string(readFile(t, o.Path)); !strings.HasPrefix(after, before+",\n") {
		t.Errorf("the keys that were there are written otherwise now:\n%s\n%s", before, after)
	}
	want := successionHeader + entries[1].text + "\n" + v + "\n"
	if all := k.Successions(); len(all) != 1 || !bytes.HasPrefix(all[0], []byte(want+"\n")) {
		t.Errorf("successions %q", all)
	}
	succession := k.Successions()[0]
	mustRotate(t, ring)
	if changed, err := k.Reseal(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if all := mustOpen(t, o).Successions(); len(all) != 1 || !bytes.Equal(all[0], succession) {
		t.Errorf("sealed again, the successions are %q", all)
	}
}

func TestParseRefusesSuccessions(t *testing.T) {
	older, newer := known(t)
	signed := func(text string, by ...note.Signer) string {
		b, err := note.Sign(&note.Note{Text: text}, by...)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	text := successionText(older.identity, newer.identity)
	escape := func(s string) string { return strings.ReplaceAll(s, "\n", `\n`) }
	for _, test := range []struct{ name, succession, says string }{
		{"not a note", "text\n", "malformed note"},
		{"a changed text", strings.Replace(goldenSuccession, "audit", "audIt", 1), "invalid signature"},
		{"a changed signature", strings.Replace(goldenSuccession, "3Z7hwHz", "3Z7hwHy", 1), "invalid signature"},
		{"only the old key", signed(text, older), "not signed by both"},
		{"only the new key", signed(text, newer), "not signed by both"},
		{"the new key first", signed(text, newer, older), "not as jiragate writes it"},
		{"another signature", goldenSuccession + "— witness AAAAAAAA\n", "not as jiragate writes it"},
		{"a signature twice", goldenSuccession + goldenSuccession[strings.LastIndex(goldenSuccession, "— "):], "not as jiragate writes it"},
		{"bits at the end of base64", strings.Replace(goldenSuccession, "BnAI=\n", "BnAJ=\n", 1), "not as jiragate writes it"},
		{"the keys the other way round", signed(successionText(newer.identity, older.identity), older, newer), "is not that from"},
		{"another kind of text", signed(goldenText, older, newer), "is not that from"},
		{"a further line", signed(text+"more\n", older, newer), "is not that from"},
	} {
		t.Run(test.name, func(t *testing.T) {
			content := strings.Replace(rotated, escape(goldenSuccession), escape(test.succession), 1)
			if content == rotated {
				t.Fatal("nothing was spoilt")
			}
			_, err := parse([]byte(content))
			if err == nil || !strings.Contains(err.Error(), "key 2: its succession") || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "restore the file from a backup") {
				t.Errorf("error %v does not say %q", err, test.says)
			}
		})
	}
	for name, test := range map[string]struct{ content, says string }{
		"of the first key": {
			strings.Replace(written, `"AQIDBA=="`, `"AQIDBA==","succession":"`+escape(goldenSuccession)+`"`, 1), "there is no key before it"},
		"an empty one":          {strings.Replace(written, `"AQIDBAU="`, `"AQIDBAU=","succession":""`, 1), "not as jiragate writes it"},
		"null":                  {strings.Replace(written, `"AQIDBAU="`, `"AQIDBAU=","succession":null`, 1), "not as jiragate writes it"},
		"an escape of the dash": {strings.Replace(rotated, "—", `\u2014`, 1), "not as jiragate writes it"},
		"before what is sealed": {strings.Replace(rotated, `"sealed":"AQIDBAU=",`, ``, 1), "what is sealed is 0 bytes"},
	} {
		if _, err := parse([]byte(test.content)); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v does not say %q", name, err, test.says)
		}
	}
}

// Nobody who may choose a text gets a succession signed; and whatever byte of one
// is changed, it counts no more.
func TestSuccessionIsForRotateAlone(t *testing.T) {
	k := goldenKey(t)
	older, newer := known(t)
	for _, text := range []string{successionText(older.identity, newer.identity), successionHeader} {
		if signed, err := k.Sign([]byte(text)); err == nil || signed != nil || !strings.Contains(err.Error(), "succession") {
			t.Errorf("%q, %v", signed, err)
		}
	}
	for i := range goldenSuccession {
		for _, flip := range []byte{1, 4, 0x20, 0x80} {
			spoilt := []byte(goldenSuccession)
			spoilt[i] ^= flip
			if checkSuccession(string(spoilt), older.identity, newer.identity) == nil {
				t.Errorf("with byte %d changed, it counts: %q", i, spoilt)
			}
		}
	}
	for i := range len(goldenSuccession) {
		if checkSuccession(goldenSuccession[:i], older.identity, newer.identity) == nil {
			t.Errorf("cut after %d bytes, it counts", i)
		}
	}
}
