package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	tlogproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

const (
	// maxHashes bounds the hashes of a proof: no tree of fewer than 2⁶⁴ leaves is
	// higher.
	maxHashes = 64

	// hashLine is the length of the line with a hash, in bytes.
	hashLine = 44 + 1

	// maxProof bounds a proof, in bytes: with a line of 128 KiB and a checkpoint of
	// the largest size there is room left.
	maxProof = maxHashes*hashLine + 256<<10
)

// Proof shows that one record is in the log.
type Proof struct {
	// Index is the place of the record among the leaves, from 0.
	Index uint64

	// Line is the record's line without its newline. It is the proof's extra data.
	Line []byte

	// Hashes lead from the leaf to the root, the leaf's sibling first (RFC 6962,
	// section 2.1.1).
	Hashes [][sha256.Size]byte

	// Checkpoint is the signed checkpoint of a tree in which the record is.
	Checkpoint []byte
}

// Marshal returns the proof as it is written to a file. It is read again if it is
// within the bounds that [ParseProof] states.
func (p Proof) Marshal() []byte {
	line := p.Line
	if line == nil {
		line = []byte{} // nil would leave out the line with the extra data
	}
	return tlogproof.TLogProof{Index: p.Index, Hashes: p.Hashes, Checkpoint: p.Checkpoint, ExtraData: line}.Marshal()
}

// ParseProof reads what [Proof.Marshal] wrote: at most 64 hashes, a checkpoint of
// at most 64 KiB, and 256 KiB apart from the hashes in all. Anything else is
// refused, other spellings of the same included. It proves nothing: that is for
// [Proof.Verify].
//
// It is not the library's own reader, which takes no record of more than 48 KiB and
// passes over what may not be there.
func ParseProof(b []byte) (Proof, error) {
	p, err := parseProof(b)
	if err != nil {
		return Proof{}, fmt.Errorf("checkpoint: read a proof: %w", err)
	}
	return p, nil
}

func parseProof(b []byte) (Proof, error) {
	if len(b) > maxProof {
		return Proof{}, fmt.Errorf("it is %d bytes long, more than %d", len(b), maxProof)
	}
	head, signed, found := bytes.Cut(b, []byte("\n\n"))
	if !found {
		return Proof{}, errors.New("it has no empty line with a checkpoint after it")
	}
	lines := bytes.Split(head, []byte("\n"))
	if string(lines[0]) != "c2sp.org/tlog-proof@v1" {
		return Proof{}, errors.New("its first line is not that of a proof, c2sp.org/tlog-proof@v1")
	}
	if len(lines) < 3 {
		return Proof{}, errors.New("it lacks the line with the record or that with its index")
	}
	if len(lines)-3 > maxHashes {
		return Proof{}, fmt.Errorf("it has %d hashes, more than the %d of any log", len(lines)-3, maxHashes)
	}
	p := Proof{Checkpoint: bytes.Clone(signed)}
	encoded, isExtra := bytes.CutPrefix(lines[1], []byte("extra "))
	line, err := base64.StdEncoding.DecodeString(string(encoded))
	if !isExtra || err != nil {
		return Proof{}, errors.New(`its second line is not "extra " and the record in base64`)
	}
	p.Line = line
	number, isIndex := bytes.CutPrefix(lines[2], []byte("index "))
	if p.Index, err = strconv.ParseUint(string(number), 10, 64); !isIndex || err != nil {
		return Proof{}, errors.New(`its third line is not "index " and a decimal number`)
	}
	for i, l := range lines[3:] {
		h, err := base64.StdEncoding.DecodeString(string(l))
		if err != nil || len(h) != sha256.Size {
			return Proof{}, fmt.Errorf("its hash %d is not one of SHA-256 in base64", i+1)
		}
		p.Hashes = append(p.Hashes, [sha256.Size]byte(h))
	}
	if err := p.check(); err != nil {
		return Proof{}, err
	}
	if !bytes.Equal(p.Marshal(), b) {
		return Proof{}, errors.New("it is not as jiragate writes it (another spelling of a value)")
	}
	return p, nil
}

// check lets through what may be in a proof.
func (p Proof) check() error {
	switch {
	case len(p.Line) == 0:
		return errors.New("the record in it is empty")
	case bytes.IndexByte(p.Line, '\n') >= 0:
		return errors.New("the record in it is more than one line")
	case len(p.Checkpoint) == 0:
		return errors.New("it has no checkpoint")
	case len(p.Checkpoint) > maxSigned:
		return fmt.Errorf("the checkpoint in it is %d bytes long, more than %d", len(p.Checkpoint), maxSigned)
	}
	return nil
}

// Verify shows that Line is the record at Index of the log whose checkpoint, which
// it returns, a trusted key has signed. The error says which part fails; it is
// [ErrUnsigned] where no trusted key has signed the checkpoint.
func (p Proof) Verify(t *Trust) (Checkpoint, error) {
	if err := p.check(); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: check a proof: %w", err)
	}
	c, err := t.open(p.Checkpoint)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: check a proof: the signed checkpoint in it: %w", err)
	}
	if p.Index >= c.Size {
		return Checkpoint{}, fmt.Errorf("checkpoint: check a proof: its index, %d, is beyond the %d records of its checkpoint", p.Index, c.Size)
	}
	hashes := make([][]byte, len(p.Hashes))
	for i := range p.Hashes {
		hashes[i] = p.Hashes[i][:]
	}
	leaf := Leaf(p.Line)
	root, err := proof.RootFromInclusionProof(rfc6962.DefaultHasher, p.Index, c.Size, leaf[:], hashes)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: check a proof: the hashes in it are not those for record %d of %d: %w", p.Index, c.Size, err)
	}
	if [sha256.Size]byte(root) != c.Root {
		return Checkpoint{}, fmt.Errorf("checkpoint: check a proof: record, index and hashes do not lead to the root of its checkpoint: one of them was changed, or is of another log (root %x, got %x)", c.Root, root)
	}
	return c, nil
}
