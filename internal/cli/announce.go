package cli

import (
	"strings"
	"time"

	"jiragate/gateway/egress"
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
	for _, w := range append(s.warnings(time.Now()), s.connectionWarnings(d)...) {
		if w.Code != egress.WarnUnpinned { // of which the egress has warned
			s.log.Warn(w.Message, append(w.about(), "hint", w.Hint)...)
		}
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
