// Package index answers questions to the audit log without reading all of it.
//
// Start with [Open], bring it up to date with [Index.Update], ask with
// [Index.Query]. The answer is that of [audit.Query], line for line. [Index.Reset]
// empties the index; the next Update makes it anew from the log, also where its file
// was removed.
//
// # What it holds
//
// An index says which blocks of a closed segment, runs of about 256 KiB of lines
// ([audit.Block]), can hold what is asked for. These are then read and filtered
// from the log itself. So the index is never the truth: it may name too many
// blocks. A segment that it does not know is read whole, and the newest always
// is. A block with a line that is no record is named for every question.
//
// It is an SQLite database (https://www.sqlite.org/fileformat.html) in WAL mode, of
// mode 0600, with three tables; the text of their blobs is described where they
// are encoded:
//
//	segment  a row for each segment: where its blocks are, and from when to when
//	term     for each segment and field the values, and which blocks hold them how often
//	gram     for each segment a filter for parts of texts, see below
//
// # Parts of texts
//
// [audit.Filter.Text] is a part of any text, and mostly of an id, which is random.
// Of every text the smallest hash of eight bytes is taken in each window of sixteen
// (winnowing: Schleimer, Wilkerson, Aiken, "Winnowing: Local Algorithms for Document
// Fingerprinting", SIGMOD 2003). A part that is sixteen bytes long or longer has
// such windows of its own, and they give the same hashes; so a block whose Bloom
// filter lacks one of them does not hold the part. The filters of a segment are
// stored bit by bit across its blocks, so that a question reads a few bits of each
// and not all. Shorter parts are not narrowed down.
//
// # When it is wrong
//
// Each blob ends with a CRC-32C over itself and its place. A blob that is not as
// it was written, or missing, makes its segment unknown: it is read whole, and
// indexed again by the next Update. A file that is not an index, an older one, or
// one that SQLite calls malformed is made anew. Against somebody who writes wrong
// sums there is no help in the index: who doubts it asks [audit.Query].
//
// It relies on closed segments to stay as they are, but for compression and
// removal: that is what [audit.Verify] proves. A segment whose size changed is
// indexed again.
//
// # What it may not know
//
// How segments are named or compressed, HTTP, policy rules.
package index
