package checkpoint

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

const (
	// maxSigned bounds a signed checkpoint and a succession, in bytes: about 16
	// signatures of others fit, of the largest kind (C2SP signed-note, "Format").
	maxSigned = 64 << 10

	// maxTrust bounds a text of verifiers, in bytes.
	maxTrust = 64 << 10
)

// ErrUnsigned: no trusted key has signed the checkpoint. Match it with
// [errors.Is].
var ErrUnsigned = errors.New("not signed by a trusted key")

// Trust is the set of public keys that checkpoints are believed from: those of one
// log. It is safe for concurrent use as long as nobody calls [Trust.Learn].
type Trust struct {
	keys []key // at least one, all of one log, no two of one hash
}

// NewTrust takes verifiers, "name+hash+base64" (https://c2sp.org/signed-note), at
// least one, all of one log. One may be given twice. No error quotes any of them:
// it may be a private key, given by mistake.
func NewTrust(verifiers ...string) (*Trust, error) {
	t := &Trust{}
	for i, v := range verifiers {
		k, err := parseKey(v)
		if err == nil {
			_, err = t.add(k)
		}
		if err != nil {
			return nil, fmt.Errorf("checkpoint: key %d of %d to trust: %w", i+1, len(verifiers), err)
		}
	}
	if len(t.keys) == 0 {
		return nil, errors.New("checkpoint: there is no key to trust: give at least one public key of the log (name+hash+base64)")
	}
	return t, nil
}

// ReadTrust reads verifiers from a text, e.g. a file, one a line. Space around
// them, empty lines and lines that begin with # are passed over; keys in another
// form may follow, in PEM. A text of more than 64 KiB is refused.
func ReadTrust(text []byte) (*Trust, error) {
	if len(text) > maxTrust {
		return nil, fmt.Errorf("checkpoint: the keys to trust are %d bytes long, more than %d", len(text), maxTrust)
	}
	if !utf8.Valid(text) {
		return nil, errors.New("checkpoint: the keys to trust are not valid UTF-8: give a text with one public key a line")
	}
	t, number := &Trust{}, 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "-----BEGIN PUBLIC KEY-----") {
			break
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := parseKey(line)
		if err == nil {
			_, err = t.add(k)
		}
		if err != nil {
			return nil, fmt.Errorf("checkpoint: line %d of the keys to trust: %w", number, err)
		}
	}
	if len(t.keys) == 0 {
		return nil, errors.New("checkpoint: there is no key to trust: put at least one public key of the log on a line (name+hash+base64)")
	}
	return t, nil
}

// add reports false where the key is there already.
func (t *Trust) add(k key) (added bool, err error) {
	for _, present := range t.keys {
		switch {
		case present.text == k.text:
			return false, nil
		case !sameLog(present.Name(), k.Name()):
			return false, fmt.Errorf("it is named %s, unlike one before it, %s: give the keys of one log", k.Name(), present.Name())
		case present.KeyHash() == k.KeyHash():
			return false, errors.New("it has the hash of another key, which does not happen by chance")
		}
	}
	t.keys = append(t.keys, k)
	return true, nil
}

// Verifiers returns the trusted keys in the order in which they came.
func (t *Trust) Verifiers() []string {
	all := make([]string, len(t.keys))
	for i, k := range t.keys {
		all[i] = k.text
	}
	return all
}

// Signers are the trusted keys that have signed the note, in the order in which they
// came.
func (t *Trust) Signers(signed []byte) (all []string) {
	n, err := openNote(signed, t.keys)
	if err != nil {
		return nil
	}
	for _, k := range t.keys {
		if slices.ContainsFunc(n.Sigs, func(s note.Signature) bool { return s.Hash == k.KeyHash() }) {
			all = append(all, k.text)
		}
	}
	return all
}

// Name returns the name of the keys, which is the origin of the checkpoints. Where
// the log was given the name of a node, that is the name with the node.
func (t *Trust) Name() string {
	name := t.keys[0].Name()
	for _, k := range t.keys {
		if names(name, k.Name()) {
			name = k.Name()
		}
	}
	return name
}

// Open returns the checkpoint of a signed note that at least one trusted key has
// signed. The text must be what [Checkpoint.Text] writes and its origin the name
// of that key.
//
// It fails with [ErrUnsigned] where no trusted key has signed the note. Signatures
// of others are passed over; a false signature of a trusted key spoils the note.
// Notes of more than 64 KiB or 100 signatures are refused.
func (t *Trust) Open(signed []byte) (Checkpoint, error) {
	c, err := t.open(signed)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: check a signed checkpoint: %w", err)
	}
	return c, nil
}

func (t *Trust) open(signed []byte) (Checkpoint, error) {
	n, err := openNote(signed, t.keys)
	if err != nil {
		return Checkpoint{}, err
	}
	if len(n.Sigs) == 0 {
		return Checkpoint{}, fmt.Errorf("it is %w of %s: give the public key that the log had then, or the successions that lead to it", ErrUnsigned, t.Name())
	}
	c, err := parse([]byte(n.Text))
	if err != nil {
		return Checkpoint{}, err
	}
	if !slices.ContainsFunc(n.Sigs, func(s note.Signature) bool { return s.Name == c.Origin }) {
		return Checkpoint{}, fmt.Errorf("it is of the log %s, and signed by a key of %s", c.Origin, n.Sigs[0].Name)
	}
	return c, nil
}

// Claimed returns the checkpoint of a signed note as it stands there, without a look
// at who has signed it: anybody can write one. It is for finding the keys to check it
// with.
func Claimed(signed []byte) (Checkpoint, error) {
	n, err := openNote(signed, nil)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: read a signed checkpoint: %w", err)
	}
	c, err := parse([]byte(n.Text))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: read a signed checkpoint: %w", err)
	}
	return c, nil
}

// openNote checks the signatures of the given keys. Where none has signed, there
// are no Sigs. Signatures that count have one spelling, so that no bit of a note
// with no others can change unseen.
func openNote(signed []byte, keys []key) (*note.Note, error) {
	if len(signed) > maxSigned {
		return nil, fmt.Errorf("it is %d bytes long, more than %d", len(signed), maxSigned)
	}
	verifiers := make([]note.Verifier, len(keys))
	for i, k := range keys {
		verifiers[i] = k
	}
	n, err := note.Open(signed, note.VerifierList(verifiers...))
	if unverified, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		return unverified.Note, nil
	}
	if invalid, ok := errors.AsType[*note.InvalidSignatureError](err); ok {
		return nil, fmt.Errorf("it was changed after it was signed, or never signed: the signature of %s+%08x is false", invalid.Name, invalid.Hash)
	}
	if err != nil {
		return nil, fmt.Errorf("it is not a signed note: %w", err)
	}
	for _, s := range n.Sigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return nil, fmt.Errorf("the signature of %s+%08x was changed: it is not as base64 is written", s.Name, s.Hash)
		}
	}
	return n, nil
}
