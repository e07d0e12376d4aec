// Command bench measures the gateway as a program among others: how many calls a
// second, at what latency, for how much processor and memory, beside no proxy, nginx and
// a bare goproxy interception loop, in one run on one machine.
//
//	go run ./internal/bench [-for 5s] [-rounds 3] [-only calls,latency,…] [-write docs/performance.md]
//
// It starts everything itself, on loopback addresses: an upstream with a prepared
// answer, the gateway as it is shipped with all that it does switched on, the peers, and a
// load generator, which is this process. The closed loop has each connection send the
// next call when it has its answer; the open loop sends calls at fixed times and
// measures from then, so that one slow answer isn't left out of those after it
// (coordinated omission). Load generator and upstream are written by hand, so that they
// take little of the processors that they share with what is measured.
//
// Absolute numbers are of the machine. What counts are the ratios: every way is measured
// in turn, in several rounds, and the median of each is taken.
package main
