package cli

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"jiragate/gateway"
	"jiragate/gateway/egress/register"
	"jiragate/tokenstore"
)

// announce says what was started, and warns of what an operator may not mean.
func (s *Server) announce() {
	p := s.policy.current.Load()
	d := s.foundation.store.Directory()
	s.log.Info("gateway ready",
		"proxy", s.ProxyAddr(), "proxy_tls", s.config.ProxyTLSCert != "", "admin", s.AdminAddr(),
		"console", s.ConsoleURL(), "public", s.PublicURL(), "region", string(s.config.Region), "egress", egressText(s.config), "data_dir", s.config.DataDir,
		"version", programVersion().Version)
	s.log.Info("policy loaded", "version", p.Version(), "sha256", p.SHA256(), "file", s.config.PolicyFile)
	s.log.Info("store opened", "connections", len(d.Connections()), "clients", len(d.Clients()))
	for _, w := range s.warnings(d) {
		s.log.Warn(w.message, w.attrs...)
	}
}

func egressText(c Config) string {
	if len(c.Egress) == 0 {
		return "unpinned"
	}
	var public []string
	for _, e := range c.Egress {
		public = append(public, e.Public.String())
	}
	return strings.Join(public, ",")
}

type warning struct {
	message string
	attrs   []any
}

func (s *Server) warnings(d *tokenstore.Directory) []warning {
	var list []warning
	warn := func(message string, attrs ...any) { list = append(list, warning{message, attrs}) }
	c := s.config
	if !addrPort(s.proxy).Addr().IsLoopback() && c.ProxyTLSCert == "" {
		warn("client tokens cross the network unencrypted: give the proxy listener TLS with JIRAGATE_PROXY_TLS_CERT and _KEY", "proxy", s.ProxyAddr())
	}
	if !addrPort(s.admin).Addr().IsLoopback() && c.AdminTLSCert == "" {
		warn("the admin listener has no TLS and is not on loopback: give it some with JIRAGATE_ADMIN_TLS_CERT and _KEY, or keep it behind a proxy that has", "admin", s.AdminAddr())
	}
	if c.Delete == gateway.DeleteAny {
		warn("any issue may be deleted that a credential may delete", "JIRAGATE_DELETE", string(c.Delete))
	}
	if c.AtlassianAPIURL != defaultAPIURL || c.AtlassianAuthURL != defaultAuthURL {
		warn("Jira Cloud is not at Atlassian's addresses: this is for simulators and tests", "api", string(c.AtlassianAPIURL), "auth", string(c.AtlassianAuthURL))
	}
	for _, public := range publicAddresses(c) {
		if !s.foundation.register.InUse(public, time.Now()) {
			warn("an egress address is configured and not in use: no call leaves from it; see jiragate egress list", "address", public.String())
		}
	}
	for _, e := range s.foundation.register.Entries() {
		if e.State(time.Now()) == register.StateInUse && !slices.Contains(publicAddresses(c), e.Address) {
			warn("an egress address is published as in use and not configured: jiragate egress retire tells customers", "address", e.Address.String())
		}
	}
	refreshable := c.OAuthClientID != ""
	for _, conn := range d.Connections() {
		id := slog.String("connection", conn.ID)
		switch {
		case conn.State == tokenstore.StateNeedsReauthorisation:
			warn("a connection needs a new credential: jiragate connection credential", id, slog.String("reason", conn.StateReason))
		case conn.Region != c.Region:
			warn("a connection is of another region: its calls are refused here", id, slog.String("region", string(conn.Region)))
		case conn.CredentialKind == tokenstore.KindOAuth2 && !refreshable:
			warn("an OAuth connection cannot be refreshed without JIRAGATE_OAUTH_CLIENT_ID and _SECRET_FILE", id)
		}
	}
	return list
}
