package tokenstore

import (
	"strings"
	"time"

	"jiragate/policy"
)

// Region is the environment a connection belongs to, and so the published
// egress addresses that its calls come from.
type Region string

const (
	RegionUS Region = "us"
	RegionEU Region = "eu"
)

// State tells whether the calls of a connection may be made.
type State string

const (
	// StateActive: calls are made.
	StateActive State = "active"
	// StateExpiring: calls are made, but the grant ends soon and only a new consent
	// of the customer's administrator goes on from there.
	StateExpiring State = "expiring"
	// StateNeedsReauthorisation: there is no credential yet, or Jira no longer
	// accepts it. Calls are refused at once until it is replaced, which makes the
	// connection active.
	StateNeedsReauthorisation State = "needs_reauthorisation"
	// StateDisabled: an operator has switched the connection off. Only an operator
	// switches it on again.
	StateDisabled State = "disabled"
)

// Callable reports whether the calls of a connection in this state are made.
func (s State) Callable() bool { return s == StateActive || s == StateExpiring }

// ReasonAwaitsConsent is why a connection that was added without a credential
// needs one.
const ReasonAwaitsConsent = "it waits for the consent of an administrator of its Jira"

// CredentialKind says how the calls of a connection are authorised.
type CredentialKind string

const (
	// KindOAuth2 is OAuth 2.0: 3LO for Cloud; for Data Center, from Jira 8.22, an
	// incoming application link.
	KindOAuth2 CredentialKind = "oauth2"
	// KindOAuth1 is OAuth 1.0a with RSA-SHA1: an application link of Data Center or
	// Server.
	KindOAuth1 CredentialKind = "oauth1"
	// KindBasic is user name and password, Data Center and Server only.
	KindBasic CredentialKind = "basic"
	// KindPAT is a personal access token, Data Center only.
	KindPAT CredentialKind = "pat"
)

// Connection is one customer's Jira, as its administrator set it up. It holds
// nothing secret.
type Connection struct {
	// ID is chosen by the operator: [a-z0-9][a-z0-9._-]{0,62}. It never changes.
	ID string
	// Edition decides which of the following fields are set.
	Edition policy.Edition
	// SiteURL is the site of a Cloud connection: https://HOST, without a path.
	// A port is accepted for simulators. Until an administrator has consented it
	// may be empty: the consent tells.
	SiteURL string
	// CloudID is the id of that site, a UUID in lower case. It may be empty as
	// SiteURL may.
	CloudID string
	// BaseURL is where a Data Center or Server installation answers:
	// https://HOST[:PORT][/CONTEXT].
	BaseURL string
	Region  Region
	// CredentialKind fits the edition and never changes.
	CredentialKind CredentialKind
	// Scopes are those granted to an oauth2 credential, as Atlassian named them. A
	// new credential brings its own.
	Scopes []string
	// UpstreamCA holds certificates (PEM) to trust for this Jira beside those the
	// gateway trusts anyway. Empty means none.
	UpstreamCA string

	// Incarnation tells this connection from an earlier one of the same id, and
	// from what it was while it led elsewhere. The store sets it, counting from 1,
	// and never gives the same twice. Credentials and published issues belong to
	// one incarnation: what a call under way has resolved must not be used with
	// those of another.
	Incarnation uint64

	State State
	// StateReason is one line for people: why the state is what it is.
	StateReason string
	StateSince  time.Time
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Located reports whether it is known where the connection leads, which for
// Cloud may take a consent.
func (c *Connection) Located() bool {
	return c.Edition != policy.Cloud || c.SiteURL != "" && c.CloudID != ""
}

// Host returns the host of the connection's site (Cloud) or base URL (Data
// Center), without a port and without the brackets of an IPv6 literal. Like
// [Connection.Authority], [Connection.Port] and [Connection.ContextPath] it counts on the normal
// form that [Connection.Validate] demands, on [Connection.Located], and allocates
// next to nothing.
func (c *Connection) Host() string {
	authority, _ := c.split()
	host, _ := splitPort(authority)
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// Authority returns host and port of the connection's site or base URL. The
// port is always explicit, IPv6 literals are in brackets: "acme.atlassian.net:443".
func (c *Connection) Authority() string {
	authority, _ := c.split()
	if _, port := splitPort(authority); port == "" {
		return authority + ":443"
	}
	return authority
}

// Port returns the port of the connection's site or base URL: "443" where none is written.
func (c *Connection) Port() string {
	authority, _ := c.split()
	if _, port := splitPort(authority); port != "" {
		return port
	}
	return "443"
}

// ContextPath returns the path below which Jira's own paths begin: "" for
// Cloud and for most of Data Center, otherwise for instance "/jira".
func (c *Connection) ContextPath() string {
	_, path := c.split()
	return path
}

// split returns authority and path of the URL that the edition uses.
func (c *Connection) split() (authority, path string) {
	u := c.BaseURL
	if c.Edition == policy.Cloud {
		u = c.SiteURL
	}
	u = strings.TrimPrefix(u, "https://")
	if i := strings.IndexByte(u, '/'); i >= 0 {
		return u[:i], u[i:]
	}
	return u, ""
}

// splitPort splits "host:port", "host", "[v6]:port" or "[v6]". The host keeps
// its brackets.
func splitPort(authority string) (host, port string) {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || i < strings.IndexByte(authority, ']') {
		return authority, ""
	}
	return authority[:i], authority[i+1:]
}
