package checkpoint

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	// maxName bounds a name, in bytes.
	maxName = 255

	// maxVerifier bounds a verifier, in bytes: name, hash and key with two pluses.
	maxVerifier = maxName + 1 + 8 + 1 + 44
)

// key is a public key of the log.
type key struct {
	note.Verifier
	text string // as it is written
}

// parseKey reads a verifier in the one form in which jiragate writes it. No error
// quotes it: it may be a private key, given by mistake.
func parseKey(text string) (key, error) {
	if strings.HasPrefix(text, "PRIVATE+KEY+") {
		return key{}, errors.New("it is a private key: give the public one, name+hash+base64, and treat this one as known to others")
	}
	if len(text) > maxVerifier {
		return key{}, fmt.Errorf("it is %d bytes long, more than any public key (name+hash+base64)", len(text))
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return key{}, fmt.Errorf("it is not a public key (name+hash+base64): %w", err)
	}
	if err := checkName(v.Name()); err != nil {
		return key{}, err
	}
	_, rest, _ := strings.Cut(text, "+")
	_, encoded, _ := strings.Cut(rest, "+") // the key itself may have pluses in it
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize {
		return key{}, errors.New("it is not a public key of Ed25519")
	}
	canonical, err := note.NewEd25519VerifierKey(v.Name(), raw[1:])
	if err != nil || canonical != text {
		return key{}, errors.New("it is not as jiragate writes it (another spelling of the hash or of base64)")
	}
	return key{v, text}, nil
}

// checkName is stricter than C2SP signed-note, whose names may have anything in
// them but spaces and pluses: names are printed, and none may look like another.
func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("the name is %d bytes long, where there are from 1 to %d", len(name), maxName)
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' || c == '+' {
			return errors.New("the name is not printable ASCII without spaces and pluses")
		}
	}
	return nil
}
