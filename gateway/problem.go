package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"jiragate/gateway/diagnosis"
	"jiragate/gateway/pace"
)

// Code is a stable reason code: what a client finds in the "code" member of a
// refusal, a compliance reader in the "code" of the call record, and an
// operator in metrics. The codes of package policy are used as they are.
type Code string

// The gateway's own reason codes.
const (
	CodeRequestMalformed  Code = "request_malformed"
	CodeHeaderTooLarge    Code = "header_too_large"
	CodeTargetTooLong     Code = "target_too_long"
	CodeBodyTooLarge      Code = "body_too_large"
	CodeRequestTimeout    Code = "request_timeout"
	CodeEncodingForbidden Code = "content_encoding_not_allowed"
	CodeUpgradeForbidden  Code = "upgrade_not_allowed"
	CodePlaintext         Code = "plaintext_not_allowed"
	CodeTunnelNotTLS      Code = "tunnel_not_tls"
	CodeTunnelFailed      Code = "tunnel_handshake_failed"
	CodeTunnelLimit       Code = "tunnel_limit_reached"
	CodeAuthorityMismatch Code = "authority_mismatch"

	CodeClientUnidentified Code = "client_unidentified"
	CodeClientRevoked      Code = "client_revoked"

	CodeIdentificationPaused Code = "identification_paused"
	CodeClientBusy           Code = "client_busy"
	CodeClientRate           Code = "client_rate_exceeded"
	CodeOverloaded           Code = "overloaded"

	CodeConnectionUnknown     Code = "connection_unknown"
	CodeConnectionAmbiguous   Code = "connection_ambiguous"
	CodeNotGranted            Code = "not_granted"
	CodeConnectionDisabled    Code = "connection_disabled"
	CodeConnectionOtherRegion Code = "connection_other_region"
	CodeConnectionReplaced    Code = "connection_replaced"
	CodeScopeNotGranted       Code = "scope_not_granted"

	CodeIssueNotPublished Code = "issue_not_published"
	CodeDeleteSwitchedOff Code = "delete_switched_off"

	CodeJiraAskedToWait    = Code(pace.ReasonAsked)
	CodeAppPaused          = Code(pace.ReasonAppPaused)
	CodeAppShareExhausted  = Code(pace.ReasonAppShare)
	CodeBudgetExhausted    = Code(pace.ReasonBudget)
	CodeConnectionBusy     = Code(pace.ReasonBusy)
	CodeTooManyConnections = Code(pace.ReasonTooMany)

	CodeRecordUnavailable Code = "record_unavailable"

	CodeNeedsReauthorisation   Code = "credential_needs_reauthorisation"
	CodeCredentialUnavailable  Code = "credential_unavailable"
	CodeCredentialUnconfigured Code = "credential_not_configured"
	CodeCredentialRefused      Code = "credential_refused"
	CodeCaptchaRequired             = Code(diagnosis.CaptchaRequired)
	CodeScopeRefused                = Code(diagnosis.ScopeRefused)
	CodeClockRefused           Code = "upstream_clock_refused"

	CodeIPRefused         = Code(diagnosis.IPRefused)
	CodeFirewallRefused   = Code(diagnosis.FirewallRefused)
	CodeRateLimited       = Code(diagnosis.RateLimited)
	CodeAppRefused        = Code(diagnosis.AppRefused)
	CodePermissionRefused = Code(diagnosis.PermissionRefused)
	CodeBasicAuthDisabled = Code(diagnosis.BasicAuthDisabled)
	CodeSiteUnavailable   = Code(diagnosis.SiteUnavailable)
	CodeXSRFRefused       = Code(diagnosis.XSRFRefused)

	CodeEgressUnavailable        Code = "egress_unavailable"
	CodeUpstreamAddressForbidden Code = "upstream_address_forbidden"
	CodeUpstreamUnresolvable     Code = "upstream_unresolvable"
	CodeUpstreamUnreachable      Code = "upstream_unreachable"
	CodeUpstreamTLSFailed        Code = "upstream_tls_failed"
	CodeUpstreamTimeout          Code = "upstream_timeout"
	CodeUpstreamBusy             Code = "upstream_busy"
	CodeUpstreamResponseInvalid  Code = "upstream_response_invalid"
	CodeUpstreamResponseCut      Code = "upstream_response_incomplete"
	CodeResponseWithheld         Code = "response_withheld"
	CodeClientDisconnected       Code = "client_disconnected"
	CodeInternal                 Code = "internal_error"
)

// meaning is what a code stands for: the status of the refusal, its title and
// the error type of its Proxy-Status field (RFC 9209 section 2.3).
type meaning struct {
	status int
	title  string
	proxy  string
}

// meanings is the one table from code to answer. A code that isn't in it is a
// code of the policy: 403, a refused call.
var meanings = map[Code]meaning{
	CodeRequestMalformed:  {http.StatusBadRequest, "The request is malformed", "http_request_error"},
	CodeHeaderTooLarge:    {http.StatusRequestHeaderFieldsTooLarge, "The request header is too large", "http_request_error"},
	CodeTargetTooLong:     {http.StatusRequestURITooLong, "The request target is too long", "http_request_error"},
	CodeBodyTooLarge:      {http.StatusRequestEntityTooLarge, "The request body is too large", "http_request_error"},
	CodeRequestTimeout:    {http.StatusRequestTimeout, "The request did not arrive in time", "http_request_error"},
	CodeEncodingForbidden: {http.StatusUnsupportedMediaType, "Encoded request bodies are not accepted", "http_request_denied"},
	CodeUpgradeForbidden:  {http.StatusForbidden, "Protocol upgrades are not let through", "http_request_denied"},
	CodePlaintext:         {http.StatusForbidden, "Plain-text requests are accepted on a TLS or loopback listener only", "http_request_denied"},
	CodeTunnelNotTLS:      {http.StatusBadRequest, "Only TLS is let through a tunnel", "http_request_error"},
	CodeTunnelFailed:      {http.StatusBadRequest, "The TLS handshake inside the tunnel failed", "http_request_error"},
	CodeTunnelLimit:       {http.StatusServiceUnavailable, "Too many open tunnels", "connection_limit_reached"},
	CodeAuthorityMismatch: {http.StatusMisdirectedRequest, "The request names another host than its tunnel", "http_request_denied"},

	CodeClientUnidentified: {http.StatusProxyAuthRequired, "The client is not identified", "http_request_denied"},
	CodeClientRevoked:      {http.StatusForbidden, "The client is no longer known", "http_request_denied"},

	CodeIdentificationPaused: {http.StatusTooManyRequests, "Too many attempts failed", "http_request_denied"},
	CodeClientBusy:           {http.StatusTooManyRequests, "The client has its share of the gateway", "connection_limit_reached"},
	CodeClientRate:           {http.StatusTooManyRequests, "The client makes too many calls a second", "http_request_denied"},
	CodeOverloaded:           {http.StatusServiceUnavailable, "The gateway has more to do than it can", "proxy_internal_error"},

	CodeConnectionUnknown:     {http.StatusForbidden, "No connection of this client leads there", "http_request_denied"},
	CodeConnectionAmbiguous:   {http.StatusForbidden, "More than one connection fits", "http_request_denied"},
	CodeNotGranted:            {http.StatusForbidden, "The connection is not granted to this client", "http_request_denied"},
	CodeConnectionDisabled:    {http.StatusForbidden, "The connection is disabled", "http_request_denied"},
	CodeConnectionReplaced:    {http.StatusServiceUnavailable, "The connection has changed meanwhile", "proxy_internal_error"},
	CodeConnectionOtherRegion: {http.StatusForbidden, "The connection belongs to another region", "http_request_denied"},

	CodeScopeNotGranted: {http.StatusForbidden, "The connection's grant does not cover the operation", "http_request_denied"},

	CodeIssueNotPublished: {http.StatusForbidden, "The issue was not published through this gateway", "http_request_denied"},
	CodeDeleteSwitchedOff: {http.StatusForbidden, "Deleting issues is switched off", "http_request_denied"},

	CodeJiraAskedToWait:    {http.StatusTooManyRequests, "Jira has asked the connection to wait", "http_request_denied"},
	CodeAppPaused:          {http.StatusTooManyRequests, "Atlassian has asked the integration to wait", "http_request_denied"},
	CodeAppShareExhausted:  {http.StatusTooManyRequests, "The connection's share of this hour is used up", "http_request_denied"},
	CodeBudgetExhausted:    {http.StatusTooManyRequests, "The connection's requests are used up for the moment", "http_request_denied"},
	CodeConnectionBusy:     {http.StatusServiceUnavailable, "Too many calls of this connection are at Jira", "connection_limit_reached"},
	CodeTooManyConnections: {http.StatusServiceUnavailable, "Too many connections are at work", "connection_limit_reached"},

	CodeRecordUnavailable: {http.StatusServiceUnavailable, "The call cannot be recorded", "proxy_internal_error"},

	CodeNeedsReauthorisation:   {http.StatusBadGateway, "The connection needs a new credential or consent of the customer", "proxy_configuration_error"},
	CodeCredentialUnavailable:  {http.StatusServiceUnavailable, "The connection's credential cannot be had at the moment", "proxy_internal_error"},
	CodeCredentialUnconfigured: {http.StatusBadGateway, "The gateway cannot renew the connection's credential", "proxy_configuration_error"},

	CodeEgressUnavailable:        {http.StatusServiceUnavailable, "No egress address is usable", "destination_unavailable"},
	CodeUpstreamAddressForbidden: {http.StatusBadGateway, "Jira's address is not one the gateway may call", "destination_ip_prohibited"},
	CodeUpstreamUnresolvable:     {http.StatusBadGateway, "Jira's host name cannot be resolved", "dns_error"},
	CodeUpstreamUnreachable:      {http.StatusBadGateway, "Jira cannot be reached", "connection_refused"},
	CodeUpstreamTLSFailed:        {http.StatusBadGateway, "The TLS connection to Jira cannot be trusted", "tls_certificate_error"},
	CodeUpstreamTimeout:          {http.StatusGatewayTimeout, "Jira did not answer in time", "http_response_timeout"},
	CodeUpstreamBusy:             {http.StatusServiceUnavailable, "Too many calls of this connection wait for Jira", "connection_limit_reached"},
	CodeUpstreamResponseInvalid:  {http.StatusBadGateway, "Jira's answer is not acceptable", "http_protocol_error"},
	CodeResponseWithheld:         {http.StatusBadGateway, "Jira's answer held the injected credential and is withheld", "http_protocol_error"},
	CodeInternal:                 {http.StatusInternalServerError, "The gateway failed", "proxy_internal_error"},

	// These are noted of an answer of Jira's that the client gets as it is, with
	// its own status; the status here is the usual one.
	CodeCredentialRefused: {http.StatusUnauthorized, "Jira refused the connection's credential", "http_request_denied"},
	CodeCaptchaRequired:   {http.StatusForbidden, "Jira asks the connection's account for a CAPTCHA", "http_request_denied"},
	CodeScopeRefused:      {http.StatusUnauthorized, "Jira finds a scope missing", "http_request_denied"},
	CodeClockRefused:      {http.StatusUnauthorized, "Jira finds the gateway's clock wrong", "http_request_denied"},

	CodeIPRefused:         {http.StatusForbidden, "The customer's allowlist lacks the egress address", "http_request_denied"},
	CodeFirewallRefused:   {http.StatusForbidden, "Something in front of Jira refused the call", "http_request_denied"},
	CodeRateLimited:       {http.StatusTooManyRequests, "Jira asks to wait", "http_request_denied"},
	CodeAppRefused:        {http.StatusForbidden, "The site does not let the integration in", "http_request_denied"},
	CodePermissionRefused: {http.StatusForbidden, "The connection's account lacks a permission", "http_request_denied"},
	CodeBasicAuthDisabled: {http.StatusForbidden, "Jira takes no passwords", "http_request_denied"},
	CodeSiteUnavailable:   {http.StatusServiceUnavailable, "The customer's Jira is not in service", "http_request_denied"},
	CodeXSRFRefused:       {http.StatusForbidden, "Jira's XSRF check refused the call", "http_request_denied"},

	// These two end a call whose answer has begun or whose client is gone.
	CodeUpstreamResponseCut: {http.StatusBadGateway, "Jira's answer ended early", "http_response_incomplete"},
	CodeClientDisconnected:  {0, "The client went away", "http_request_error"},
}

func (c Code) meaning() meaning {
	if m, ok := meanings[c]; ok {
		return m
	}
	title := strings.ReplaceAll(string(c), "_", " ")
	return meaning{http.StatusForbidden, strings.ToUpper(title[:1]) + title[1:], "http_request_denied"}
}

// refusal ends a call: with a code, a detail that tells the client what to do,
// and a cause for the log. Detail and cause are apart, because the cause may
// tell of hosts and addresses that are not the client's business.
type refusal struct {
	code   Code
	detail string
	cause  error
	allow  []string // methods documented for the path

	retryAfter time.Duration // when to try again; 0 where the status says enough

	limit      limitName // of the gateway's own that was reached, or ""
	unrecorded bool      // one of a flood: counted, not recorded
}

func refuse(code Code, detail string) *refusal { return &refusal{code: code, detail: detail} }

func (r *refusal) Error() string {
	if r.cause != nil {
		return string(r.code) + ": " + r.cause.Error()
	}
	return string(r.code) + ": " + r.detail
}

func (r *refusal) Unwrap() error { return r.cause }

// problemType is the base of the "type" member (RFC 9457 section 3.1.1): a
// name, not an address, so that no request leaves when a client looks at it.
const problemType = "urn:jiragate:problem:"

// problem is the body of a refusal (RFC 9457), with extension members.
type problem struct {
	Type       string `json:"type"`
	Title      string `json:"title"`
	Status     int    `json:"status"`
	Detail     string `json:"detail"`
	Code       Code   `json:"code"`
	Operation  string `json:"operation,omitempty"`
	Connection string `json:"connection,omitempty"`
	TraceID    string `json:"trace_id,omitempty"`
	Record     string `json:"record,omitempty"`
}

// proxyName is how the gateway calls itself in Via and Proxy-Status.
const proxyName = "jiragate"

// setHeader sets the header of an answer that is a refusal.
func (r *refusal) setHeader(h http.Header, bodyLength int) {
	m := r.code.meaning()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(bodyLength))
	h.Set("Cache-Control", "no-store")
	h.Set("Proxy-Status", proxyName+"; error="+m.proxy+`; details="`+string(r.code)+`"`)
	if m.status == http.StatusProxyAuthRequired {
		h.Set("Proxy-Authenticate", `Basic realm="jiragate", charset="UTF-8"`)
		h.Add("Proxy-Authenticate", `Bearer realm="jiragate"`)
	}
	switch {
	case r.retryAfter > 0: // in seconds, rounded up (RFC 9110 section 10.2.3)
		h.Set("Retry-After", strconv.FormatInt(int64((r.retryAfter+time.Second-1)/time.Second), 10))
	case m.status == http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	}
	switch r.limit {
	case limitMemory, limitConnections, limitGuesses:
		h.Set("Connection", "close") // it holds what there is too little of
	}
	if len(r.allow) > 0 {
		h.Set("Allow", strings.Join(r.allow, ", "))
	}
}

// body is the problem document of the refusal of call c.
func (r *refusal) body(c *Call) []byte {
	m := r.code.meaning()
	p := problem{
		Type: problemType + string(r.code), Title: m.title, Status: m.status,
		Detail: r.detail, Code: r.code,
		Operation: c.record.Operation, TraceID: c.record.TraceID, Record: c.record.ID,
	}
	if r.unrecorded {
		p.Record = ""
	}
	if c.connection != nil {
		p.Connection = c.connection.ID
	}
	b, err := json.Marshal(p)
	if err != nil {
		// Only strings and a number: there is nothing that can fail.
		panic(err)
	}
	return append(b, '\n')
}
