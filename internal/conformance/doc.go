// Package conformance holds a running gateway to the standards it speaks, from
// outside: HTTP/2 inside a tunnel by h2spec (RFC 9113, RFC 7541), TLS of all its
// listeners by a scanner of its own and by testssl.sh. It has tests only.
//
// What deviates is in the tables of the tests, each row with its reason; a new
// deviation fails them, and so does a row that is no longer true. Results are in
// docs/conformance.md.
package conformance
