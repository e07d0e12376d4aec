package cli

import (
	"maps"
	"strings"
	"testing"

	"jiragate/gateway/admin"
)

func TestFacesRefused(t *testing.T) {
	const provider = "JIRAGATE_CONSOLE_URL=https://gate.example JIRAGATE_OIDC_ISSUER=https://login.example JIRAGATE_OIDC_CLIENT_ID=c JIRAGATE_OIDC_ROLES=viewer=*"
	if _, err := ParseConfig(strings.Fields(provider)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, set, want string }{
		{"console over http", "JIRAGATE_CONSOLE_URL=http://gate.example", "https URL"},
		{"console with a path", "JIRAGATE_CONSOLE_URL=https://gate.example/console/", "no path"},
		{"console with user info", "JIRAGATE_CONSOLE_URL=https://u@gate.example", "JIRAGATE_CONSOLE_URL"},
		{"console by http, listener by TLS", "JIRAGATE_CONSOLE_URL=http://127.0.0.1:8081 JIRAGATE_ADMIN_TLS_CERT=c JIRAGATE_ADMIN_TLS_KEY=k", "must be https"},
		{"neither on nor off", "JIRAGATE_CONSOLE_ADMIN_TOKEN=true", "on or off"},
		{"issuer over http", "JIRAGATE_OIDC_ISSUER=http://login.example JIRAGATE_OIDC_CLIENT_ID=c JIRAGATE_OIDC_ROLES=viewer=*", "JIRAGATE_OIDC_ISSUER"},
		{"issuer with a query", "JIRAGATE_OIDC_ISSUER=https://login.example?x JIRAGATE_OIDC_CLIENT_ID=c JIRAGATE_OIDC_ROLES=viewer=*", "no query"},
		{"nowhere to come back to", "JIRAGATE_OIDC_ISSUER=https://login.example JIRAGATE_OIDC_CLIENT_ID=c JIRAGATE_OIDC_ROLES=viewer=*", "JIRAGATE_CONSOLE_URL"},
		{"issuer alone", "JIRAGATE_OIDC_ISSUER=https://login.example", "JIRAGATE_OIDC_CLIENT_ID"},
		{"nobody has a role", "JIRAGATE_CONSOLE_URL=https://gate.example JIRAGATE_OIDC_ISSUER=https://login.example JIRAGATE_OIDC_CLIENT_ID=c", "JIRAGATE_OIDC_ROLES"},
		{"roles alone", "JIRAGATE_OIDC_ROLES=admin=x", "JIRAGATE_OIDC_ISSUER"},
		{"secret alone", "JIRAGATE_OIDC_CLIENT_SECRET_FILE=f", "JIRAGATE_OIDC_ISSUER"},
		{"CA alone", "JIRAGATE_OIDC_CA_FILE=f", "JIRAGATE_OIDC_ISSUER"},
		{"unknown role", provider + ",root=x", `no role "root"`},
		{"role without a value", provider + ",admin=", "ROLE=VALUE"},
		{"two roles for one value", provider + ",admin=*", "one role only"},
		{"certificate without key", "JIRAGATE_ADMIN_TLS_CERT=c", "JIRAGATE_ADMIN_TLS_KEY"},
		{"key without certificate", "JIRAGATE_PUBLIC_TLS_KEY=k JIRAGATE_PUBLIC_LISTEN=127.0.0.1:0", "JIRAGATE_PUBLIC_TLS_CERT"},
		{"certificate of no listener", "JIRAGATE_PUBLIC_TLS_CERT=c JIRAGATE_PUBLIC_TLS_KEY=k", "JIRAGATE_PUBLIC_LISTEN"},
		{"public over http", "JIRAGATE_PUBLIC_URL=http://egress.example", "https URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseConfig(strings.Fields(tt.set))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not say %q", err, tt.want)
			}
		})
	}
}

func TestFacesAccepted(t *testing.T) {
	c, err := ParseConfig([]string{
		"JIRAGATE_CONSOLE_URL=https://Gate.Example:8443/", "JIRAGATE_CONSOLE_ADMIN_TOKEN=off",
		"JIRAGATE_OIDC_ISSUER=https://login.example/realms/staff/", "JIRAGATE_OIDC_CLIENT_ID=c", "JIRAGATE_OIDC_ROLES=admin=jira admins, viewer=*,admin=b=c",
	})
	if err != nil {
		t.Fatal(err)
	}
	if host, _ := c.consoleHost(); c.ConsoleURL != "https://Gate.Example:8443" || host != "gate.example" || !c.consoleSecure() || bool(c.ConsoleAdminToken) {
		t.Errorf("%q %q %v %v", c.ConsoleURL, host, c.consoleSecure(), c.ConsoleAdminToken)
	}
	if c.OIDCIssuer != "https://login.example/realms/staff/" {
		t.Errorf("the issuer is not as it was written: %q", c.OIDCIssuer)
	}
	if want := (consoleRoles{"jira admins": admin.RoleAdmin, "*": admin.RoleViewer, "b=c": admin.RoleAdmin}); !maps.Equal(c.OIDCRoles, want) {
		t.Errorf("roles %v", c.OIDCRoles)
	}
	if c.OIDCRolesClaim != "roles" {
		t.Errorf("claim %q", c.OIDCRolesClaim)
	}
	c, err = ParseConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, named := c.consoleHost(); !bool(c.ConsoleAdminToken) || c.consoleSecure() || named || c.consoleOrigin("127.0.0.1:8081") != "http://127.0.0.1:8081" {
		t.Errorf("defaults: %+v", c)
	}
	c.AdminTLSCert = "c"
	if !c.consoleSecure() || c.consoleOrigin("127.0.0.1:8081") != "https://127.0.0.1:8081" {
		t.Error("a listener with TLS is not https")
	}
}
