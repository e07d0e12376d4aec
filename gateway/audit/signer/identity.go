package signer

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	// algEd25519 is the signature type of C2SP signed-note for Ed25519.
	algEd25519 = 1

	// maxName bounds the name of a key, in bytes.
	maxName = 255
)

// identity is the public half of a key with its name.
type identity struct {
	note.Verifier
	text   string // as it is written
	public ed25519.PublicKey
}

// parseIdentity reads a verifier in the one form in which they are written here.
func parseIdentity(text string) (identity, error) {
	v, err := note.NewVerifier(text)
	if err != nil {
		return identity{}, err
	}
	if err := checkName(v.Name()); err != nil {
		return identity{}, err
	}
	_, rest, _ := strings.Cut(text, "+")
	_, key, _ := strings.Cut(rest, "+") // the key itself may have pluses in it
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize {
		return identity{}, errors.New("malformed verifier")
	}
	id, err := newIdentity(v.Name(), raw[1:])
	if err == nil && id.text != text {
		err = fmt.Errorf("it is written %s", id.text)
	}
	return id, err
}

func newIdentity(name string, public ed25519.PublicKey) (identity, error) {
	text, err := note.NewEd25519VerifierKey(name, public)
	if err != nil {
		return identity{}, err
	}
	v, err := note.NewVerifier(text)
	return identity{Verifier: v, text: text, public: public}, err
}

// Format prints the verifier, whatever the verb, also for a private key.
func (id identity) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, id.text) }

// secretPrefix is what the private half in text form begins with; what follows is
// in base64.
func (id identity) secretPrefix() string {
	return fmt.Sprintf("PRIVATE+KEY+%s+%08x+", id.Name(), id.KeyHash())
}

// follows tells whether a key of this name may follow entries: all have one name, but
// that once a part may be added at its end, which a slash begins.
func follows(entries []entry, name string) bool {
	first, last := entries[0].Name(), entries[len(entries)-1].Name()
	added, longer := strings.CutPrefix(name, last+"/")
	return name == last || first == last && longer && added != "" && !strings.Contains(added, "/")
}

// checkName is stricter than C2SP signed-note, whose names may have anything in
// them but spaces and pluses: a name that looks like another would not be seen.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the key has no name")
	case len(name) > maxName:
		return fmt.Errorf("the name of the key is %d bytes long, more than %d", len(name), maxName)
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' || c == '+' {
			return fmt.Errorf("the name of the key, %q, has %q in it: use printable ASCII without spaces and pluses, as in jiragate/us", name, c)
		}
	}
	return nil
}
