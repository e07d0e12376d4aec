// Package act writes acts of administration as audit records: who changed what,
// from where, and what came of it.
//
// Start with a [Journal]. An act is a [Journal.Begin] before anything is changed
// and an [Act.End] afterwards; what is refused before it has begun is a
// [Journal.Refuse]. [Journal.Wait] waits for acts under way. Faces of the
// administration say who is at work with [With].
//
// # Form
//
// A record of an act is an audit.Record. Client is the [Actor]'s name, which has a
// colon in it as no client's has; ClientAddr where it came from; Operation the
// name of the act, "admin.connection.add" for instance; Method, Path, Connection,
// Edition, Region and Credential what it is about; PolicySHA256 the policy in
// force. Path is that of the request, or of the client that was added. Decision is "deny" if nothing was changed because the act was refused,
// with the refusal's Code and Status, and "allow" otherwise. An act that failed is
// an allowed one with a Code.
//
// # Caveats
//
// What goes into a record is kept for years: no secrets, no queries.
package act
