// Package signer keeps the key with which the gateway signs what others must be
// able to check without trusting it: the published egress addresses, and the
// heads of the audit log.
//
// Start with [Open], which reads the key of a data directory or makes it at
// first use, [Key.Sign], and [Verify], which needs a public key alone. [Key.Rotate]
// changes the key. [Verifiers] reads the public half of a file without anything that
// opens it.
//
// # Notes
//
// What is signed is a text, and the signed form is a C2SP signed note
// (https://c2sp.org/signed-note): the text, a blank line, and one line a
// signature, which is an em dash, the name of the key, and in base64 the key's
// hash (4 bytes) and the Ed25519 signature of the text (64 bytes, RFC 8032). The
// hash is the start of SHA-256(name, newline, 0x01, public key); it says which of
// several keys has signed, and proves nothing.
//
// A public key is written as a verifier, "jiragate/us+hash+base64", where what is
// in base64 is 0x01 and the key. That is how the makers of such notes pass keys
// around; [Key.PublicPEM] is the same key for OpenSSL, which can verify the text
// with the 64 bytes of the signature.
//
// # Successions
//
// After [Key.Rotate] a new key signs, and the ones before it verify. Who has noted
// an old key alone learns the new one from a succession: a note of three lines,
//
//	jiragate audit key succession
//	jiragate/us+dd9ee1c0+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea
//	jiragate/us+7b528cc8+AT1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM
//
// the old verifier before the new one, signed by both in that order: the old key
// names its successor, the new one shows that it is held by who says so. Publish
// [Key.Successions] wherever the first verifier is published.
//
// A key that was made without the name of a node is followed in the same way by one
// that has it, as jiragate/us/zone-a after jiragate/us, when [Open] is given that
// name. It happens once: a log doesn't change hands. A version of jiragate from before
// there were nodes does not read the file then.
//
// # The file
//
// The keys are in one JSON file of mode 0600: a format version and, for each key,
// when it was made, its verifier, its private half in the text form of
// golang.org/x/mod/sumdb/note, sealed, and, for a key that a rotation made, its
// succession. The last one signs, all of them verify; there are 120 at most. A
// version of jiragate from before there were rotations reads the file until the
// first one.
// The file is replaced as a whole, so that a crash leaves the old one or the new
// one. It is read strictly: white space is free, anything else that the package
// would not have written is refused. Of several processes that open a fresh
// directory, one makes the key and all use it. Whoever changes the file, by a
// rotation or by sealing again, changes what was read or fails with [ErrChanged].
//
// When the sealer's keys are changed, [Key.Reseal] seals the private keys under
// the present one, in the file and in memory; [Reseal] does it where no gateway
// runs. [SealedUnder] tells which keys those are.
//
// # Caveats
//
//   - Where the file is missing, a new key is made, which nobody knows yet: back
//     the file up together with the keyset that seals it.
//   - A private key is open for the moment of a signature only and cleared then.
//     What crypto/ed25519 has derived from it lasts until a garbage collection.
//   - The key signs any text but a succession. Whoever has texts of another kind
//     signed sees to it that none can be taken for one of the kinds there are.
//   - Keys that don't sign any more stay in the file, sealed. A rotation is no
//     remedy for a key that others have got hold of: they can vouch for a key of
//     their own. Then a new key must be made known by hand.
//
// The package knows nothing of what the texts say.
package signer
