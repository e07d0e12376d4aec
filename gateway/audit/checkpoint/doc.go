// Package checkpoint is what an auditor needs to believe the audit log without
// believing whoever keeps it: the forms of the heads of its Merkle tree and of
// proofs that a record is in it, and the checks of both.
//
// Start with [NewTrust] or [ReadTrust], which take the public keys that one
// trusts. [Trust.Open] checks a signed head, [Proof.Verify] a proof. Who writes
// them uses [Checkpoint.Text], to be signed elsewhere, and [Proof.Marshal].
//
// # The tree
//
// The leaves are the lines of the log in their order, without their newlines,
// hashed as RFC 6962, section 2.1 says: a leaf is SHA-256(0x00, line), a node is
// SHA-256(0x01, left, right). Leaf 0 is the log's first record.
//
// # Checkpoints
//
// A checkpoint (https://c2sp.org/tlog-checkpoint) is a text of three lines: the
// name of the log, which is that of its keys; the number of leaves; the root of
// the tree in base64.
//
//	jiragate/us
//	20852163
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//
// Where there are several gateways, the name ends in that of the node, which [Name]
// makes and [Node] reads: jiragate/us/zone-a.
//
// It is signed as a note (https://c2sp.org/signed-note) with an Ed25519 key. The
// specification allows further lines and other names; neither is written here, so
// neither is read. Signatures of others, such as witnesses, may stand beside that
// of the log, and are passed over.
//
// # Proofs
//
// A proof (https://c2sp.org/tlog-proof, file extension .tlog-proof) is a text
// that can be checked offline: the record's line as the extra data, in base64, its
// index, the hashes from the leaf's sibling to the root's child (RFC 6962, section
// 2.1.1), and after an empty line a signed checkpoint as it is. The extra data of
// a proof is not authenticated by itself; the line is, since the leaf is its hash.
//
// # Keys that follow each other
//
// When the log's key is rotated, the old one vouches for the new one in a note of
// three lines, signed by both:
//
//	jiragate audit key succession
//	jiragate/us+dd9ee1c0+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea
//	jiragate/us+7b528cc8+AT1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM
//
// [Trust.Learn] reads it, so that it is enough to have noted the first key. A log that
// was begun without the name of a node is given it in the same way, once: by a
// succession from a key of jiragate/us to one of jiragate/us/zone-a.
//
// # What it cannot show
//
//   - A checkpoint says what the log was when it was signed. That a later one
//     continues it takes the lines between the two, or a consistency proof.
//   - Who has the private key can sign two logs. That shows where checkpoints are
//     kept which the holder cannot reach.
//   - A succession says nothing of when. Who got hold of an old key can vouch for
//     a key of his own: trust the newest key where the old one is in doubt.
//   - A proof shows that the line is in the log, not what it says: names in it came
//     from clients, and are for the caller to escape.
//
// Names are printable ASCII, so what comes back in a [Checkpoint] and in verifiers
// is safe to print; errors quote nothing of the input but those.
//
// The package is pure: it reads no file and no clock, and knows nothing of
// records, of private keys, or of the rest of jiragate.
package checkpoint
