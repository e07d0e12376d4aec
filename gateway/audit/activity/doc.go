// Package activity counts what happened lately, from audit records as they are
// written: for charts, the last call of each connection and client, refusals by
// code, and pages that follow the calls.
//
// Start with [New]; give [Board.Observe] each record ([audit.Options.Observe]), and
// [Board.Load] those of the log, once:
//
//	board := activity.New(activity.Options{Weight: pace.Weight})
//	log, err := audit.Open(audit.Options{Dir: dir, Observe: board.Observe})
//	…
//	since := time.Now().Add(-activity.Horizon)
//	go board.Load(ctx, activity.Past{Since: since, Found: log.Found()}, audit.Query(dir, audit.Filter{Since: since}))
//
// # No record counts twice
//
// The log gives Observe all that it writes from [audit.Open] on, in no certain order,
// and [audit.Log.Found] is the seq of the last record before that. So Observe counts
// what it is given, Load counts no record with a later seq, and each record counts
// once, whatever the order and however the two overlap.
//
// # What is kept
//
//   - Counts in buckets of a minute for 25 hours ([FineHorizon]), and of an hour for
//     32 days ([Horizon]), by the time of the record, which is when the call arrived.
//     About 2.5 MB, however many calls there are.
//   - The last call, and counts of a day, of at most 200,000 connections and as many
//     clients. Of more, those go that were least recently active. A connection takes
//     340 bytes: 100,000 of them 34 MB.
//   - For each who follows, 256 records; at most 64 may follow.
//
// Records older than the horizon, or more than a minute ahead of the clock, are in no
// bucket. If the clock is set back, what was counted ahead of it is still there when
// the clock comes by again.
//
// # Latency
//
// Durations are counted in buckets that are 9 % wide (eight to each doubling), so a
// percentile is off by 4.4 % at most, between 0.1 ms and 300 s. What is outside is
// counted as that bound.
//
// # What it may not know
//
// HTTP, policy rules, stores, who asks. What a record says is believed, and bounded.
package activity
