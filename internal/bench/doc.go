// Command bench measures the gateway as a program among others: how many calls a
// second, at what latency, for how much processor and memory, beside no proxy, nginx and
// a bare goproxy interception loop, in one run on one machine.
//
//	go run ./internal/bench [-for 5s] [-rounds 3] [-only calls,latency,…] [-ways jiragate,…]
//	                        [-gateway PROGRAM] [-json FILE] [-write docs/performance.md] [-check]
//
// It starts everything itself, on loopback addresses: an upstream with prepared
// answers, the gateway as it is shipped with all that it does switched on, the peers, and
// a load generator, which is this process. All that the gateway is not, is left out: log
// records are not shipped (OTEL_LOGS_EXPORTER=none), since that is a second copy of the
// records which no goal speaks of; metrics are kept, and traces of one call in a hundred
// are sent to a collector that drops them.
//
// The closed loop has each connection send the next call when it has its answer; the open
// loop sends calls at fixed times and measures from then, so that one slow answer isn't
// left out of those after it (coordinated omission). Load generator and upstream are
// written by hand, so that they take little of the processors that they share with what is
// measured: some 30 µs a call, both together.
//
// Absolute numbers are of the machine. What counts are the ratios: every way is measured
// in turn, in several rounds; tables show the medians, and a goal is the median of the
// rounds' ratios.
//
// Each file answers one question, as calls.go, latency.go or idle.go; goals.go says what
// shall be reached.
package main
