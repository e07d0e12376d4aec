// Package demo is the demo command: the Jira simulator, a gateway with a real
// store, CA and audit log in a temporary directory, and an ordinary HTTPS
// client that makes every documented call through it, and then a dozen that
// must be refused. While it stays up, a few calls a second go on, so that live
// pages move.
//
// Start with [Command]. It is the one place where the simulator and the product
// meet; no other command can reach the simulator.
//
// # The simulator by itself
//
// demo simulator (simulator.go) is the simulator as a process of its own, for a
// gateway beside it, in another container say. It leaves in a folder what a customer
// would have given, and demo seed (seed.go) gives that to the gateway by the commands
// that an operator would use. It can be repeated: what is there already stays.
//
// # The past
//
// A console without a past shows nothing. So before the gateway starts, the store
// and the audit log get what some thirty made-up customers would have left there in
// 35 days (customers.go, past.go, pastcalls.go). It is made up, and said to be, but
// it is written by the packages that write the real thing, with their clock set back:
// what the policy in force says of each call is in its record, and the chain, the
// tree and the checkpoints are signed by the audit key that the gateway then uses.
// What stands out is in paststories.go. The same moment gives the same calls; keys,
// tokens and hashes differ.
//
// Connections to Cloud lead to the simulator, and calls over them are real ones. The
// made-up Data Centers are nowhere (RFC 6761, .example) and never called, and the
// addresses in records of the past are for documentation (RFC 5737).
package demo
