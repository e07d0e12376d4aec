package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// The hash of an archive is the policy's, by sha256sum as by the program, and
// it has not changed since records began to name it.
func TestArchiveIsWhatTheHashIsOf(t *testing.T) {
	for name, rules := range map[string][]byte{"no rules": nil, "rules": []byte(acmeRules)} {
		t.Run(name, func(t *testing.T) {
			p := mustNew(t, rules)
			b := p.Archive()
			sum := sha256.Sum256(b)
			if got := hex.EncodeToString(sum[:]); got != p.SHA256() {
				t.Errorf("the archive hashes to %s, the policy has %s", got, p.SHA256())
			}
			catalogue, text, err := ArchiveTexts(b)
			if err != nil || string(catalogue) != embeddedCatalogue || !bytes.Equal(text, rules) || (text == nil) != (rules == nil) {
				t.Errorf("the texts are %d bytes and %q (%v)", len(catalogue), text, err)
			}
			again, err := FromArchive(b)
			if err != nil {
				t.Fatal(err)
			}
			if again.SHA256() != p.SHA256() || !bytes.Equal(again.Archive(), b) {
				t.Errorf("read back it has %s", again.SHA256())
			}
			if changes := Diff(p, again); changes != nil {
				t.Errorf("read back it differs: %v", changes)
			}
		})
	}
}

// The layout is part of the outside contract: a catalogue and rules of a few
// bytes, written out by hand.
func TestLayoutOfAnArchive(t *testing.T) {
	p, err := build([]byte(smallCatalogue), []byte("version: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := "\x00\x00\x00\x00\x00\x00\x00" + string(rune(len(smallCatalogue))) + smallCatalogue + "\x00\x00\x00\x00\x00\x00\x00\x0bversion: 1\n"
	if got := string(p.Archive()); got != want {
		t.Errorf("the archive is %q, want %q", got, want)
	}
}

const smallCatalogue = "version: \"0\"\noperations: [{id: a, purpose: b, datacenter: {method: GET, path: /rest/api/2/a, projects: none}}]\n"

// What a caller does to its bytes later changes neither policy nor archive.
func TestArchiveSharesNothing(t *testing.T) {
	rules := []byte(acmeRules)
	p := mustNew(t, rules)
	before := p.SHA256()
	clear(rules)
	clear(p.Archive())
	b := p.Archive()
	again, err := FromArchive(b)
	if err != nil || again.SHA256() != before {
		t.Fatalf("%v", err)
	}
	clear(b)
	if sum := sha256.Sum256(again.Archive()); hex.EncodeToString(sum[:]) != before {
		t.Error("the archive changed with the bytes that it was read from")
	}
}

func TestRefusesWhatIsNoArchive(t *testing.T) {
	text := func(s string) string { return string(archiveOf(s)) }
	good := string(Default().Archive())
	for name, tt := range map[string]struct{ archive, want string }{
		"nothing":                      {"", "before the length of its catalogue"},
		"half a length":                {good[:7], "before the length of its catalogue"},
		"cut off within the catalogue": {good[:1000], "and 992 are there"},
		"no rules' length":             {good[:len(good)-8], "before the length of its rules"},
		"cut off within the rules":     {text("a") + text("version: 1\n")[:12], "its rules should have 11 bytes, and 4 are there"},
		"bytes after the end":          {good + "x", "1 bytes follow"},
		"a negative length":            {"\xff\xff\xff\xff\xff\xff\xff\xff" + good, "at most"},
		"a length that overflows":      {text("a") + "\x80\x00\x00\x00\x00\x00\x00\x00", "at most"},
		"too long":                     {strings.Repeat("x", MaxArchive+1), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := FromArchive([]byte(tt.archive))
			if !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), tt.want) || p != nil {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// A text that this program refuses is told apart from bytes that are no archive,
// and can still be read.
func TestArchiveOfAnotherProgram(t *testing.T) {
	catalogue := strings.Replace(embeddedCatalogue, "method: DELETE", "method: PATCH", 1)
	b := archiveOf(catalogue, acmeRules)
	_, err := FromArchive(b)
	if e, ok := errors.AsType[*DocumentError](err); !ok || e.Document != "policy catalogue" || errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), "by this program") {
		t.Errorf("error %v", err)
	}
	if _, rules, err := ArchiveTexts(b); err != nil || string(rules) != acmeRules {
		t.Errorf("rules %q, %v", rules, err)
	}
}

// Every policy fits into an archive, the longest too; nothing longer is one.
func TestLongestArchive(t *testing.T) {
	rules := "version: 1\n#"
	rules += strings.Repeat("x", 1<<20-len(rules))
	if _, err := FromArchive(mustNew(t, []byte(rules)).Archive()); err != nil {
		t.Error(err)
	}
	longest := archiveOf(rules, rules)
	if catalogue, text, err := ArchiveTexts(longest); err != nil || string(catalogue) != rules || string(text) != rules {
		t.Errorf("%d and %d bytes (%v)", len(catalogue), len(text), err)
	}
	want := "not an archived policy: it has more than 2097168 bytes"
	if _, _, err := ArchiveTexts(append(longest, 'x')); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// FuzzFromArchive: what is taken is archived as it came, hashes as it did, and
// can be decided by, exported and compared. The lengths are put before the texts
// here, since few mutations would hit upon them; the bytes are read without, too.
func FuzzFromArchive(f *testing.F) {
	list := strings.Replace(smallCatalogue, "projects: none", "query: [{name: x, type: list, values: [b, c]}, {name: y, names: project}], projects: query", 1)
	if _, err := build([]byte(list), nil); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(smallCatalogue), []byte(nil), []byte(nil))
	f.Add([]byte(smallCatalogue), []byte("version: 1\nrules:\n  - {name: a, connections: [b], deny: [a], projects: [ACME]}\n"), []byte(nil))
	f.Add([]byte(list), []byte("version: 1\n"), []byte("x"))
	f.Add(Default().Archive()[:300], []byte(acmeRules), []byte{0})
	current := mustNew(f, []byte(acmeRules))
	f.Fuzz(func(t *testing.T, catalogue, rules, tail []byte) {
		for _, b := range [][]byte{catalogue, archiveOf(string(catalogue), string(rules)+string(tail)), append(archiveOf(string(catalogue), string(rules)), tail...)} {
			p, err := FromArchive(b)
			if err != nil {
				if _, ok := errors.AsType[*DocumentError](err); ok == errors.Is(err, ErrArchive) {
					t.Fatalf("the error is of both kinds, or of neither: %v", err)
				}
				continue
			}
			if sum := sha256.Sum256(b); p.SHA256() != hex.EncodeToString(sum[:]) || !bytes.Equal(p.Archive(), b) {
				t.Fatalf("%d bytes came back otherwise", len(b))
			}
			if changes := Diff(p, p); changes != nil {
				t.Fatalf("the policy differs from itself: %v", changes)
			}
			checkChanges(t, Diff(p, current))
			checkChanges(t, Diff(current, p))
			for _, tt := range realistic {
				p.Decide(Request{Edition: tt.edition, Method: tt.method, Path: tt.path, RawQuery: tt.query, Connection: "acme"})
			}
			for _, format := range ExportFormats() {
				if err := p.Export(new(bytes.Buffer), format); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// archiveOf puts their lengths before texts.
func archiveOf(texts ...string) (b []byte) {
	for _, text := range texts {
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(text))), text...)
	}
	return b
}
