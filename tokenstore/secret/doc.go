// Package secret holds values that must never be printed.
//
// A [Secret] shows itself as REDACTED to fmt (every verb), log/slog,
// encoding/json and everything else that asks a value for its text, also when
// it sits inside a struct, a map or a slice, in an exported field or not.
// [Secret.Reveal] is the only way to its content, so that "grep Reveal" finds
// every place where a secret leaves the type.
//
// The package knows nothing of what the secrets are for.
//
// Caveats: Go strings cannot be wiped. A Secret keeps a value out of what the
// program writes, not out of its memory, so keep secrets only as long as they
// are in use. There is no Unmarshal: whoever reads a secret from outside reads
// a string and passes it to [New] at once.
package secret
