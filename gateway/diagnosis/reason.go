package diagnosis

// Reason is a stable code for why an answer is a refusal; "" where that is not
// known. It is fit for Proxy-Status details, the code of a call record and as the
// value of a metric's attribute.
type Reason string

// The reasons.
const (
	// IPRefused: the address that the call came from is not on the list.
	IPRefused Reason = "upstream_ip_refused"
	// FirewallRefused: something in front of a Data Center refused the call
	// before Jira saw it, and did not say why. Mostly it is the address.
	FirewallRefused Reason = "upstream_firewall_refused"
	// ScopeRefused: the token is good, its scopes do not cover the operation.
	ScopeRefused Reason = "upstream_scope_refused"
	// CaptchaRequired: the account's login is locked until a person solves a
	// CAPTCHA.
	CaptchaRequired Reason = "captcha_required"
	// RateLimited: too many calls.
	RateLimited Reason = "upstream_rate_limited"
	// AppRefused: the integration may not access the site.
	AppRefused Reason = "upstream_app_refused"
	// PermissionRefused: the account lacks a permission in Jira.
	PermissionRefused Reason = "upstream_permission_refused"
	// BasicAuthDisabled: Data Center takes no passwords.
	BasicAuthDisabled Reason = "upstream_basic_auth_disabled"
	// SiteUnavailable: the site is suspended, gone or down, or the licence does
	// not allow changes.
	SiteUnavailable Reason = "upstream_site_unavailable"
	// XSRFRefused: Jira takes the call for one that a browser was tricked into.
	XSRFRefused Reason = "upstream_xsrf_refused"
)

// Reasons returns all reasons that Of may give, in a stable order.
func Reasons() []Reason {
	return []Reason{
		IPRefused, FirewallRefused, ScopeRefused, CaptchaRequired, RateLimited,
		AppRefused, PermissionRefused, BasicAuthDisabled, SiteUnavailable, XSRFRefused,
	}
}

// Advice says in a sentence or three which setting whose administrator must
// change; "" for a reason that is not one of [Reasons]. It holds nothing of an
// answer.
func (r Reason) Advice() string {
	switch r {
	case IPRefused:
		return "The customer's IP allowlist does not have the gateway's egress addresses. " +
			"Jira Cloud: an organization admin adds them at admin.atlassian.com, Security > IP allowlists. " +
			"Data Center: whoever runs the proxy or firewall in front of Jira allows them. " +
			"`jiragate egress publish` lists them."
	case FirewallRefused:
		return "A proxy, load balancer or firewall in front of Jira refused the call; Jira has not seen it. " +
			"Whoever runs it allows the gateway's egress addresses to reach Jira's REST API and exempts them from bot checks. " +
			"`jiragate egress publish` lists the addresses."
	case ScopeRefused:
		return "The grant does not have the scope that the operation needs. " +
			"The integration asks for the scope, and an administrator of the customer consents anew: jiragate connection consent."
	case CaptchaRequired:
		return "Jira asks for a CAPTCHA at the account's login, after wrong passwords. " +
			"A person logs in as the account with a browser, or a Jira administrator resets its failed login count; then: jiragate connection enable."
	case RateLimited:
		return "Jira, or what is in front of it, has had too many calls. The client waits as long as Retry-After says. " +
			"In Data Center a system administrator may exempt the account or raise its limit: Administration > System > Rate limiting."
	case AppRefused:
		return "Jira Cloud does not let the integration into the site: it was removed or is blocked there, the site has no Jira any more, or what was consented to does not cover the call. " +
			"An organization admin looks at admin.atlassian.com, Apps > Sites > the site > Connected apps; then an administrator consents anew: jiragate connection consent."
	case PermissionRefused:
		return "The connection's account lacks a permission in Jira. " +
			"An administrator of the project gives it the permission that the answer names; a Jira administrator gives it access to Jira itself."
	case BasicAuthDisabled:
		return "The customer's Jira takes no user names and passwords for its REST API; Jira 11 does not by default. " +
			"Give the connection a personal access token or an application link (jiragate connection credential). " +
			"Otherwise a system administrator of Jira allows basic authentication: Administration > System > Authentication methods."
	case SiteUnavailable:
		return "The customer's Jira is not in service. " +
			"Jira Cloud: unless status.atlassian.com tells of an outage, the site was suspended, renamed or deleted, or has no Jira any more; an organization admin looks at admin.atlassian.com, Billing. " +
			"Data Center: the licence has expired or has too few users; a system administrator renews it at Administration > Applications > Versions & licenses."
	case XSRFRefused:
		return "Jira's XSRF check takes the call for a browser's. The gateway sends X-Atlassian-Token: no-check: " +
			"whoever runs the proxy in front of Jira lets that header field through."
	}
	return ""
}
