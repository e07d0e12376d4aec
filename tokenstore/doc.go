// Package tokenstore holds the words of what jiragate stores, and the seam
// behind which it is stored.
//
// Start with [Connection] (one customer's Jira), [Client] (an internal service,
// with its grants), [Credential] (what is injected into the calls of a
// connection) and [Directory] (the immutable picture of connections and clients
// that every call is resolved against). [Store] is what a backend must do;
// tokenstore/bolt is the one there is, and tokenstore/storetest the suite that
// each must pass. Several processes may share a store, if its backend says so: a
// [Claim] is the right of one of them to send a refresh token, and fenced, so that
// one which has lost it unawares does no harm.
//
// The package does no I/O and knows nothing of HTTP, of proxying, of OAuth or of
// how records are sealed; of the rest of the program it imports policy only, for
// the name of the edition.
//
// Everything here has one normal form. Validate methods accept nothing else:
// they never clean up, they say which form to use. What leaves a Store or a
// Directory is in that form.
//
// Caveats: pointers handed out by a Directory are shared by all callers, and to
// be treated as read-only. Times are UTC. An id alone does not name a connection
// for longer than one look at a Directory: it may be removed and added again, and
// then leads elsewhere. What takes time compares [Connection.Incarnation].
package tokenstore
