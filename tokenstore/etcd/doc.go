// Package etcd keeps the store in etcd, where many gateways share it.
//
// Start with [Open] and [Store], which implements tokenstore.Store. What is in it, how it is
// sealed and by which rules it changes is the business of tokenstore/records, as with
// tokenstore/bolt: etcd sees ciphertext only of what is sealed.
//
// # Changes
//
// A change reads as of one revision of etcd, and is written if nothing that it depends on
// was changed since; otherwise it is made again (tx.go, commit.go). When etcd doesn't answer,
// the same change is sent again until it is known what became of it: it is made once, or not
// at all, or its error says that this isn't known.
//
// # What a gateway remembers
//
// Each gateway follows the connections, the clients and the claims (follow.go), so that a
// change is seen by all of them within moments, well below a second as long as they reach
// etcd; a change of its own a gateway sees when it returns. Three times a second it asks a
// majority of the members whether it has seen all there is. When that was not confirmed for
// longer than [Options.Staleness], credentials are not handed out any more: so a grant that
// was revoked is not used for longer than that by a gateway that is cut off. The credentials
// of connections that were called lately are remembered, sealed; those of the others are read
// from etcd when they are called.
//
// # Claims
//
// A gateway has one lease (session.go), and the claims of rotations that it takes go with it.
// It counts the lease from when it asked for it, with a margin, by two clocks; so it knows by
// itself, without a question, when another gateway may have taken over. Nothing changes the
// store without the lease.
//
// # Moving it
//
// [Source] and [Target] are for tokenstore/migration. A store that is moved, or was, has a mark:
// no gateway opens it, and one that had it open, and was cut off, changes nothing in it and soon
// hands out no credentials (announce.go, follow.go). What is being filled has one, too, which also
// says how far that is (target.go).
//
// # Checkpoints
//
// Beside the store gateways publish the signed checkpoints of their audit logs
// ([Store.PublishCheckpoint], [Store.Checkpoints]), so that none of these can be dropped unseen.
// They are no records, and for this package only bytes.
//
// # Pauses
//
// What Jira has asked one gateway to wait for all of them keep (pauses.go). Pauses are no records:
// they are told as the store is followed, never sealed, migrated or backed up, and etcd forgets
// each when it is over.
//
// # Duties
//
// What one gateway does for all, such as to tell the product of states, it does while it has a
// key with its lease ([Store.OnDuty], duties.go). When that is gone, another one takes it.
//
// # Caveats
//
// What is removed stays in etcd's history until it is compacted, and in its files until they
// are defragmented, and longer in its log and snapshots: see docs/fleet.md. Sealed records
// there open with the keyset of their time. etcd takes 1.5 MiB in one request, which bounds how
// many connections one client can be granted: about 80,000. All clients that are granted a
// connection are written when it is removed, so that their records together must fit, too;
// where they don't, the grants have to be revoked one by one before.
package etcd
