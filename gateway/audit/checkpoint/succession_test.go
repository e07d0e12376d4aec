package checkpoint

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Who trusts the first key learns the second, and believes what it signs.
func TestLearn(t *testing.T) {
	_, second := knownSigners()
	trust := mustTrust(t, firstVerifier)
	later := signed(string(Checkpoint{name, 3, [32]byte{}}.Text()), second)
	if _, err := trust.Open(later); err == nil {
		t.Fatal("it is believed before it is known")
	}
	if v, learned, err := trust.Learn([]byte(goldenSuccession)); v != secondVerifier || !learned || err != nil {
		t.Fatalf("Learn = %q, %v, %v", v, learned, err)
	}
	if c, err := trust.Open(later); err != nil || c.Size != 3 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := trust.Open([]byte(goldenCheckpoint)); err != nil {
		t.Errorf("the first key is trusted no more: %v", err)
	}
	if v, learned, err := trust.Learn([]byte(goldenSuccession)); v != secondVerifier || learned || err != nil {
		t.Errorf("once more: %q, %v, %v", v, learned, err)
	}
	if !slices.Equal(trust.Verifiers(), []string{firstVerifier, secondVerifier}) {
		t.Errorf("%q are trusted", trust.Verifiers())
	}
}

func TestLearnsNothingFromOthers(t *testing.T) {
	first, second := knownSigners()
	third := newSigner(name, 3)
	elsewhere, namesake := newSigner("jiragate/eu", 4), signer{"jiragate/eu", first.key}
	for name, succession := range map[string][]byte{
		"unknown keys":                                                successionOf(second, third, second, third),
		"leads to a trusted key":                                      successionOf(second, first, second, first),
		"names a trusted key, which didn't":                           successionOf(first, third, third),
		"signed by a stranger as well":                                successionOf(first, third, third, second),
		"a trusted key under another name":                            successionOf(namesake, elsewhere, namesake, elsewhere),
		"signed by a trusted key, which is not the one that hands on": successionOf(second, third, first, second, third),
	} {
		trust := mustTrust(t, firstVerifier)
		if v, learned, err := trust.Learn(succession); v != "" || learned || err != nil {
			t.Errorf("%s: %q, %v, %v", name, v, learned, err)
		}
		if !slices.Equal(trust.Verifiers(), []string{firstVerifier}) {
			t.Errorf("%s: %q are trusted", name, trust.Verifiers())
		}
	}
}

func TestLearnRefuses(t *testing.T) {
	first, second := knownSigners()
	elsewhere := newSigner("jiragate/eu", 4)
	const text = "jiragate audit key succession\n" + firstVerifier + "\n" + secondVerifier + "\n"
	for _, test := range []struct {
		name       string
		succession string
		says       string
	}{
		{"nothing", "", "not a signed note"},
		{"no signature", text, "not a signed note"},
		{"a checkpoint", goldenCheckpoint, "not the three lines"},
		{"another first line", string(signed(strings.Replace(text, "audit", "Audit", 1), first, second)), "not the three lines"},
		{"a further line", string(signed(text+"more\n", first, second)), "not the three lines"},
		{"an empty line at the end", string(signed(text+"\n", first, second)), "not the three lines"},
		{"no new key", string(signed("jiragate audit key succession\n"+firstVerifier+"\n", first)), "not the three lines"},
		{"what isn't a key", string(signed(strings.Replace(text, secondVerifier, "x", 1), first)), "its new key: it is not a public key"},
		{"a private key", string(signed(strings.Replace(text, secondVerifier, second.private(), 1), first)), "its new key: it is a private key"},
		{"what isn't an old key", string(signed(strings.Replace(text, firstVerifier, "x", 1), second)), "its old key: it is not a public key"},
		{"twice the same key", string(successionOf(first, first, first)), "are the same"},
		{"a key of another name", string(successionOf(first, elsewhere, first, elsewhere)), "its keys are named jiragate/us and jiragate/eu"},
		{"not signed by the new key", string(signed(text, first)), "the new key, " + secondVerifier + ", has not signed it"},
		{"a false signature of the old key", strings.Replace(goldenSuccession, "3Z7hwHz", "3Z7hwHy", 1), "the signature of jiragate/us+dd9ee1c0 is false"},
		{"a false signature of the new key", strings.Replace(goldenSuccession, "e1KMyIU", "e1KMyIV", 1), "the signature of jiragate/us+7b528cc8 is false"},
		{"a huge one", strings.Repeat("x", maxSigned) + goldenSuccession, "more than 65536"},
	} {
		trust := mustTrust(t, firstVerifier)
		v, learned, err := trust.Learn([]byte(test.succession))
		if err == nil || v != "" || learned || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), second.private()[40:60]) {
			t.Errorf("%s: %q, %v, error %v does not say %q", test.name, v, learned, err, test.says)
		}
		if !slices.Equal(trust.Verifiers(), []string{firstVerifier}) {
			t.Errorf("%s: %q are trusted", test.name, trust.Verifiers())
		}
	}
}

// Whatever byte of a succession is changed, nothing is learned.
func TestEachByteOfASuccessionCounts(t *testing.T) {
	for i := range len(goldenSuccession) {
		for _, other := range others(goldenSuccession[i]) {
			trust := mustTrust(t, firstVerifier)
			spoilt := []byte(goldenSuccession)
			spoilt[i] = other
			if v, learned, err := trust.Learn(spoilt); learned || len(trust.Verifiers()) > 1 {
				t.Errorf("with byte %d changed: %q, %v, from %q", i, v, err, spoilt)
			}
		}
	}
}

// From any key of a line on, the later ones are learned, and none of the earlier.
func TestLearnsALineOfKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 8).Draw(t, "keys")
		var (
			verifiers   []string
			successions [][]byte
		)
		for i := range n {
			s := newSigner(name, byte(i+1))
			verifiers = append(verifiers, s.verifier())
			if i > 0 {
				older := newSigner(name, byte(i))
				successions = append(successions, successionOf(older, s, older, s))
			}
		}
		at := rapid.IntRange(0, n-1).Draw(t, "known")
		trust, err := NewTrust(verifiers[at])
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range successions {
			if v, learned, err := trust.Learn(s); err != nil || learned != (i >= at) || learned && v != verifiers[i+1] {
				t.Fatalf("succession %d: %q, %v, %v", i, v, learned, err)
			}
		}
		if !slices.Equal(trust.Verifiers(), verifiers[at:]) {
			t.Fatalf("%q are trusted of %q from %d on", trust.Verifiers(), verifiers, at)
		}
	})
}

// FuzzLearn: nobody but the key teaches anything.
func FuzzLearn(f *testing.F) {
	first, second := knownSigners()
	f.Add([]byte(goldenSuccession))
	f.Add([]byte(goldenSuccession + "— witness AAAAAAAA\n"))
	f.Add(successionOf(first, second, first))
	f.Add(successionOf(second, first, second, first))
	f.Fuzz(func(t *testing.T, succession []byte) {
		trust := mustTrust(t, firstVerifier)
		v, learned, err := trust.Learn(succession)
		want := []string{firstVerifier}
		if learned {
			want = append(want, secondVerifier)
			if v != secondVerifier || !strings.HasPrefix(string(succession), "jiragate audit key succession\n"+firstVerifier+"\n"+secondVerifier+"\n\n") {
				t.Errorf("%q is learned from %q", v, succession)
			}
		}
		if !slices.Equal(trust.Verifiers(), want) || err != nil && learned {
			t.Errorf("%q are trusted after %q (%v)", trust.Verifiers(), succession, err)
		}
	})
}
