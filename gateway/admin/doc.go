// Package admin is the administration side of the gateway: an HTTP+JSON API
// over connections, clients, grants, keys, policy and store, the consents in the
// browser, and the health and metrics endpoints.
//
// Start with [New], which makes an [API]. It has three faces onto the same routes:
//
//   - [API.Local] for callers that the operating system has already vouched for: the
//     0600 socket in the data directory, or a command in its own process.
//   - [API.Network] for the TCP listener, behind a bearer token, a Host allowlist and
//     cross-origin protection. It serves the pages of jiragate/gateway/admin/consent,
//     too, and further [Pages], which let people in themselves: the console and the
//     public ones.
//   - [API.InProcess] for such pages, which have found out who asks, and name the
//     [Caller] by [WithCaller].
//
// Each route needs a [Role]; whoever comes by the first two faces has that of an admin.
// [NewServer] bounds a listener.
//
// Requests and answers are one set of types for both ends of the wire. The OpenAPI
// document at /v1/openapi.json is made of them, of the routes, and of what
// descriptionroutes_test.go says about each; the tests check every answer against it.
//
// Whatever changes something is an audit record, by jiragate/gateway/admin/act: its
// intent before, or nothing is done, and its outcome after. What is refused is one,
// too, once its route is known; of what the Network face refuses before that there is
// one a minute at most, and a line in the log each second. An act that has begun is
// done whole, even if its caller leaves: [API.Wait] waits for those under way.
//
// The audit log is read through [AuditLog], below /v1/audit/: page by page (records),
// one record with its proof (records/{ref}), as a stream while it is written
// (records/stream), its newest checkpoint, counts over time (activity), and as a report
// on a month. Questions take a bounded time, and some at a time only. A stream lasts for
// minutes: a server that shuts down calls [API.EndStreams].
//
// The package may not know how calls are proxied, nor how anything is stored:
// it is handed a tokenstore.Store, a policy, and functions for what the pipeline does.
//
// # Caveats
//
// Nothing secret is in any answer but two, which show it once: the token of a client,
// in the answer that makes it ([IssuedToken]), and the link to a consent ([Invited]).
// What carries a secret in a request prints redacted, and is written out only by the
// Encode functions.
package admin
