// Package fleet reads the audit logs of several gateways together. Each gateway writes
// its own, with its own chain, tree and key; nothing is ever written that is of more
// than one.
//
// Start with [Open], which finds out whose log is in which directory, and refuses logs
// that can't be told apart or are copies of one. [Merge] gives the records of all as
// one sequence, while the logs are written or not.
//
// # Whose log it is
//
// A gateway that has a name among several (JIRAGATE_NODE) signs the checkpoints of its
// log as jiragate/REGION/NODE. [Open] reads the node from the newest checkpoint, without
// a look at the signature: it is a name to show, until [audit.Verify] says that it is
// true. A log without one is called what the caller says, or like its directory; where
// that is "audit", as in the data directory of each gateway, like the directory around it.
//
// # Order
//
// The records of one log stay in the order of that log. It is not quite that of their
// times: a time is when a call arrived, and the record is written when it is over. So a
// record counts as of the latest time in its log so far, and the one that is earliest by
// that comes first; then by node. As clocks of machines differ, the order of records of
// two nodes is as good as these clocks.
//
// # What it may not know
//
// Which records are asked for, how they are found, and what the logs are verified with.
package fleet
