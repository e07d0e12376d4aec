// Package report makes the document that a customer's auditor is handed for one
// connection and one month: what was promised, against what the call records say
// has happened.
//
// Start with [Collect], which reads the records once, and write what it returns
// with [Report.WriteHTML], [Report.WriteCSV] and [Report.JSON]. [Seal] puts a
// signature behind the page, [Open] checks it. [Checksums] is the text to sign for
// the files together.
//
// # What is compared
//
// Each allowed call is held against the policy that allowed it, as the call record
// names it: is the operation in that policy's table and switched on for the
// connection, has the call its method, does the path fit its template, are its
// query parameters documented. Each call that left is held against the addresses
// that were published at its time. What does not hold is a [Finding], on top of the
// page. The report trusts no field of a record more than it must, but it trusts
// the log: whether the log can be trusted is in [Verification].
//
// # The formats
//
// The page is one file without script that asks for nothing elsewhere; it says
// everything. The JSON says the same: [Report] documents the keys, which are
// stable. The CSV is for pivot tables and holds counts alone, a row for each
// combination of day, operation, decision, code, status, address, client and
// policy: see [Report.WriteCSV]. Equal reports give equal bytes.
//
// # Bounds
//
// Memory depends on the number of different operations, codes, clients, addresses
// and combinations of them, all bounded, and not on the number of records. Where a
// bound was reached, the counts stay right, and what was not told apart is counted
// under [More].
//
// # Text
//
// Names, codes and paths may hold anything. They are escaped for each format;
// control, invisible and bidirectional characters are shown as \u202e.
//
// # What it may not know
//
// Directories, clocks, HTTP, stores, and where published addresses come from: all
// is told by [Input]. It signs nothing itself.
package report
