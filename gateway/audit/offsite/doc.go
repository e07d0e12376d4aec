// Package offsite brings the signed checkpoints of the audit log to places that
// whoever runs the log can't rewrite. A checkpoint commits to every record before
// it, so with one of them elsewhere nobody can change the past unseen, the
// operator included.
//
// Start with [ParsePlaces], [New] and [Courier.Run]; the log calls
// [Courier.Offer]. [ReadDir] reads a directory of checkpoints back, for those who
// compare them with the log.
//
// # What is delivered
//
// There is no queue. Each place needs only the newest checkpoint, since that one
// commits to all before it, whichever key signed them: what is offered takes the
// place of what was not delivered yet. It follows that
//
//   - a place that was away for a week gets one checkpoint when it is back, and
//     nothing is missing;
//   - a place gets one at most each Options.Interval, the first at once. What was
//     logged since the last one can still be rewritten unseen at that place:
//     the interval is how long;
//   - newest is what was offered last, not what has the greatest size: that the
//     log was put back to an older state is worth knowing elsewhere, too;
//   - a place may get a checkpoint twice, if it is not known whether it arrived
//     or the process starts again;
//   - when Run's context ends, each place gets what is newest by then in one last
//     attempt. End the log first, then the context.
//
// A place that fails or hangs delays no other, and no call. It is tried again
// after a second, then after twice as long each time, up to five minutes, times
// 0.7 to 1, for ever. What an endpoint asks for by Retry-After is not heeded.
//
// # Places
//
// A directory gets one file for each checkpoint, named
//
//	jiragate_us-dd9ee1c0-00000000000000012345.checkpoint
//
// which is the name of the key (all but letters, digits, dot, hyphen and
// underscore replaced by underscores, at most 100 bytes), the key's hash in hex,
// and the size of the log. The directory may be on write-once storage: a file is
// created (O_EXCL, mode 0444), written once, and synced; none is ever renamed,
// overwritten or removed, and the directory itself is not made, since it may be
// one that was not mounted. If there is a file of that name with the same bytes,
// the checkpoint is delivered. If its bytes are others, because a crash cut it
// short or because there are two histories of one size, it stays, the new one
// gets the name with -2 before .checkpoint, or -3 and so on, and that is logged. On a
// full disk each attempt can leave an empty file. At one checkpoint a minute a
// year of calls makes half a million files.
//
// Standard output gets one line of JSON for each, in ASCII, for the collector of
// a container's log:
//
//	{"msg":"audit checkpoint","origin":"jiragate/us","size":12345,"note":"…"}
//
// The note is in it as it was signed; "origin" is its first line.
//
// An endpoint gets it by POST, as text/plain; charset=utf-8. 2xx says that it has
// it. It must take the same checkpoint twice and answer 2xx both times: without
// an answer nobody knows whether it arrived. No other answer counts. In
// particular 409 Conflict does not, although some say by it that they have this
// very thing already: others say that they have something else (so C2SP
// tlog-witness), and that is what the place is there to tell; the failure stays
// until somebody looks. Redirects are not followed. An endpoint is reached as the
// system routes, without a proxy, and not from the published egress addresses.
//
// The store that gateways share gets it by Options.Publish. Whatever is there answers
// for the log of every gateway, so that none can be dropped unseen. It may say that what it
// has contradicts the checkpoint ([ErrContradicted]), which is logged as an error and
// counted; the checkpoint is tried again like any other that was not delivered.
//
// # Caveats
//
//   - An attempt that hangs in the operating system can't be ended. While it
//     lasts its place is reported as failing, and Run leaves it behind when it
//     returns.
//   - The package verifies nothing, and carries what it was given. Who reads a
//     checkpoint verifies it.
//   - All endpoints get the same token.
//
// # What it may not know
//
// Records, how calls are made, connections and their credentials, and what the store is.
// Neither the URL
// of an endpoint, which may hold a secret, nor the token, nor anything that an
// endpoint sent but its status is ever logged or in an error.
package offsite
