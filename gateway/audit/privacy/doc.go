// Package privacy decides what call records, and whatever else is written about
// calls, hold of identifiers: the issue and project keys and ids in paths, and the
// addresses of clients.
//
// Start with [Open], which makes a [Masker] of two settings, and [Masker.Mask],
// which every record of a call goes through before it is written, its intent too.
// Records of administration have the operator's own paths, which stay; their
// addresses go through [Masker.Address].
//
// # Modes
//
// [Keep] leaves everything as it is. [Drop] leaves nothing: an identifier becomes
// the name that the operation's template has for it, "{issueIdOrKey}", or "{}" where
// there is no template, and an address becomes empty. [Pseudonymise] puts a
// pseudonym in its place.
//
// # Pseudonyms
//
// A pseudonym is "~" and 26 characters: the first 16 bytes of an HMAC-SHA-256 (RFC
// 2104) in base32 (RFC 4648), lower case, without padding. What is hashed is a
// domain, "path identifier" or "client address", then the connection, then the
// value, each preceded by its length in eight bytes, big endian. So
//
//   - one issue has one pseudonym in all records of a connection, across restarts;
//   - two connections have two for the same key, and records of two customers can't
//     be joined by what they call their issues;
//   - a client's address has one everywhere, since a client has no connection. The
//     port is dropped: it would tell nothing, but that two calls came by one socket.
//
// Records that name no connection have pseudonyms of the empty connection.
//
// # The key
//
// The key is 32 random bytes in a JSON file of mode 0600, sealed as the other keys
// of the data directory are. [Open] makes it when a mode first needs it. [Reseal]
// seals it under the present key of the keyset; it stays what it is, so a [Masker]
// that is open need not know.
//
// # Caveats
//
//   - A pseudonym hides an identifier from whoever has the records. Whoever has the
//     key can try all issue keys: it is personal data still, as Regulation (EU)
//     2016/679 (GDPR), article 4(5), has it. Delete the file and its backups to end
//     that; whatever is pseudonymised then gets new pseudonyms.
//   - The key is in memory, in clear, as long as the Masker: it is used for each call.
//   - What was recorded in another mode stays as it was recorded.
//
// The package knows no HTTP and no policy: which parts of a path are identifiers it
// is told.
package privacy
