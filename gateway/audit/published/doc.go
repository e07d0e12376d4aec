// Package published is what the gateways that share a store say there of their audit logs:
// each its newest signed checkpoint, and older ones. Who verifies the logs of all gateways
// learns from it which there are, and how long each must be, so that none can be left out or
// cut off unseen.
//
// Start with a [Log], of which [Read] checks that it is what it is stored as. [Log.Checkpoints]
// are for [audit.Verify], and [Absent] are the logs that nobody has shown.
//
// # What it can't show
//
// Nothing here is believed because of where it was: anybody who may write to the store can have
// put it there, or taken it away. Whether a checkpoint is signed by the keys of its log is for
// those to say who verify the log with it.
//
// # What it may not know
//
// What the store is, and what is in the records.
package published
