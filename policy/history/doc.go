// Package history keeps every policy that ever decided, so that a record which
// names a policy by its SHA-256 can always be resolved to the exact rules that
// decided it.
//
// Start with [New], which names the folder. [History.Put] keeps a policy; call
// it before the policy decides anything. [History.Get] finds one by its hash or
// the beginning of it, [History.List] tells which there are.
//
// # The folder
//
// It has mode 0700 and holds a file of mode 0600 for each policy:
//
//	<sha256>.policy    the bytes of [policy.Policy.Archive], whose hash is the name
//
// So each file proves itself: sha256sum must print the name. Files are never
// changed, replaced or removed by this package, since they are evidence. One
// that doesn't have the hash it is named for is an error that names it. A file
// with any other name is ignored; a crash may leave one that ends in
// ".new-" and letters, which is safe to delete while no gateway runs.
//
// Any number of processes may put, get and list at the same time.
//
// The package knows policies and files, and nothing of calls, records or time:
// when a policy was in force is told by the records.
package history
