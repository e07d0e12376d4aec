package offsite

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// MaxCheckpoint is how large a checkpoint may be, in bytes. They have about 200.
const MaxCheckpoint = 64 << 10

// ErrMalformed is that something is no whole C2SP signed note
// (https://c2sp.org/signed-note). A file that a crash cut short is such.
var ErrMalformed = errors.New("not a whole signed note")

// checkpoint is what is carried. It doesn't change.
type checkpoint struct {
	signed []byte
	size   uint64
	origin string // the first line, by C2SP tlog-checkpoint
	name   string // of the key
	hash   uint32 // of the key
	defect error  // why it can't be carried
}

// newCheckpoint copies what was offered, and reads what its name is made of.
func newCheckpoint(signed []byte, size uint64) *checkpoint {
	if len(signed) > MaxCheckpoint {
		return &checkpoint{size: size, defect: fmt.Errorf("the checkpoint has %d bytes, which is more than %d", len(signed), MaxCheckpoint)}
	}
	c := &checkpoint{signed: bytes.Clone(signed), size: size}
	n, err := parseNote(c.signed)
	if err != nil {
		c.defect = fmt.Errorf("read the checkpoint: %w", err)
		return c
	}
	c.origin, _, _ = strings.Cut(n.Text, "\n")
	signature := n.UnverifiedSigs[0]
	for _, s := range n.UnverifiedSigs {
		if s.Name == c.origin { // the log's own, among those of witnesses
			signature = s
			break
		}
	}
	c.name, c.hash = signature.Name, signature.Hash
	return c
}

// parseNote takes a signed note apart, without verifying it. There is at least one
// signature.
func parseNote(signed []byte) (*note.Note, error) {
	_, err := note.Open(signed, note.VerifierList())
	if parsed, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		return parsed.Note, nil
	}
	return nil, ErrMalformed // err says no more
}

func (c *checkpoint) equals(o *checkpoint) bool {
	return o != nil && c.size == o.size && bytes.Equal(c.signed, o.signed) && c.defect == nil && o.defect == nil
}

const (
	fileSuffix  = ".checkpoint"
	maxNamePart = 100 // bytes; with the rest it stays far below the 255 of a file name
)

// fileName returns the name of the checkpoint's file, or for a number above 1 that
// of the file beside it.
func (c *checkpoint) fileName(number int) string {
	name := strings.Map(func(r rune) rune {
		if isLetterOrDigit(r) || strings.ContainsRune("-._", r) {
			return r
		}
		return '_'
	}, c.name[:min(len(c.name), maxNamePart)])
	if strings.HasPrefix(name, ".") { // hidden
		name = "_" + name[1:]
	}
	file := fmt.Sprintf("%s-%08x-%020d", name, c.hash, c.size)
	if number > 1 {
		file += fmt.Sprintf("-%d", number)
	}
	return file + fileSuffix
}

func isLetterOrDigit(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
