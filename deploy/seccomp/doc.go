// Package seccomp tests the list of system calls that containers of the gateway may make.
// There is nothing to import.
package seccomp
