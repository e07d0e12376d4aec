// Package limit holds what the gateway bounds its clients with, so that none of
// them, and nobody unknown, can take from the others what all of them need.
//
//   - [Places] share a number of something, such as calls at a time or bytes of
//     bodies, among whoever asks.
//   - [Buckets] bound how often something happens for each key.
//   - [Guesses] slow down whoever fails to say who it is.
//   - [Memory] tells when the process is close to its memory limit.
//
// The package knows nothing of calls. The numbers come from its callers.
//
// # Sharing places
//
// Whoever holds fewer places than are free may take another (a dynamic threshold,
// as in Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory
// packet switches", 1998). One alone gets half of the places; two that want all
// get a third each; n get one part in n+1. The part that stays free is what a
// newcomer finds at once, even where the others' calls never end. Who finds no
// place may wait; a place that comes free goes to the one who holds the fewest.
package limit
