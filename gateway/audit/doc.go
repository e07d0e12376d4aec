// Package audit keeps the call records: one line for each call that the
// gateway allowed or refused, written so that a call cannot go out without
// one, that no record is lost once it was acknowledged, and that a change of
// the past shows.
//
// Start with [Open], which gives a [Log]. A refusal is one [Log.Append]. A call
// that goes out is a [Log.Begin] before it leaves and a [Pending.Complete]
// when it is over. [Query] reads the records back, [Verify] proves the chain;
// both work on the directory alone, whether the log is being written or not.
//
// # The directory
//
//	2026-11-23T10.jsonl       a segment: the records, one JSON object a line
//	pending-00000001.journal  the journal: intents of calls that are under way
//	torn-….bin                bytes that a crash left unfinished, kept for inspection
//	lock                      held by the one process that writes
//	probe                     exists for a moment while the log finds out if the disk takes writes again
//
// A segment is named for the UTC hour of the record that opened it. A record
// of a later hour opens the next one; a record of an earlier hour, because the
// call took long or the clock was set back, stays in the newest. So names
// never go backwards, and no segment holds a record later than its hour.
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
// # What the chain shows, and what it cannot
//
// Any record changed, removed, added or moved breaks the chain at that place or
// the next, and [Verify] names the line. The chain alone cannot show what
// happened at its open end: the last record rewritten, records cut off from the
// end, or the log replaced by another that was chained afresh. That takes
// knowledge of the chain's head from elsewhere: note the Head of a [Report] where
// the writer of the log cannot reach it; the record that follows must carry it
// as its prev for ever.
//
// # Durability
//
// Every Begin, Append and Complete has handed its bytes to the operating system
// when it returns: the end of the process, however sudden, loses none of them.
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
