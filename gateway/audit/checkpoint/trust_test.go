package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const goldenCheckpoint = `jiragate/us
3
iCIyX9zBGYmFCm/YdY4s/TS+RFsIwip/Dy1kUEzu4k8=

— jiragate/us 3Z7hwFRYMVHKTVoGH+TG70tLwTIhIEh5xrcWE8dTzeZ3wW/w3EvCD/T9vClaYxaE0G92Kg2qx7ACODQ5J1JEL5D+JQo=
`

func TestOpensWhatATrustedKeySigned(t *testing.T) {
	first, second := knownSigners()
	witness := newSigner("witness.example", 7)
	want := Checkpoint{name, 3, treeHash(lines(3))}
	text := string(want.Text())
	for _, test := range []struct {
		name   string
		signed string
		trust  []string
	}{
		{"golden", goldenCheckpoint, []string{firstVerifier}},
		{"one of two trusted keys", goldenCheckpoint, []string{secondVerifier, firstVerifier}},
		{"a key given twice", goldenCheckpoint, []string{firstVerifier, firstVerifier}},
		{"two signatures, one of which is known", string(signed(text, second, first)), []string{firstVerifier}},
		{"a witness beside the log", string(signed(text, witness, first)), []string{firstVerifier}},
		{"a witness of another algorithm", goldenCheckpoint + "— witness AAAAAAAA\n", []string{firstVerifier}},
	} {
		c, err := mustTrust(t, test.trust...).Open([]byte(test.signed))
		if err != nil || c != want {
			t.Errorf("%s: %+v, %v", test.name, c, err)
		}
	}
}

func TestRefusesWhatIsNotSigned(t *testing.T) {
	first, second := knownSigners()
	namesake := signer{"jiragate/eu", first.key}
	text := string(Checkpoint{name, 3, treeHash(lines(3))}.Text())
	for _, test := range []struct {
		name     string
		signed   string
		unsigned bool
		says     string
	}{
		{"another key", string(signed(text, second)), true, "not signed by a trusted key of jiragate/us"},
		{"the key under another name", string(signed(text, namesake)), true, "not signed by a trusted key"},
		{"another name on the line", strings.Replace(goldenCheckpoint, "— jiragate/us", "— jiragate/eu", 1), true, "not signed by a trusted key"},
		{"a changed size", strings.Replace(goldenCheckpoint, "\n3\n", "\n4\n", 1), false, "was changed after it was signed"},
		{"a false signature beside that of another", string(signed(text, second)) + goldenCheckpoint[strings.LastIndex(goldenCheckpoint, "— "):len(goldenCheckpoint)-5] + "AAo=\n", false, "is false"},
		{"bits at the end of base64", strings.Replace(goldenCheckpoint, "JQo=", "JQp=", 1), false, "not as base64 is written"},
		{"a log of another name", string(signed(string(Checkpoint{"jiragate/eu", 3, [32]byte{}}.Text()), first)), false, "of the log jiragate/eu, and signed by a key of jiragate/us"},
		{"an extension line", string(signed(text+"more\n", first)), false, "further lines"},
		{"another kind of text", string(signed("52.54.159.237\n", first)), false, "not three lines"},
		{"a succession", goldenSuccession, false, "three lines"},
		{"no signature", text, false, "not a signed note"},
		{"nothing", "", false, "not a signed note"},
		{"a carriage return", strings.Replace(goldenCheckpoint, "\n", "\r\n", 1), false, "not a signed note"},
		{"101 signatures", goldenCheckpoint + strings.Repeat("— other AAAAAAAA\n", 100), false, "not a signed note"},
		{"a huge note", strings.Repeat("x", maxSigned) + goldenCheckpoint, false, "more than 65536"},
	} {
		c, err := mustTrust(t, firstVerifier).Open([]byte(test.signed))
		if err == nil || c != (Checkpoint{}) || errors.Is(err, ErrUnsigned) != test.unsigned || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %+v, error %v (ErrUnsigned: %v) does not say %q", test.name, c, err, errors.Is(err, ErrUnsigned), test.says)
		}
	}
}

// The largest note is opened.
func TestBoundOfSigned(t *testing.T) {
	room := maxSigned - len(goldenCheckpoint) - len("—  AAAAAAAA\n")
	if c, err := mustTrust(t, firstVerifier).Open([]byte(goldenCheckpoint + "— " + strings.Repeat("w", room) + " AAAAAAAA\n")); err != nil || c.Size != 3 {
		t.Errorf("%+v, %v", c, err)
	}
}

// Whatever byte of a checkpoint is changed, or wherever it is cut,
// it does not open.
func TestEachByteOfACheckpointCounts(t *testing.T) {
	trust := mustTrust(t, firstVerifier, secondVerifier)
	for i := range len(goldenCheckpoint) {
		if _, err := trust.Open([]byte(goldenCheckpoint[:i])); err == nil {
			t.Errorf("cut after %d bytes, it opens", i)
		}
		for _, other := range others(goldenCheckpoint[i]) {
			spoilt := []byte(goldenCheckpoint)
			spoilt[i] = other
			if c, err := trust.Open(spoilt); err == nil {
				t.Errorf("with byte %d changed, it opens as %+v: %q", i, c, spoilt)
			}
		}
	}
}

func TestNewTrustRefuses(t *testing.T) {
	first, second := knownSigners()
	for _, test := range []struct {
		name      string
		verifiers []string
		says      string
	}{
		{"nothing", nil, "no key to trust"},
		{"an empty one", []string{firstVerifier, ""}, "key 2 of 2"},
		{"one cut", []string{firstVerifier[:60]}, "not a public key"},
		{"another hash", []string{strings.Replace(firstVerifier, "dd9ee1c0", "dd9ee1c1", 1)}, "not a public key"},
		{"a hash in capitals", []string{strings.Replace(firstVerifier, "dd9ee1c0", "DD9EE1C0", 1)}, "another spelling"},
		{"a newline in base64", []string{strings.Replace(firstVerifier, "B1Ea", "B1\nEa", 1)}, "another spelling"},
		{"two names", []string{firstVerifier, signer{"jiragate/eu", second.key}.verifier()}, "key 2 of 2 to trust: it is named jiragate/eu, unlike one before it, jiragate/us"},
		{"a name with an escape sequence", []string{signer{"a\x1b[1m", first.key}.verifier()}, "printable ASCII"},
		{"a name that looks like another", []string{signer{"jiragate/\u0443s", first.key}.verifier()}, "printable ASCII"},
		{"a long name", []string{signer{strings.Repeat("x", maxName+1), first.key}.verifier()}, "longer"},
		{"a private key", []string{first.private()}, "it is a private key"},
		{"a private key without its beginning", []string{strings.TrimPrefix(first.private(), "PRIVATE+KEY+")}, "not a public key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			trust, err := NewTrust(test.verifiers...)
			want := strings.Replace(test.says, "longer", "than any public key", 1)
			if err == nil || trust != nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("%v, error %v does not say %q", trust, err, want)
			}
			_, readErr := ReadTrust([]byte(strings.Join(test.verifiers, "\n")))
			for _, err := range []error{err, readErr} {
				secret := first.private()[strings.LastIndex(first.private(), "+")+1:]
				if s := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(s, secret[:12]) || strings.Contains(s, secret[20:]) || strings.Contains(s, "\x1b") {
					t.Errorf("the error gives away what was given: %s", s)
				}
			}
		})
	}
}

func TestReadTrust(t *testing.T) {
	const text = "# the keys of jiragate/us\n\n  " + firstVerifier + "\t\r\n\n#" + secondVerifier + "\n" + secondVerifier + "\n" + firstVerifier
	trust, err := ReadTrust([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if trust.Name() != name || !slices.Equal(trust.Verifiers(), []string{firstVerifier, secondVerifier}) {
		t.Errorf("%s: %q", trust.Name(), trust.Verifiers())
	}
	trust.Verifiers()[0] = "changed"
	if trust.Verifiers()[0] != firstVerifier {
		t.Error("a caller can change the keys")
	}
	first, _ := knownSigners()
	for _, test := range []struct{ name, text, says string }{
		{"nothing", "", "no key to trust"},
		{"comments alone", "# none\n\n", "no key to trust"},
		{"another text", "# keys\nhello\n", "line 2 of the keys"},
		{"two on a line", firstVerifier + " " + secondVerifier, "line 1 of the keys"},
		{"a private key", "\n\n" + first.private() + "\n", "line 3 of the keys to trust: it is a private key"},
		{"two names", firstVerifier + "\n" + signer{"jiragate/eu", first.key}.verifier(), "line 2 of the keys to trust: it is named jiragate/eu"},
		{"what isn't text", "\xff\xfe", "not valid UTF-8"},
		{"a huge text", strings.Repeat("#", maxTrust+1), "more than 65536"},
	} {
		if trust, err := ReadTrust([]byte(test.text)); err == nil || trust != nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v does not say %q", test.name, err, test.says)
		}
	}
}

// FuzzOpen: of all notes, those alone open whose text the key has signed.
func FuzzOpen(f *testing.F) {
	trust := mustTrust(f, firstVerifier)
	want, err := trust.Open([]byte(goldenCheckpoint))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(goldenCheckpoint))
	f.Add([]byte(goldenCheckpoint + "— witness AAAAAAAA\n"))
	f.Add([]byte(strings.Replace(goldenCheckpoint, "\n3\n", "\n03\n", 1)))
	f.Add([]byte(goldenSuccession))
	f.Fuzz(func(t *testing.T, signed []byte) {
		c, err := trust.Open(signed)
		if err != nil {
			return
		}
		if c != want || !strings.HasPrefix(string(signed), string(want.Text())+"\n") {
			t.Errorf("%q was never signed, and opens as %+v", signed, c)
		}
		if _, err := openCheckpoint(string(signed), firstVerifier); err != nil {
			t.Errorf("%q does not open independently: %v", signed, err)
		}
	})
}

// FuzzReadTrust: what is read are public keys in their one form, of one name.
func FuzzReadTrust(f *testing.F) {
	f.Add([]byte(firstVerifier))
	f.Add([]byte("# keys\n" + firstVerifier + "\r\n\n " + secondVerifier + "\n"))
	f.Add([]byte("PRIVATE+KEY+" + firstVerifier))
	f.Fuzz(func(t *testing.T, text []byte) {
		trust, err := ReadTrust(text)
		if err != nil {
			return
		}
		again, err := ReadTrust([]byte(strings.Join(trust.Verifiers(), "\n")))
		if err != nil || !slices.Equal(again.Verifiers(), trust.Verifiers()) {
			t.Errorf("%q is read as %q, %v", trust.Verifiers(), again, err)
		}
		for _, v := range trust.Verifiers() {
			if !strings.HasPrefix(v, trust.Name()+"+") || strings.HasPrefix(v, "PRIVATE+") || !strings.Contains(string(text), v) {
				t.Errorf("%q is trusted", v)
			}
		}
	})
}

func TestSignersAreThoseThatHaveSigned(t *testing.T) {
	first, second := knownSigners()
	trust := mustTrust(t, first.verifier(), second.verifier())
	for _, s := range []signer{first, second} {
		if got := trust.Signers(signed("a text\n", s)); len(got) != 1 || got[0] != s.verifier() {
			t.Errorf("got %q, want %q", got, s.verifier())
		}
	}
	if got := trust.Signers(signed("a text\n", second, first)); len(got) != 2 || got[0] != first.verifier() {
		t.Errorf("both: %q", got)
	}
	if got := trust.Signers(signed("a text\n", newSigner(first.name, 99))); len(got) != 0 {
		t.Errorf("a stranger: %q", got)
	}
}
