// Package migration moves a store from one place to another, as it is.
//
// Start with [Run]. Records are copied as they are stored, sealed; then each is read back and
// compared, and opened under the keyset; and only then the new store is open to all. The old
// one is marked, and is not opened any more: two stores that are alive with the same refresh
// tokens would end each other's grants.
//
// # Interruptions
//
// At each moment one of the two is whole, and at most one can be opened. Whatever the moment at
// which Run was interrupted, it goes on when it is called again with the same places:
//
//	source     target     what is done
//	           filling    the rest is copied; all anew if the source has changed
//	leaving    filling    the target has been verified once, and is again
//	leaving    open       the source is marked as moved
//	moved      open       nothing: tokenstore.ErrMoved
//
// While it is read a source has a mark that goes with the command (etcd), or is locked (a file).
//
// The package knows of no backend: each brings a [Source] and a [Target]. It has the keyset to
// check what was copied, never to copy.
package migration
