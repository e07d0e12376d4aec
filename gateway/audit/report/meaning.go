package report

import "jiragate/policy"

// meaning says in words for a customer's auditor why a call was refused.
func meaning(code string) string {
	for _, c := range policy.Codes() {
		if string(c.Code) == code {
			return c.Meaning
		}
	}
	for _, c := range refusals() {
		if c[0] == code {
			return c[1]
		}
	}
	if code == "" {
		return "No reason is on record."
	}
	return "This version of the report does not know the code."
}

// refusals are the codes of the gateway's own, beside the policy's.
func refusals() [][2]string {
	return [][2]string{
		{More, "Other reasons, counted together."},
		{"issue_not_published", "Only issues that this connection published through the gateway can be deleted, once."},
		{"delete_switched_off", "The operator has switched deletes off."},
		{"client_unidentified", "The caller did not identify itself."},
		{"client_revoked", "The client was removed, or its token changed."},
		{"connection_unknown", "None of the client's connections is at this host and path."},
		{"connection_ambiguous", "The call did not say which connection it is for, or named two."},
		{"not_granted", "The client may not use this connection."},
		{"connection_disabled", "An operator has disabled the connection."},
		{"connection_other_region", "The connection belongs to another region, whose gateway has other addresses."},
		{"connection_replaced", "The connection was removed or replaced while the call was under way."},
		{"scope_not_granted", "What was consented to does not cover the operation."},
		{"authority_mismatch", "The call named another host than the tunnel it came through."},
		{"request_malformed", "The HTTP message was not well formed."},
		{"header_too_large", "The header of the message was too large."},
		{"target_too_long", "The URL was too long."},
		{"request_timeout", "The message did not arrive in time."},
		{"content_encoding_not_allowed", "The body was encoded, so that it could not be checked."},
		{"upgrade_not_allowed", "The call asked for another protocol, such as WebSocket."},
		{"plaintext_not_allowed", "The call came unencrypted over a network."},
		{"tunnel_not_tls", "What came through the tunnel was not TLS."},
		{"tunnel_handshake_failed", "The TLS handshake in the tunnel failed: most likely the caller does not trust the gateway's certificate."},
		{"tunnel_limit_reached", "The gateway had too many tunnels open."},
		{"identification_paused", "Too many attempts from the caller's address had failed."},
		{"client_rate_exceeded", "The caller was over the number of calls a second that the operator allows it."},
		{"client_busy", "The caller had its share of the gateway in use."},
		{"overloaded", "The gateway was short of memory, or had too many calls under way."},
		{"jira_asked_to_wait", "Jira had asked to wait, and the time was not over."},
		{"app_paused", "Atlassian had asked the whole integration to wait."},
		{"app_share_exhausted", "The connection's share of what Atlassian allows the integration in an hour was used up."},
		{"connection_budget_exhausted", "The connection was over the number of requests a second that the operator allows it."},
		{"connection_busy", "Too many calls of the connection were under way."},
		{"too_many_connections", "The gateway had too many connections at work."},
		{"record_unavailable", "The call could not be put on record, and without a record none is made."},
		{"credential_needs_reauthorisation", "An administrator of the Jira must connect again, or give a new password or token."},
		{"credential_unavailable", "The stored credential could not be opened or renewed."},
		{"credential_not_configured", "The gateway lacks a setting that the credential needs."},
		{"egress_unavailable", "No published address was working."},
		{"upstream_address_forbidden", "The Jira's host name led to an address that may not be called."},
		{"upstream_unresolvable", "The Jira's host name did not resolve."},
		{"upstream_busy", "Too many calls of the connection waited for Jira."},
		{"internal_error", "The gateway failed before the call was recorded as allowed."},
	}
}
