// Package public is the page that customers' security teams read: from which addresses
// calls to their Jira come, which calls there are and which scopes they need, how their
// credential is kept, and how the audit log can be checked; with all of it as files for
// programs.
//
// Start with [New], which makes a [Handler] for a part of another listener, or for a
// listener of its own with [NewServer]. [Options] say where the facts come from.
//
// # Safe to expose
//
// All that is shown is public, the same for whoever asks, and made from the register
// of egress addresses, the policy in force and the public half of the audit key alone.
// The package is given no connection, client or credential, so it can show none.
// Nothing of a request is shown again or kept, there is no cookie, and nothing can be
// changed. So the Host of a request doesn't matter, and the server of [NewServer] does
// not ask for it: a page of a foreign site that reaches this one by rebinding its name
// learns what everybody may know.
//
// What is served lies in memory, and is made anew when somebody asks for it, at most
// every [Every] and once at a time. When that fails, what there was is served for up to
// [StaleFor].
//
// # One publication
//
// The files of [publication.Document] are of one moment, and their checksums, signed,
// hold for that moment alone. A reader fetches them one after the other. So they stay
// the same for an hour, as long as what they say does: neither an address, nor a state,
// nor the policy, nor the key that signs is another. It keeps the signing key out of
// the reach of visitors, too: they can't bring about more than a signature an hour.
// A set that was fetched over the moment of a change does not match its checksums; to
// fetch it again helps.
//
// # Other origins
//
// The files are for programs, and pages of any origin may read them: they are answered
// with "Access-Control-Allow-Origin: *", and hence with the resource policy
// "cross-origin", without which a page that isolates itself (COEP) could not. Nothing
// in them depends on who asks, so there is nothing to take from a visitor. The page and
// what it loads stay with their own origin.
package public
