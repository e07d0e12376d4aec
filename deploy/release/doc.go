// Command release makes a release of jiragate out of a commit, so that anybody
// who has the commit makes the same release, bit by bit:
//
//	go run ./release -out ../dist
//
// For each platform it builds the program, finds out what the file is made of and
// under which licences, and writes an archive, a list of parts (SBOM, CycloneDX) and
// the licences' texts. For all of them it writes who made them from what (provenance,
// SLSA in an in-toto statement), signed if there is a key, and SHA256SUMS. With
// -verify it checks such a directory, with -vuln it asks whether a program has known
// vulnerabilities. Start with release.go.
//
// Nothing in a release depends on the machine, the folder, the hour or the user: times
// are the commit's, or SOURCE_DATE_EPOCH. The compiler is the one that the line
// "toolchain" of jiragate's go.mod names, whichever is installed.
//
// It may not know what the gateway does. It publishes nothing, and sets no tags.
package main
