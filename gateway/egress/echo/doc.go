// Package echo proves that calls leave from the published addresses. An echo
// service answers a request with the address that the request came from; one or
// more of them are asked through every egress address, and what they saw is
// compared with what customers were told.
//
// Start with [ParseServices], which reads the configuration, and [NewMonitor],
// which verifies at start and from time to time. [Verify] is one round, for a
// command. [Parse] reads an answer, [Ask] gets one.
//
// # What a verdict says
//
// An address is verified if at least one service answered and all that answered
// saw the published address. It differs if any of them saw another one. It is
// unknown if none answered: that is a warning and no failure, since a service
// of somebody else's that is down must not take the gateway down.
//
// What cannot be read without guessing is no answer. That goes for a login page,
// a redirect, two addresses that differ, and a list of addresses.
//
// # Caveats
//
//   - A service speaks for the way to itself. Where the network chooses the
//     outgoing address by destination, the way to a Jira may be another one.
//   - A service is believed. One that lies, or that sees no more than its own
//     load balancer, makes an address differ and the gateway unready; the
//     services are for the operator to choose.
//   - Only the last round counts: an address that differed and is unknown now no
//     longer keeps the gateway from being ready.
//
// The package opens no socket itself. It knows nothing of how an address is
// bound, nor of Jira, connections and credentials: whoever uses it brings one
// [net/http.RoundTripper] for each address.
package echo
