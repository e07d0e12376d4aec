// Package jirasim is a Jira that runs inside the process: Jira Cloud with its
// OAuth 2.0 server, and Jira Data Center, each behind TLS on a loopback port.
// It answers the documented operations with realistic JSON, keeps what is
// created, rotates refresh tokens, locks accounts, and misbehaves when asked.
//
// [Start] starts one from [Options], whose zero value is a complete Jira.
// [Sim.Fault] makes it misbehave, [Sim.Requests] and [Sim.WaitRequest] tell what
// arrived, and methods such as [Sim.IssueGrant] and [Sim.SetPassword] do what an
// administrator of the customer would do in a browser.
//
// # What it is careful about
//
// It is as lenient as the real thing wherever leniency is dangerous. Path
// parameters (";jsessionid=…") are dropped, dot segments resolved and doubled
// slashes folded before a path is matched; X-HTTP-Method-Override is honoured;
// a JSESSIONID cookie is as good as a password; undocumented operations answer
// 200 with data. Whatever slips past a gateway is therefore served, and seen.
//
// Everything it hands out (tokens, codes, issue keys, session ids) is derived
// from [Options.Seed] and counters, so that two runs are alike.
//
// # Caveats
//
// It is for demonstrations and tests: its secrets can be guessed, its data is in
// memory, its certificate authority is thrown away with it. It imports no other
// package of this module and reads neither the environment nor a file. A fault
// that acts below HTTP (a connection reset) takes down all HTTP/2 streams of the
// connection, as it would in life.
package jirasim
