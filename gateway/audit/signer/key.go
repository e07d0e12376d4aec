package signer

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"jiragate/internal/privatefile"
)

// Options say where the key lives, how it is sealed and what it is called.
type Options struct {
	// Path is the file, e.g. audit-key.json in the data directory. Its folder is
	// made (mode 0700) if missing.
	Path string

	// Sealer seals the private key at rest.
	Sealer Sealer

	// Name is the name of the key in notes, e.g. "jiragate/us": printable ASCII
	// without spaces and pluses, at most 255 bytes.
	Name string

	// Now is the clock; nil means [time.Now].
	Now func() time.Time
}

// Key signs. It is safe for concurrent use. Printed in whatever way, it shows its
// verifier.
type Key struct {
	path   string
	sealer Sealer
	now    func() time.Time

	changing sync.Mutex // held by who changes the file

	// mu is held for reading until a key is open, so that who changes what is
	// sealed knows that nobody needs the old form any more. The identities of the
	// entries never change; a rotation adds one.
	mu      sync.RWMutex
	entries []entry // at least one; replaced as a whole
}

// Open reads the key in o.Path, or makes one where there is no file. Where o.Name is
// the name of the keys there with one more part, as jiragate/us/zone-a after
// jiragate/us, it makes a key of that name, for which the newest one vouches, as
// [Key.Rotate] does. That can be done once, and isn't undone.
//
// It fails with [ErrWrongSealer] where a key in the file does not open, and
// refuses a file whose keys have another name, that others than its owner may
// read, or that is not in the form written here.
func Open(o Options) (*Key, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	switch err := checkName(o.Name); {
	case o.Path == "":
		return nil, errors.New("signer: no file for the signing key")
	case o.Sealer == nil:
		return nil, errors.New("signer: no sealer for the signing key")
	case err != nil:
		return nil, fmt.Errorf("signer: %w", err)
	}
	entries, _, err := read(o.Path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(o); err != nil {
			return nil, fmt.Errorf("signer: make a signing key in %s: %w", o.Path, err)
		}
		entries, _, err = read(o.Path) // maybe another process's
	}
	if err != nil {
		return nil, fmt.Errorf("signer: open the signing key: %w", err)
	}
	name := entries[len(entries)-1].Name()
	if !follows(entries, o.Name) {
		return nil, fmt.Errorf("signer: %s holds the key of %q, and this gateway signs as %q: give each its own data directory, or put the name back", o.Path, name, o.Name)
	}
	for _, e := range entries {
		p, err := e.unseal(e.sealed, o.Sealer)
		if err != nil {
			return nil, fmt.Errorf("signer: %s: %w", o.Path, err)
		}
		p.clear()
	}
	// Who put the file there may have ended before its name was on disk; nothing is
	// signed with a key that a power failure could take away.
	if err := privatefile.SyncDir(filepath.Dir(o.Path)); err != nil {
		return nil, fmt.Errorf("signer: open the signing key: %w", err)
	}
	k := &Key{path: o.Path, sealer: o.Sealer, now: o.Now, entries: entries}
	if name != o.Name {
		if _, err := k.rotate(o.Name); err != nil {
			return nil, fmt.Errorf("signer: go on as %s instead of %s: %w", o.Name, name, err)
		}
	}
	return k, nil
}

// create leaves a file alone that another process has made meanwhile: both go on
// with that one.
func create(o Options) error {
	p, err := generate(o.Name)
	if err != nil {
		return err
	}
	defer p.clear()
	sealed, err := p.sealTried(o.Sealer)
	if err != nil {
		return err
	}
	content, err := encode([]entry{{p.identity, o.Now().UTC().Truncate(time.Second), sealed, ""}})
	if err != nil {
		return err
	}
	if err = privatefile.Create(o.Path, content); errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Sign returns text as a signed note: text, a blank line, and a line with the
// signature of the newest key.
//
// The text must be valid UTF-8 without control characters (below U+0020) other
// than newlines, end in a newline, and be at most 1 MiB. Equal texts give equal
// notes as long as the key is the same (RFC 8032, section 5.1.6). A text that
// begins like a succession is refused: only [Key.Rotate] has those signed.
func (k *Key) Sign(text []byte) ([]byte, error) {
	if err := checkText(text); err != nil {
		return nil, fmt.Errorf("signer: sign a text: %w", err)
	}
	p, err := k.open()
	if err != nil {
		return nil, fmt.Errorf("signer: sign a text with the key in %s: %w", k.path, err)
	}
	defer p.clear()
	signed, err := note.Sign(&note.Note{Text: string(text)}, p)
	if err != nil {
		return nil, fmt.Errorf("signer: sign a text: %w", err)
	}
	// A faulty signature of Ed25519 can give the key away, and one that does not
	// verify is of no use to anybody.
	if _, err := Verify(signed, p.text); err != nil {
		return nil, fmt.Errorf("signer: check a signature just made: %w", err)
	}
	return signed, nil
}

// open opens the newest key. The caller clears it after use.
func (k *Key) open() (private, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	e := k.newest()
	return e.unseal(e.sealed, k.sealer)
}

// newest is called with mu held.
func (k *Key) newest() entry { return k.entries[len(k.entries)-1] }

func (k *Key) identity() identity {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.newest().identity
}

// Name returns the name of the key that signs, that of [Options].
func (k *Key) Name() string { return k.identity().Name() }

// Verifier returns the verifier of the key that signs, "name+hash+base64".
func (k *Key) Verifier() string { return k.identity().text }

// Created returns when the key that signs was made, to the second.
func (k *Key) Created() time.Time {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.newest().created
}

// Verifiers returns the verifiers of all keys, the newest last: an older note is
// signed by an older one.
func (k *Key) Verifiers() []string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return texts(k.entries)
}

func texts(entries []entry) []string {
	all := make([]string, len(entries))
	for i, e := range entries {
		all[i] = e.text
	}
	return all
}

// PublicPEM returns the public key of [Key.Verifier] as a SubjectPublicKeyInfo
// (RFC 8410) in PEM, as OpenSSL reads it.
func (k *Key) PublicPEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(k.identity().public)
	if err != nil {
		panic("signer: " + err.Error()) // it has a form for Ed25519
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// Format prints the verifier, whatever the verb: neither what is sealed nor the
// sealer is for logs.
func (k *Key) Format(s fmt.State, verb rune) { k.identity().Format(s, verb) }
