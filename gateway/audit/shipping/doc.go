// Package shipping sends a copy of each audit record on its way as an
// OpenTelemetry log record, for those who watch many programs in one place.
//
// Start with [New], and give [Shipper.Ship] to the log as what observes it:
//
//	ship := shipping.New(telemetry.LoggerProvider())
//	log, err := audit.Open(audit.Options{Dir: dir, Observe: func(r audit.Record) { ship.Ship(r, r.Line()) }})
//
// # What it promises
//
// Ship never waits for a collector, and nothing that happens to a copy changes
// anything for the call. So copies can be missing: those of a time in which the
// collector was away for long, and the last ones of a process that was killed.
// The log in the data directory is the truth. The attribute jiragate.seq counts
// without gaps, so that whoever has the copies sees which ones are missing, and
// the body is the line as it is in the log: its SHA-256 is the "prev" of the
// next one.
//
// # The log record
//
// An event (OpenTelemetry specification, logs data model) named
// [EventCall] or [EventAct]; the time is that of the audit record, severity WARN
// for what was refused or has a code, otherwise INFO. The trace is that of the
// call; no span is named, since the audit record knows none. Attributes are those of the
// semantic conventions, and jiragate.* for the rest, named as in the gateway's
// spans; what is empty or 0 is left out.
//
//	http.request.method, http.request.method_original   http.response.status_code
//	http.request.body.size, http.response.body.size     url.path
//	client.address, client.port                         the client
//	network.peer.address, network.peer.port             what was dialled on the way to Jira
//	jiragate.seq, jiragate.record                       place in the log, id of the record
//	jiragate.client, .connection, .edition, .region     who asked, and for which customer
//	jiragate.operation, .query_names, .credential       what was asked for
//	jiragate.decision, .code, .policy_sha256            what was decided, and why
//	jiragate.egress_ip, .duration_ms                    how it went
//
// Attributes hold text from clients. A character that cannot be seen, or that
// could steer a terminal, is U+FFFD there; the body has it escaped.
//
// # What it may not know
//
// How records are made, stored or exported: only audit records, and
// OpenTelemetry's interface to emit them.
package shipping
