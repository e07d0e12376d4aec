// Package litter is one whose tests leave files where they run.
package litter

// Name is that of the files.
func Name() string { return "litter.txt" }
