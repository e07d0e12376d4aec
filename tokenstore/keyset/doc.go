// Package keyset opens the master keyset, under which everything secret in the
// data directory is sealed.
//
// Start with [Open], which reads it from where JIRAGATE_KEY_URI says, and
// [Keyset.AEAD]. A keyset is a Tink keyset of AES-256-GCM keys: one of them, the
// primary, seals; all of them open, so that what was sealed before a rotation
// ([Keyset.Rotate]) stays readable. Each ciphertext begins with the id of its key.
//
// The package knows nothing of what is sealed.
//
// Caveats: in a file or in the environment the keyset lies in clear, so whoever
// can read it can read the store. Keep it apart from backups of the store. Without
// it the store is lost.
package keyset
