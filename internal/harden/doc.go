// Package harden keeps what is in the memory of the process away from others: from who
// reads /proc, from core files, debuggers and swap.
//
// Start with [HideEnvironment] and [NoDumps], at once when the process starts. [LockMemory]
// is for whoever asks for it. On systems other than Linux less can be done; each function
// says what.
//
// The package knows nothing of what is secret: it is the whole memory.
package harden
