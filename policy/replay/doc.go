// Package replay decides recorded calls again under another policy, and sums up
// what would change: a tightening is known before it is enforced.
//
// Start with [New], hand each record to [Replay.Add], oldest first, and ask for
// the [Report]. What is decided about one call, and what a record cannot tell, is
// [policy.Policy.Reconsider]'s business; this package counts.
//
// It knows nothing of logs and files: its caller reads them. Its memory is bounded
// however long the log is.
package replay
