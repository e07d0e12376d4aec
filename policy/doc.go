// Package policy decides which calls to Jira are documented, and hence
// allowed. It is pure: it knows no network, no store and no clock, and reads
// nothing but its arguments.
//
// Start with [Policy], made by [Default] or [New], and its method
// [Policy.Decide], which turns a [Request] into a [Decision]. A call with a body
// then passes [Policy.DecideBody]. What leaves the gateway is built from the
// decision ([Decision.Path], [Decision.RawQuery], the rebuilt body), never from
// what the client sent.
//
// # The catalogue
//
// The file jira.yaml, embedded in the program, holds every documented
// [Operation] of both editions: its purpose in the words that customers read,
// method, path template, query parameters, body rule and scope. What is not in
// it is denied.
//
// # Narrowing
//
// An operator can only take away from the catalogue. The rules are YAML:
//
//	version: 1
//	successors: [createmeta.issuetypes]    # successors of deprecated operations to switch on
//	rules:
//	  - name: acme-only-reads
//	    connections: [acme]                # left out: every connection
//	    clients: [billing]                 # left out: every client
//	    deny: [issue.delete, issue.create] # operations switched off
//	    projects: [ACME, "10000"]          # the only projects that calls may name
//	    mode: enforce                      # or report: allow, and say what enforcing would refuse
//
// Every rule that fits a call applies, so adding a rule never allows more. The
// one thing the file can add, a successor, is itself an operation of the
// catalogue. [Check] names rules that do not do what they seem to.
//
// # How a path ends
//
// The raw path is cut at its slashes and matched segment by segment. Anything
// that another server might read differently is path_malformed. A well-formed
// path that no template of the edition fits is operation_not_documented; so is
// one whose literals fit a template of another method only, with an identifier
// outside its grammar. Where the literals and the method fit and only the
// identifier does not (GET /rest/api/2/project/type), the answer is
// parameter_malformed; where all but the method fits, method_not_documented.
//
// # Caveats
//
// A project limit compares names as the call spells them. A project's key and
// its id are two names: list both if clients use both. Jira lets a moved issue
// answer to its old key, so a limit that lists the old project lets a call reach
// an issue that has since moved elsewhere. A numeric issue id belongs to no
// project that could be told from it and is refused under a limit.
package policy
