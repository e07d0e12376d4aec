// Package mutation shows whether a package's tests notice faults: it makes
// mutants, copies of the package with one small fault each, and runs the tests
// against every one. A mutant that a test fails for is killed. One that no test
// notices has survived: either a test is missing, or the fault changes nothing
// that could be noticed and is listed as equivalent.
//
// [Load] finds the places for faults, [Build] compiles them all into one test
// binary, in which an environment variable switches one on, and [Suite.Run] runs
// it. So a mutant costs the start of a process, not a compilation; only changed
// constants, which must be known to the compiler, have a binary of their own.
// Nothing is written to the source tree: the compiler is given the changed files
// by -overlay, and each run of tests has a working directory, with testdata, and a
// folder for temporary files of its own.
//
// # The faults
//
//   - condition: always true, or never
//   - operand: an operand of && or || is left out
//   - logic: && instead of ||, and the other way round
//   - boundary: < instead of <=, and so on
//   - arithmetic: - instead of +, and so on
//   - number: a number, or a character, one more and one less
//   - bound: an end of a slice expression one further
//   - constant: another constant of the same type, such as another reason
//   - word: another word in a comparison; a set of characters without one of them
//   - result: nothing is returned in the place of something
//   - statement: a statement is left out
//   - jump: continue instead of break, and the other way round; or neither
//   - case: a case of a switch is left out
//   - limit: a numeric constant one more and one less
//
// Negated conditions are not among them, because a test that fails for one also
// fails for the condition that is always true, or for that which never is.
//
// # Why no tool
//
// Gremlins (v0.6.0) has neither left out statements, nor results, nor changed
// constants, nor a list of equivalent mutants, copies the module, and runs
// go test anew for every mutant. Of the others the module proxy had no version.
//
// It is used by tests alone and knows nothing of the package that it changes.
package mutation
