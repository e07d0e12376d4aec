package signer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"jiragate/internal/privatefile"
)

const (
	// formatVersion is the version of the file's format.
	formatVersion = 1

	// maxKeys bounds the keys in a file, maxSealed what is sealed of each, in
	// bytes. A sealed key is about 150 bytes under a keyset of Tink.
	maxKeys   = 120
	maxSealed = 4 << 10

	// maxFile bounds the file, in bytes: a full one fits, with successions and a
	// name that JSON escapes throughout.
	maxFile = 2 << 20
)

// entry is a key as it is kept.
type entry struct {
	identity
	created time.Time // UTC, to the second
	sealed  []byte

	// succession is the signed note by which the key before vouches for this one;
	// empty for the first key, and for one that Rotate did not make.
	succession string
}

// line is an entry as it is written.
type line struct {
	Created  time.Time `json:"created"`
	Verifier string    `json:"verifier"`
	Sealed   []byte    `json:"sealed"`

	Succession string `json:"succession,omitempty"`
}

// errRestore ends the errors of a file that was damaged, or edited by hand.
var errRestore = errors.New("restore the file from a backup")

// format returns the content of the file, one key a line.
func format(entries []entry) ([]byte, error) {
	b := fmt.Appendf(nil, "{\n  \"version\": %d,\n  \"keys\": [", formatVersion)
	for i, e := range entries {
		l, err := json.Marshal(line{e.created, e.text, e.sealed, e.succession})
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, "\n    "...)
		b = append(b, l...)
	}
	return append(b, "\n  ]\n}\n"...), nil
}

// parse reads the content of the file. Nothing but white space may differ from
// what format writes, so that the same keys have one form: no unknown, repeated
// or reordered names, no other spelling of a time, a verifier or base64.
func parse(content []byte) ([]entry, error) {
	if len(content) > maxFile {
		return nil, fmt.Errorf("it is larger than %d bytes, which no file of keys is: %w", maxFile, errRestore)
	}
	var head struct{ Version int }
	if err := json.Unmarshal(content, &head); err != nil {
		return nil, fmt.Errorf("it is not the JSON it should be (%w): %w", err, errRestore)
	}
	if head.Version != formatVersion {
		return nil, fmt.Errorf("its format version is %d, and this jiragate knows %d: use the jiragate that wrote it", head.Version, formatVersion)
	}
	var d struct {
		Version int    `json:"version"`
		Keys    []line `json:"keys"`
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return nil, fmt.Errorf("it is not the JSON it should be (%w): %w", err, errRestore)
	}
	if n := len(d.Keys); n == 0 || n > maxKeys {
		return nil, fmt.Errorf("it holds %d keys, where there are from 1 to %d: %w", n, maxKeys, errRestore)
	}
	var entries []entry
	for i, l := range d.Keys {
		e, err := l.entry(entries)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w: %w", i+1, err, errRestore)
		}
		entries = append(entries, e)
	}
	return entries, checkForm(content, entries)
}

// entry checks a line that follows others.
func (l line) entry(before []entry) (entry, error) {
	id, err := parseIdentity(l.Verifier)
	switch {
	case err != nil:
		return entry{}, fmt.Errorf("its verifier: %w", err)
	case len(l.Sealed) == 0 || len(l.Sealed) > maxSealed:
		return entry{}, fmt.Errorf("what is sealed is %d bytes long, where there are from 1 to %d", len(l.Sealed), maxSealed)
	case l.Created.IsZero() || l.Created.Nanosecond() != 0:
		return entry{}, fmt.Errorf("it was not made at %s: times are whole seconds", l.Created.Format(time.RFC3339Nano))
	case len(before) > 0 && !follows(before, id.Name()):
		return entry{}, fmt.Errorf("it is named %s, unlike the one before it, %s", id.Name(), before[len(before)-1].Name())
	case len(before) > 0 && before[len(before)-1].Name() != id.Name() && l.Succession == "":
		return entry{}, fmt.Errorf("it is named %s, unlike the one before it, and has no succession", id.Name())
	case slices.ContainsFunc(before, func(e entry) bool { return e.KeyHash() == id.KeyHash() }):
		return entry{}, fmt.Errorf("there is one with the hash %08x before it", id.KeyHash())
	}
	if l.Succession != "" {
		if len(before) == 0 {
			return entry{}, errors.New("it has a succession, and there is no key before it")
		}
		if err := checkSuccession(l.Succession, before[len(before)-1].identity, id); err != nil {
			return entry{}, err
		}
	}
	return entry{id, l.Created.UTC(), l.Sealed, l.Succession}, nil
}

// checkForm compares content with what entries are written as.
func checkForm(content []byte, entries []entry) error {
	written, err := format(entries)
	if err != nil {
		return err
	}
	var got, want bytes.Buffer
	if err := errors.Join(json.Compact(&got, content), json.Compact(&want, written)); err != nil {
		return err
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		return fmt.Errorf("it is not as jiragate writes it (names repeated, reordered or spelled otherwise, or another spelling of a value): %w", errRestore)
	}
	return nil
}

// read reads the file. Where there is none, the error is [fs.ErrNotExist].
func read(path string) ([]entry, privatefile.Sum, error) {
	f, err := privatefile.Open(path, os.O_RDONLY)
	if err != nil {
		return nil, privatefile.Sum{}, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, privatefile.Sum{}, fmt.Errorf("%s: %w", path, err)
	}
	entries, err := parse(content)
	if err != nil {
		return nil, privatefile.Sum{}, fmt.Errorf("%s: %w", path, err)
	}
	return entries, privatefile.SumOf(content), nil
}

// encode is format with the certainty that the file is read again.
func encode(entries []entry) ([]byte, error) {
	content, err := format(entries)
	if err != nil {
		return nil, err
	}
	if _, err := parse(content); err != nil {
		return nil, fmt.Errorf("it could not be read again: %w", err)
	}
	return content, nil
}
