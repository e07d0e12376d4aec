package cli

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"jiragate/gateway/admin"
)

// originURL is an https URL, or an http one on this machine, without a path.
type originURL string

// issuerURL is an https URL, or an http one on this machine, as an OpenID provider
// names itself.
type issuerURL string

// onOff is on or off.
type onOff bool

// consoleRoles are the roles that values of a claim give.
type consoleRoles map[string]admin.Role

func parseOriginURL(s string) (originURL, error) {
	u, err := parseSecureURL(s)
	switch {
	case err != nil:
		return "", err
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery:
		return "", errors.New("it can have no path or query: the console is at /console/ there")
	}
	return originURL(u.Scheme + "://" + u.Host), nil
}

func parseIssuerURL(s string) (issuerURL, error) {
	u, err := parseSecureURL(s)
	if err == nil && (u.RawQuery != "" || u.ForceQuery) {
		err = errors.New("an issuer has no query")
	}
	return issuerURL(s), err // as it is: the provider's word must be the same
}

func parseOnOff(s string) (onOff, error) {
	switch s {
	case "on":
		return true, nil
	case "off":
		return false, nil
	}
	return false, errForm
}

func parseConsoleRoles(s string) (consoleRoles, error) {
	roles := consoleRoles{}
	for entry := range strings.SplitSeq(s, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(entry), "=")
		role, err := admin.ParseRole(name)
		switch {
		case !ok || value == "":
			return nil, errForm
		case err != nil:
			return nil, err
		case roles[value] != "":
			return nil, errors.New("a value can give one role only")
		}
		roles[value] = role
	}
	return roles, nil
}

// facesTogether checks what no variable of the console and the public pages can tell
// alone.
func (c *Config) facesTogether() []error {
	var problems []error
	refuse := func(name, detail string) {
		problems = append(problems, &ConfigError{Variable: envPrefix + name, Detail: detail})
	}
	pair := func(a, aName, b, bName string) {
		if a != "" && b == "" {
			refuse(aName, "needs JIRAGATE_"+bName+" as well")
		}
		if b != "" && a == "" {
			refuse(bName, "needs JIRAGATE_"+aName+" as well")
		}
	}
	pair(c.AdminTLSCert, "ADMIN_TLS_CERT", c.AdminTLSKey, "ADMIN_TLS_KEY")
	pair(c.PublicTLSCert, "PUBLIC_TLS_CERT", c.PublicTLSKey, "PUBLIC_TLS_KEY")
	pair(string(c.OIDCIssuer), "OIDC_ISSUER", c.OIDCClientID, "OIDC_CLIENT_ID")
	switch {
	case c.OIDCIssuer != "" && c.ConsoleURL == "":
		refuse("CONSOLE_URL", "is not set: the OpenID provider sends browsers back there")
	case c.OIDCIssuer != "" && len(c.OIDCRoles) == 0:
		refuse("OIDC_ROLES", "is not set: nobody who signs in would have a role; set it, as admin=jira-admins,viewer=*")
	case c.OIDCIssuer == "" && len(c.OIDCRoles) > 0:
		refuse("OIDC_ROLES", "goes with JIRAGATE_OIDC_ISSUER")
	case c.OIDCIssuer == "" && c.OIDCSecretFile != "":
		refuse("OIDC_CLIENT_SECRET_FILE", "goes with JIRAGATE_OIDC_ISSUER")
	case c.OIDCIssuer == "" && c.OIDCCAFile != "":
		refuse("OIDC_CA_FILE", "goes with JIRAGATE_OIDC_ISSUER")
	}
	if c.PublicTLSCert != "" && c.PublicListen == "" {
		refuse("PUBLIC_TLS_CERT", "goes with JIRAGATE_PUBLIC_LISTEN")
	}
	if c.AdminTLSCert != "" && strings.HasPrefix(string(c.ConsoleURL), "http:") {
		refuse("CONSOLE_URL", "must be https where the admin listener is")
	}
	return problems
}

// consoleSecure reports whether browsers reach the console by https.
func (c *Config) consoleSecure() bool {
	return c.AdminTLSCert != "" || strings.HasPrefix(string(c.ConsoleURL), "https:")
}

// consoleOrigin is where browsers reach the console; adminAddr is the listener's.
func (c *Config) consoleOrigin(adminAddr string) string {
	switch {
	case c.ConsoleURL != "":
		return string(c.ConsoleURL)
	case c.AdminTLSCert != "":
		return "https://" + adminAddr
	}
	return "http://" + adminAddr
}

// consoleHost is the host of JIRAGATE_CONSOLE_URL as [admin.Guard] has it; ok is false
// without one.
func (c *Config) consoleHost() (host string, ok bool) {
	u, err := url.Parse(string(c.ConsoleURL)) // parsed before
	if err != nil || u.Hostname() == "" {
		return "", false
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		return ip.String(), true
	}
	return strings.ToLower(u.Hostname()), true
}
