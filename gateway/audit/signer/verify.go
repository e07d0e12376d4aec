package signer

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

const (
	// maxText bounds a text, in bytes.
	maxText = 1 << 20

	// maxNote leaves room for the signatures of others, in bytes: notes may carry
	// at least 16, of up to 5 kB each (C2SP signed-note, "Format").
	maxNote = maxText + 256<<10
)

// Verify returns the text of a signed note that at least one of the verifiers has
// signed, and fails with [ErrUnsigned] where none has. Signatures of others are passed over. A false signature of a verifier
// spoils the note, whatever other signatures it carries.
//
// The text is all that is proven: who signed it when is not in it, unless it says
// so. Notes of more than 1.25 MiB or 100 signatures are refused.
func Verify(signed []byte, verifiers ...string) (text []byte, err error) {
	if len(verifiers) == 0 {
		return nil, errors.New("signer: verify a note: no verifier is given")
	}
	if len(signed) > maxNote {
		return nil, fmt.Errorf("signer: verify a note: it is larger than %d bytes", maxNote)
	}
	var known []note.Verifier
	for i, v := range verifiers {
		if slices.Contains(verifiers[:i], v) {
			continue
		}
		parsed, err := note.NewVerifier(v)
		if err != nil {
			// Not quoted: it may be a private key, given by mistake.
			return nil, fmt.Errorf("signer: verify a note: verifier %d of %d (name+hash+base64): %w", i+1, len(verifiers), err)
		}
		known = append(known, parsed)
	}
	n, err := note.Open(signed, note.VerifierList(known...))
	if _, unverified := errors.AsType[*note.UnverifiedNoteError](err); unverified {
		return nil, fmt.Errorf("signer: verify a note: %w: %w", ErrUnsigned, err)
	}
	if err != nil {
		return nil, fmt.Errorf("signer: verify a note: %w", err)
	}
	return []byte(n.Text), nil
}

// checkText lets through what a note may hold, so that what is signed verifies.
func checkText(text []byte) error {
	switch {
	case len(text) > maxText:
		return fmt.Errorf("it is %d bytes long, more than %d", len(text), maxText)
	case !utf8.Valid(text):
		return errors.New("it is not valid UTF-8")
	case !bytes.HasSuffix(text, []byte("\n")):
		return errors.New("it does not end in a newline")
	case bytes.HasPrefix(text, []byte(successionHeader)):
		return errors.New("it begins like the succession of a key, which a rotation alone has signed")
	}
	if i := bytes.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\n' }); i >= 0 {
		return fmt.Errorf("it has the control character %#02x at byte %d: only newlines may be in it", text[i], i)
	}
	return nil
}
