// Package demo is the demo command: the Jira simulator, a gateway with a real
// store, CA and audit log in a temporary directory, and an ordinary HTTPS
// client that makes every documented call through it, and then a dozen that
// must be refused.
//
// Start with [Command]. It is the one place where the simulator and the product
// meet; no other command can reach the simulator.
package demo
