package gateway

import (
	"cmp"
	"context"

	"go.opentelemetry.io/otel/trace"
)

// context is for log lines about the call: it has the call's span, so that they
// carry its ids, and doesn't end when the client goes away.
func (c *Call) context() context.Context {
	return trace.ContextWithSpan(context.WithoutCancel(c.in.Context()), c.span)
}

// hints say what an operator can do about calls that fail on the way. The client is
// told what it can do itself; see refusal.
var hints = map[Code]string{
	CodeTunnelLimit:        "a client that opens a tunnel for each call should reuse them; otherwise run another gateway",
	CodeConnectionReplaced: "nothing to do: the client may try again",
	CodeConnectionBusy:     "if it goes on, raise JIRAGATE_CONNECTION_CONCURRENCY, or ask why the customer's Jira is slow",
	CodeTooManyConnections: "run another gateway for a part of the connections",
	CodeRecordUnavailable:  "free the disk of JIRAGATE_DATA_DIR or make it writable; the gateway goes on by itself",

	CodeNeedsReauthorisation:   "the reason is in jiragate connection show; then jiragate connection consent, or credential",
	CodeCredentialUnavailable:  "see that the authorization server can be reached, and that jiragate store check finds nothing",
	CodeCredentialUnconfigured: "set JIRAGATE_OAUTH_CLIENT_ID and JIRAGATE_OAUTH_CLIENT_SECRET_FILE to those of the app",

	CodeOverloaded:               "see which limit in the docs' section on limits and jiragate.limit.use: give the gateway more memory, or let clients send less",
	CodeEgressUnavailable:        "jiragate egress list says which address fails: see that an interface has it, or ask the proxy's provider",
	CodeUpstreamAddressForbidden: "if this Jira is in a private network, allow it with JIRAGATE_EGRESS_ALLOW_PRIVATE; otherwise ask the customer about the name's DNS records",
	CodeUpstreamUnresolvable:     "see that the machine's resolver works, and that the base URL in jiragate connection show is right",
	CodeUpstreamUnreachable:      "ask the customer whether Jira is up and lets the egress address in; jiragate connection test",
	CodeUpstreamTLSFailed:        "for a private CA set JIRAGATE_UPSTREAM_CA_FILE, or --upstream-ca-file of the connection; otherwise the customer's certificate is at fault",
	CodeUpstreamTimeout:          "ask the customer why Jira is slow; jiragate connection test",
	CodeUpstreamBusy:             "ask the customer why Jira is slow; more calls than its connections carry are waiting",
	CodeUpstreamResponseInvalid:  "something in front of Jira may answer in its place; jiragate connection test",
	CodeUpstreamResponseCut:      "something between here and Jira cuts answers off; if it goes on, ask the customer",
	CodeResponseWithheld:         "tell the customer that their Jira, or something in front of it, repeats credentials; give the connection a new one",
	CodeInternal:                 "look for other lines with this record's id; if there is a stack, report it as a bug",
}

func (c Code) hint() string {
	return cmp.Or(hints[c], "look at the error; the code is explained in jiragate's documentation for services")
}
