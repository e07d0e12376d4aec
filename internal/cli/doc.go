// Package cli is the command line of jiragate: the configuration, the wiring
// of the parts, and the commands.
//
// Start with [Main], which runs one command; [Config], which is the
// environment, parsed once; and [Start], which makes a running [Server] of a
// Config, as `serve` does and as tests do on a directory of their own.
//
// Commands that touch the store all speak to the admin API (package
// gateway/admin). While a gateway runs they reach it by the socket in its data
// directory, since bbolt lets one process in. While none runs they open the
// store themselves and call the same handler in their own process. See
// session.go.
//
// The package may import each of the others, and no other package may import
// it. Deciding, storing and proxying are none of its business.
package cli
