// Package gateway is the outbound gateway itself: the listeners and the way of
// a call.
//
// A request enters by one of three front doors (CONNECT with TLS intercepted,
// absolute-form, base-URL form), becomes one [Call], and travels the stations
// of pipeline.go once, in the order in which that file reads:
//
//	identify → resolve → decide → pace → record → authorise → send → respond → complete
//
// Start with [New], [Gateway.Serve] and [Gateway.Shutdown]; [Explain] answers
// what would be decided without sending anything, through the same code.
//
// The package decides nothing about Jira's operations (package policy does),
// doesn't know how connections, credentials or records are stored, and opens
// no socket of its own: every upstream connection comes from package egress.
//
// Caveats. The client's raw bytes never leave: what is sent is rebuilt from
// the connection's base URL and the policy's decision. Redirects are passed
// back, not followed. A POST or DELETE is sent at most once. Responses are
// asked for unencoded, so that a reflected credential can be found in them.
package gateway
