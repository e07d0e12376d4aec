// Package reporting gathers what the report on a connection and a month is made of:
// the verification of the audit log, the policies in force and what they changed, the
// published addresses, and the records.
//
// Start with a [Source], and ask it to [Source.Make] a report of package report. The
// command line and the admin API make the same one, while the log is written or not.
//
// It may not know how anything is stored but the log, nor who asks or signs.
package reporting
