// Package bolt keeps the store in one bbolt file.
//
// Start with [Open] and [Store], which implements tokenstore.Store. [Verify]
// checks a copy before it is put in place. [Source] and [Target] are for moving it:
// see tokenstore/migration.
//
// What is in it, how it is sealed and by which rules it changes is the business of
// tokenstore/records. This package has the file: its transactions, its pages, and what is
// left in those of records that are no more.
//
// # What remains of it, and where
//
//   - A credential that was replaced stays in pages that bbolt has freed, until
//     they are used again, sealed under the data key of its connection. No page is
//     overwritten for a replacement alone.
//   - When [Store.RemoveConnection] returns, pages that are not in use are zeros,
//     on disk: nothing is left of the data key, nor of any credential under it. The
//     same holds when [Store.Rewrap] has nothing left to do, and when [Open]
//     returns, whatever a crash has left (scrub.go). While a backup is being made
//     its pages are needed: then it holds when the last backup ends.
//   - A backup holds the pages in use and zeros for the others. Its data keys open
//     with the keyset of its time, whatever is removed later.
//   - What a file system that copies on write, or an SSD, keeps of overwritten
//     blocks is beyond this package.
//
// The package knows nothing of HTTP, of OAuth, or of where the keyset is kept.
//
// Caveats: one process at a time can have the file open. Overwriting pages, and
// beginning a backup, walks the whole file, and changes wait meanwhile: about a
// second for each 60 MB. A file that is rolled
// back as a whole, by a restore for instance, looks perfectly healthy: compare
// [Store.Revision] with one seen before. It also numbers its next incarnations
// like those that were lost, so no program that knew those may go on with it.
// Once a page turns out to be damaged while the store is in use, all calls fail
// with tokenstore.ErrCorrupt until it is opened again.
package bolt
