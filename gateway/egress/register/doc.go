// Package register keeps the history of a region's published egress addresses:
// which were announced when, and from when until when calls come from each.
// Customers put these addresses on their allowlists, so that one must be
// announced before it is used, and what was said of the past stays said.
//
// Start with [Open], and [Register.InUse], which is asked before a call leaves.
// [Register.Announce] and [Register.Retire] plan what is to come;
// [Register.Observe] is for the start of the gateway. [Register.Entries] is what
// customers are told.
//
// # The file
//
// The register is one JSON file, of mode 0600, with a format version, the region
// and a list of [Change] that only ever grows. What is in use when follows from
// that list alone. The first change makes the file, and its folder where there is
// none. The file is replaced as a whole, so that a crash leaves the old one or the
// new one. It is read strictly: white space is free, anything else that the
// package would not have written is refused. The file is the only copy of the
// history; deleting it makes an empty register, to which every configured address
// is new.
//
// # Caveats
//
//   - What is said takes effect at once or later, never in the past.
//   - One process at a time should change a register. A second one finds out when
//     it writes ([ErrConflict]); one that only reads does not see the change.
//   - How long before its use an address must be announced is for the caller to
//     see to.
//
// The package knows no local addresses and opens no sockets, and it has no clock
// but the times it is given.
package register
