package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// MaxArchive bounds an archived policy, in bytes: two documents, each with its
// length before it. Every policy that can be made fits.
const MaxArchive = 2 * (archiveLength + maxDocument)

// archiveLength is the size of the length before each text.
const archiveLength = 8

// ErrArchive: the bytes are no archived policy.
var ErrArchive = errors.New("not an archived policy")

// Archive returns the texts that p was made of: the catalogue, then the
// operator's rules, each preceded by its length in eight bytes, big endian. The
// rules of a policy that has none are empty. These are the bytes that
// [Policy.SHA256] hashes, so sha256sum of a file with them names the policy.
func (p *Policy) Archive() []byte {
	b := make([]byte, 0, 2*archiveLength+len(p.catalogue)+len(p.rulesText))
	for _, text := range []string{p.catalogue, p.rulesText} {
		// The lengths keep text from moving between catalogue and rules unnoticed.
		b = binary.BigEndian.AppendUint64(b, uint64(len(text)))
		b = append(b, text...)
	}
	return b
}

// FromArchive makes the policy of which b is the [Policy.Archive]: that
// catalogue with those rules. Its SHA256 is that of b.
//
// The texts are as they were; the program that compiles them is the one of
// today. A later program may refuse what an earlier one took: then the error is
// a [*DocumentError], and [ArchiveTexts] still reads the texts. Bytes that are
// no archive are [ErrArchive].
func FromArchive(b []byte) (*Policy, error) {
	catalogue, rules, err := ArchiveTexts(b)
	if err != nil {
		return nil, err
	}
	p, err := build(catalogue, rules)
	if err != nil {
		return nil, fmt.Errorf("the archived policy cannot be compiled by this program, which may be stricter than the one that kept it; use that one: %w", err)
	}
	return p, nil
}

// ArchiveTexts returns the texts in an archived policy, without compiling them.
// The rules are nil if there were none. Errors are [ErrArchive].
func ArchiveTexts(b []byte) (catalogue, rules []byte, err error) {
	if len(b) > MaxArchive {
		return nil, nil, fmt.Errorf("%w: it has more than %d bytes", ErrArchive, MaxArchive)
	}
	catalogue, b, err = cutText(b, "catalogue")
	if err != nil {
		return nil, nil, err
	}
	rules, b, err = cutText(b, "rules")
	if err != nil {
		return nil, nil, err
	}
	if len(b) > 0 {
		return nil, nil, fmt.Errorf("%w: %d bytes follow the rules", ErrArchive, len(b))
	}
	if len(rules) == 0 {
		rules = nil // an empty file of rules is no policy, so empty means none
	}
	return catalogue, rules, nil
}

// cutText takes a text with its length off the front of b.
func cutText(b []byte, what string) (text, rest []byte, err error) {
	if len(b) < archiveLength {
		return nil, nil, fmt.Errorf("%w: it ends before the length of its %s", ErrArchive, what)
	}
	length := binary.BigEndian.Uint64(b)
	b = b[archiveLength:]
	switch {
	case length > maxDocument:
		return nil, nil, fmt.Errorf("%w: its %s would have %d bytes; at most %d are read", ErrArchive, what, length, maxDocument)
	case length > uint64(len(b)):
		return nil, nil, fmt.Errorf("%w: its %s should have %d bytes, and %d are there", ErrArchive, what, length, len(b))
	}
	return bytes.Clone(b[:length]), b[length:], nil
}

func hashOf(archive []byte) string {
	sum := sha256.Sum256(archive)
	return hex.EncodeToString(sum[:])
}
