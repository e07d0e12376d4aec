// Package vulndb pins the Go vulnerability database, so that a check gives the same
// answer for the same commit, without any network but the Go module proxy: the
// repository of the database is a module, and its folder data/osv has the reports.
// deploy/release reads it there.
//
// The requirement is kept in go.mod by the line "tool", for a command of that module
// that needs nothing else; nobody runs it. It is a module of its own, so that the pin
// moves nothing else. Bring it up to date by
//
//	GOWORK=off go get -C deploy/vulndb -tool golang.org/x/vulndb/cmd/forks@latest
//
// accepted.json lists findings that do no harm:
//
//	[{"id": "GO-2026-1234", "reason": "why it does no harm here", "until": "2027-01-31"}]
//
// A database that is newer than "until" doesn't take it any more, and a finding that is not
// found any more must go from the list.
package vulndb
