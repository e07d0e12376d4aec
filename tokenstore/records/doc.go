// Package records has what every backend of the store has in common: the form of the
// records, how they are sealed, and the rules by which they change.
//
// Start with [Engine], which is what a backend must bring: buckets of keys and values, with
// transactions. [Store] has the methods of tokenstore.Store over it; a backend embeds one,
// and adds what depends on where the records are (tokenstore/bolt: one file;
// tokenstore/etcd: a cluster that many gateways share). Since the records are the same, a
// store can be taken from one to the other as it is.
//
// # What is sealed
//
// Each connection has a data key of its own, wrapped under the keyset
// (datakeys.go), and its credential is encrypted under that (credentials.go). A
// data key is bound to the making of its connection. A credential is bound to its
// wrapped data key, to the record it belongs to, to the place its connection leads
// to and to its generation, which never comes twice. So what is put elsewhere, or
// back, does not open.
//
// Connections, clients, published issues, and what is noted of rotations,
// invitations and announcements, are JSON in clear; of the tokens of clients and
// invitations only the SHA-256 is stored.
//
// In memory stay the sealed credentials and the data keys of connections that were
// called lately, until the connection or the keyset changes (recent.go): never
// the plaintext.
//
// The package knows nothing of files, of networks, of HTTP, of OAuth, or of where the
// keyset is kept.
package records
