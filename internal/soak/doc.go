// Package soak judges the gateway as a process that runs for long: the program itself,
// with its store, log, console and exports, in front of Jira simulators, under mixed
// traffic with faults. It is nothing but tests:
//
//	make soak                  # an hour, then ten thousand idle tunnels
//	make soak SOAK=10m         # shorter
//	go test ./internal/soak    # seconds and a few hundred tunnels, as CI does
//
// Start with [TestSoak], [TestIdleTunnels] and [TestFleet]; the flags are in flags_test.go.
//
// # How a soak goes
//
// Clients call by every door, at a steady rate (load_test.go); others are rude: they
// leave in the middle, open half a tunnel, read slowly, send heads that have two
// readings (rude_test.go). Some simulated Jiras misbehave, and so does the
// authorization server (trouble_test.go); two are calm. An operator changes policy,
// grants, connections and keys meanwhile, and asks for records and reports
// (operator_test.go). From time to time all of that rests, so that what an idle
// gateway holds can be compared (samples_test.go).
//
// # What is a violation
//
//   - A call that did not come out as it should, unless a fault that was injected
//     into its connection at that time explains it, by status and reason.
//   - A call without a record, with two, or with another status than the client got;
//     a record of a call that nobody made. Each call has a trace id of its own, by
//     which its record is found.
//   - A log that does not verify, a connection that cannot be used at the end, a
//     refresh token that was refused.
//   - Goroutines, descriptors or memory of the idle gateway that grow from the second
//     quarter of the time to the last, beyond the tolerances in samples_test.go.
//   - A process that does not end with code 0 when it is told to.
//
// # The fleet
//
// [TestFleet] has three gateways share a store in a real etcd cluster, with a thousand
// connections whose tokens end twice a minute. Gateways and members are killed, stopped
// and cut off (fleet_test.go). The authorization server counts what it exchanged, and
// that must be what is stored.
package soak
