package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/rfc6962"
)

// maxText bounds the text of a checkpoint, in bytes: the longest name, number and
// root fit.
const maxText = maxName + 1 + len("18446744073709551615\n") + 44 + 1

// Checkpoint is a head of the log's Merkle tree.
type Checkpoint struct {
	// Origin is the name of the log, e.g. "jiragate/us": printable ASCII without
	// spaces and pluses, at most 255 bytes.
	Origin string

	// Size is the number of leaves, which is that of records.
	Size uint64

	// Root is the hash of the tree. That of no leaves is SHA-256 of nothing.
	Root [sha256.Size]byte
}

// Text returns the text to sign. It takes an Origin as described there.
func (c Checkpoint) Text() []byte {
	return log.Checkpoint{Origin: c.Origin, Size: c.Size, Hash: c.Root[:]}.Marshal()
}

// parse reads a text that [Checkpoint.Text] wrote. Anything else is refused, other
// spellings of the same and extension lines included. That it is signed is for
// [Trust.Open] to say.
func parse(text []byte) (Checkpoint, error) {
	if len(text) > maxText {
		return Checkpoint{}, fmt.Errorf("it is %d bytes long, more than %d", len(text), maxText)
	}
	// The library's errors quote the text.
	var l log.Checkpoint
	if _, err := l.Unmarshal(text); err != nil {
		return Checkpoint{}, errors.New("it is not three lines with a name, a decimal number and a root in base64")
	}
	if err := checkName(l.Origin); err != nil {
		return Checkpoint{}, fmt.Errorf("its first line: %w", err)
	}
	if len(l.Hash) != sha256.Size {
		return Checkpoint{}, fmt.Errorf("its root is %d bytes long, not the %d of SHA-256", len(l.Hash), sha256.Size)
	}
	c := Checkpoint{l.Origin, l.Size, [sha256.Size]byte(l.Hash)}
	if !bytes.Equal(c.Text(), text) {
		return Checkpoint{}, errors.New("it is not as jiragate writes it (further lines, or another spelling of a value)")
	}
	return c, nil
}

// Leaf returns the leaf hash of a line of the log, given without its newline
// (RFC 6962, section 2.1).
func Leaf(line []byte) [sha256.Size]byte {
	return [sha256.Size]byte(rfc6962.DefaultHasher.HashLeaf(line))
}
