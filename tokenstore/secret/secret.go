package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what every Secret looks like, the empty one included: whether
// there is a secret is nobody's business either.
const redacted = "REDACTED"

// Secret is a string that prints as REDACTED. The zero value is the empty
// secret. A Secret is immutable and safe for concurrent use.
//
// Secrets can't be compared with ==, which would not take constant time: use
// [Secret.Equal] and [Secret.IsZero].
type Secret struct {
	_ [0]func() // not comparable

	// A pointer, not a string: fmt calls no methods on what it finds in the
	// unexported fields of other structs, nor for bad verbs such as %p; there it
	// prints the fields, and a pointer below the top level only as an address.
	p *string
}

// New returns a Secret that holds s.
func New(s string) Secret {
	if s == "" {
		return Secret{}
	}
	held := s // only where there is something to hold is there memory for it
	return Secret{p: &held}
}

// Reveal returns the content. Take it at the last moment, and don't keep it.
func (s Secret) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// IsZero reports whether the secret is empty. It also makes the json option
// "omitzero" leave out empty secrets.
func (s Secret) IsZero() bool { return s.p == nil }

// Equal reports whether both hold the same content. It compares SHA-256
// digests in constant time, so that the time taken tells nothing of where the
// contents differ.
func (s Secret) Equal(o Secret) bool {
	a, b := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(o.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// Format implements [fmt.Formatter]: every verb and flag gives REDACTED.
func (s Secret) Format(f fmt.State, _ rune) {
	// A failing writer is the business of whoever called fmt.
	_, _ = io.WriteString(f, redacted)
}

// String returns REDACTED.
func (s Secret) String() string { return redacted }

// GoString returns REDACTED.
func (s Secret) GoString() string { return redacted }

// LogValue implements [slog.LogValuer]: the value is REDACTED.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns "REDACTED", a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns REDACTED.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
