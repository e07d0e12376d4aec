// Package jirasim is a Jira that runs inside the process: Jira Cloud with its
// OAuth 2.0 server, and Jira Data Center, each behind TLS on a loopback port.
// It answers the documented operations with realistic JSON, keeps what is
// created, rotates refresh tokens, locks accounts, and misbehaves when asked.
//
// [Start] starts one from [Options], whose zero value is a complete Jira.
// [Sim.Fault] makes it misbehave, [Sim.Requests] and [Sim.WaitRequest] tell what
// arrived, and methods such as [Sim.IssueGrant] and [Sim.SetPassword] do what an
// administrator of the customer would do in a browser. [Sim.SetConsent] decides on
// the consent pages, so that nobody has to look at them. [Sim.AllowFrom] sets the
// addresses that may call.
//
// # Credentials
//
// Cloud has OAuth 2.0 (3LO) with rotating refresh tokens, and the list of
// accessible sites, which [Sim.SetSites] changes. Data Center has passwords,
// personal access tokens, and both kinds of incoming application links: OAuth 2.0
// with Data Center as the provider (/rest/oauth2/latest/), and OAuth 1.0a with
// RSA-SHA1 (/plugins/servlet/oauth/) for consumers that [Sim.RegisterConsumer]
// makes known. The two OAuth 2.0 servers share no client, token or counter.
//
// The provider has a revocation endpoint (RFC 7009). Atlassian's page on the
// provider does not tell of it, so a client must get along without; a fault that
// answers 404 below /rest/oauth2/latest/revoke makes a Jira that has none. Cloud
// documents none and has none here.
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
