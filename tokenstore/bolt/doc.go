// Package bolt keeps the store in one bbolt file.
//
// Start with [Open] and [Store], which implements tokenstore.Store. [Verify]
// checks a copy before it is put in place.
//
// Credentials are sealed: encrypted under the keyset, each bound to the record
// it belongs to, to the place its connection leads to and to its generation, which
// never comes twice, so that a ciphertext put elsewhere, or back, does not open
// (see seal.go).
// Connections, clients and published issues are JSON in clear; of client tokens
// only the SHA-256 is stored.
//
// The package knows nothing of HTTP, of OAuth, or of where the keyset is kept.
//
// Caveats: one process at a time can have the file open. Pages that bbolt has
// freed keep old ciphertexts until they are used again. A file that is rolled back
// as a whole, by a restore for instance, looks perfectly healthy: compare
// [Store.Revision] with one seen before. It also numbers its next incarnations
// like those that were lost, so no program that knew those may go on with it.
// Once a page turns out to be damaged while the store is in use, all calls fail
// with tokenstore.ErrCorrupt until it is opened again.
package bolt
