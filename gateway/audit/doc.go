// Package audit keeps the call records: one line for each call that the
// gateway allowed or refused, written so that a call cannot go out without
// one, that no record is lost once it was acknowledged, and that a change of
// the past shows.
//
// Start with [Open], which gives a [Log]. A refusal is one [Log.Append]. A call
// that goes out is a [Log.Begin] before it leaves and a [Pending.Complete]
// when it is over. [Query] reads the records back, [Verify] proves the log, [Prove]
// proves one record; they work on the directory alone, whether the log is being
// written or not.
//
// # The directory
//
//	2026-11-23T10.jsonl       a segment: the records, one JSON object a line
//	2026-11-23T10_0002.jsonl  the next of the same hour, when the first was full
//	….jsonl.gz                a closed segment, compressed
//	….new                     a file that is not whole yet
//	2026-11-23T10.checkpoint  the newest signed checkpoint of the log that ended in this segment
//	2026-11-23T10.tree        the Merkle tree before this segment, and the hashes of its lines
//	key-0001.succession       a signing key endorses the one that followed it
//	pending-00000001.journal  the journal: intents of calls that are under way, and zeros for those to come
//	torn-….bin                bytes that a crash left unfinished, kept for inspection
//	lock                      held by the one process that writes
//	probe                     exists for a moment while the log finds out if the disk takes writes again
//
// A segment is named for the UTC hour of the record that opened it. A record
// of a later hour opens the next one; a record of an earlier hour, because the
// call took long or the clock was set back, stays in the newest. So names
// never go backwards, and no segment holds a record later than its hour. Sorted by
// name, segments are in the order of the chain.
//
// A closed segment is compressed, slowly so that calls do not notice it: as a gzip
// file of one member a block of lines, so that a part of it can be read without the
// rest (package index does), and any gzip
// reads it whole. When its retention is over, it is removed with its companions,
// after a record that says so; the tree beside the next segment is what the rest is
// verified from.
//
// # A line
//
// The keys are those of [Record], all of them, always in that order, without
// white space. There is exactly one spelling for each record: text is cut at a
// stated length, and control, invisible and bidirectional characters are
// escaped, so that no line can be forged and no terminal be steered by what a
// client sent. "seq" counts from 1 without gaps; "prev" is the SHA-256 of the
// line before, without its newline, or 64 zeros in the first.
//
// # Proof
//
// Any record changed, removed, added or moved breaks the chain at that place or
// the next. The chain alone cannot show what happened at its open end: the last
// record rewritten, records cut off from the end, or the log chained afresh from
// some place on. For that there is the Merkle tree of RFC 6962 over the lines, of
// which each leaf is a line without its newline, and checkpoints: its head, signed,
// in the form of C2SP tlog-checkpoint (package checkpoint). One is made within a
// second of a record, of what no loss of power can take away any more, and stays for
// each segment; all of them go to [Options.Checkpointed], which can bring them to
// where the writer of the log cannot reach them (package offsite). Only there they
// hold against somebody who has the signing key, or who puts back an older state of
// the whole directory.
//
// Open does not go on with a log that its newest checkpoint was not signed for
// ([ErrContradicted]), so that no checkpoint ever contradicts another.
//
// The trees beside the segments are derived, and nothing is believed because of
// them alone. Where they are those that a checkpoint was signed for, Verify names
// the very line that was changed.
//
// # Durability
//
// Every Begin, Append and Complete has handed its bytes to the operating system
// when it returns: the end of the process, however sudden, loses none of them. Those
// at work in the same moment share a system call, and where it fails, its error.
// Against the loss of power, [SyncMode] says who waits for the disk. A call
// whose completed record did not survive, but whose intent did, is recorded as
// interrupted when the log is next opened.
//
// A failed write is taken back. After a failed fsync the file is suspect: Linux
// reports the error once and marks the lost pages clean, so that a second fsync
// can succeed without having written anything (Rebello et al., "Can Applications
// Recover from fsync Failures?", USENIX ATC 2020). The bytes since the last good
// fsync are therefore kept in memory, and written again through a fresh
// descriptor before anything else is. Until then calls are refused, and
// [Log.Ready] says why.
//
// # What it may not know
//
// HTTP, policy rules, credentials: it writes what it is told. It must not be
// told secrets, query values or bodies.
package audit
