package cli

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"jiragate/certs"
	"jiragate/gateway"
	"jiragate/gateway/admin"
	"jiragate/gateway/egress"
	"jiragate/gateway/egress/register"
	"jiragate/tokenstore"
)

// expiryNotice is how long before its end a certificate is warned of: time enough for
// people to have another made, and less than the 30 days at which ACME clients renew,
// so that a warning means that nobody has.
const expiryNotice = 21 * 24 * time.Hour

// rootNotice is the same for the root, which every client must be given anew.
const rootNotice = 90 * 24 * time.Hour

// warning is something that an operator may not mean.
type warning struct {
	admin.Warning
	key string // what the subject is, in the log
}

// about is what it is about, for the log.
func (w warning) about() []any {
	if w.Subject == "" {
		return []any{"warning", w.Code}
	}
	return []any{"warning", w.Code, w.key, w.Subject}
}

// warnings are what holds now, of the gateway as a whole. It is asked for at start
// and by whoever looks.
func (s *Server) warnings(now time.Time) []warning {
	var list []warning
	warn := func(code, message, key, subject, hint string) {
		list = append(list, warning{admin.Warning{Code: code, Message: message, Subject: subject, Hint: hint}, key})
	}
	c := s.config
	if len(s.engine.wayOut.public()) == 0 {
		warn(egress.WarnUnpinned, "calls leave by the system's default route, and their records say unpinned", "", "",
			"set JIRAGATE_EGRESS or JIRAGATE_EGRESS_FILE to the addresses that customers allow")
	}
	if !addrPort(s.proxy).Addr().IsLoopback() && c.ProxyTLSCert == "" {
		warn("proxy_plaintext", "client tokens cross the network unencrypted", "proxy", s.ProxyAddr(),
			"give the proxy listener TLS with JIRAGATE_PROXY_TLS_CERT and _KEY")
	}
	if !addrPort(s.admin).Addr().IsLoopback() && c.AdminTLSCert == "" {
		warn("admin_plaintext", "the admin listener has no TLS and is not on loopback", "admin", s.AdminAddr(),
			"give it some with JIRAGATE_ADMIN_TLS_CERT and _KEY, or keep it behind a proxy that has")
	}
	if c.Delete == gateway.DeleteAny {
		warn("delete_any", "any issue may be deleted that a credential may delete", "JIRAGATE_DELETE", string(c.Delete),
			"set JIRAGATE_DELETE to published, and import older issues: jiragate issue import")
	}
	if c.AtlassianAPIURL != defaultAPIURL || c.AtlassianAuthURL != defaultAuthURL {
		warn("atlassian_elsewhere", "Jira Cloud is not at Atlassian's addresses: this is for simulators and tests", "api", string(c.AtlassianAPIURL),
			"unset JIRAGATE_ATLASSIAN_API_URL and JIRAGATE_ATLASSIAN_AUTH_URL unless this is one")
	}
	for _, public := range s.engine.wayOut.public() {
		if !s.foundation.register.InUse(public, now) {
			warn("egress_not_in_use", "an egress address is configured and not in use: no call leaves from it", "address", public.String(),
				"jiragate egress list says since when or until when; announce it, or take it out of JIRAGATE_EGRESS")
		}
	}
	for _, e := range s.foundation.register.Entries() {
		if e.State(now) == register.StateInUse && !slices.Contains(s.engine.wayOut.public(), e.Address) {
			warn("egress_not_configured", "an egress address is published as in use and not configured", "address", e.Address.String(),
				"tell customers with jiragate egress retire, or name it in JIRAGATE_EGRESS")
		}
	}
	if len(c.CheckpointTo) == 0 && !s.engine.shipping {
		warn("audit_only_here", "the audit log and its checkpoints are on this machine only: whoever owns it could rewrite the past unseen", "", "",
			"set JIRAGATE_AUDIT_CHECKPOINT_TO to a place out of the gateway's reach")
	}
	if l := processLimits(); l.fewFiles() {
		warn("few_open_files", "the process may open fewer files and sockets than a gateway needs that carries as many tunnels as it takes", "open_files", strconv.FormatUint(l.files, 10),
			fmt.Sprintf("raise the hard limit to %d: LimitNOFILE= of systemd, --ulimit nofile= of containers, ulimit -Hn", wantedFiles))
	}
	for _, cert := range s.expiring(now) {
		warn("certificate_ends", "a certificate "+cert.what, "certificate", cert.name, cert.hint)
	}
	kept, why := s.keptCertificates()
	for _, name := range kept {
		warn("certificate_kept", "the certificate of a listener has changed and can't be used, so the old one stays: "+why[name], "part", name,
			"put its files in order; they are looked at every minute")
	}
	if r := s.reloads.last.Load(); r != nil && r.Error != "" {
		warn("reload_failed", "something was broken when the settings' files were last read again, and everything stayed as it was", "since", r.Time.UTC().Format(time.RFC3339),
			"jiragate reload says what is broken; mend it, and reload again")
	}
	return list
}

// connectionWarnings are about single connections. The admin API lists these with
// their states.
func (s *Server) connectionWarnings(d *tokenstore.Directory) []warning {
	var list []warning
	for _, conn := range d.Connections() {
		warn := func(code, message, hint string) {
			list = append(list, warning{admin.Warning{Code: code, Message: message, Subject: conn.ID, Hint: hint}, "connection"})
		}
		switch {
		case conn.State == tokenstore.StateNeedsReauthorisation:
			warn("connection_needs_credential", "a connection needs a new credential: jiragate connection credential", "it needs one because: "+conn.StateReason+"; jiragate connection consent asks for it")
		case conn.Region != s.config.Region:
			warn("connection_other_region", "a connection is of another region: its calls are refused here", "add it at the gateway of region "+string(conn.Region)+", and remove it here")
		case conn.CredentialKind == tokenstore.KindOAuth2 && s.config.OAuthClientID == "":
			warn("connection_not_refreshable", "an OAuth connection cannot be refreshed", "set JIRAGATE_OAUTH_CLIENT_ID and JIRAGATE_OAUTH_CLIENT_SECRET_FILE to those of the app")
		}
	}
	return list
}

// expiringCertificate is one that ends soon, or has ended.
type expiringCertificate struct{ name, what, hint string }

// rootHint says what comes before the end of the root.
func (s *Server) rootHint() string {
	switch err := s.engine.authority.MayRotate(false); {
	case errors.Is(err, certs.ErrBrought):
		return "make another one, give it to every client beside this one, and then bring it: jiragate ca init --replace"
	case errors.Is(err, certs.ErrNotPrepared):
		return "jiragate ca rotate --prepare, and give ca.pem to every client; then jiragate ca rotate before that day"
	}
	return "the next root is prepared: jiragate ca rotate before that day, when every client has ca.pem with both"
}

// expiring are the certificates of listeners, as their files hold them now, and the
// root.
func (s *Server) expiring(now time.Time) []expiringCertificate {
	var list []expiringCertificate
	look := func(name string, certificate []byte, notice time.Duration, hint string) {
		block, _ := pem.Decode(certificate)
		if block == nil {
			return
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil || now.Add(notice).Before(cert.NotAfter) {
			return // what can't be parsed could not be served
		}
		what := "ends on " + cert.NotAfter.UTC().Format(time.DateOnly)
		if now.After(cert.NotAfter) {
			what = "has ended, on " + cert.NotAfter.UTC().Format(time.DateOnly)
		}
		list = append(list, expiringCertificate{name, what, hint})
	}
	c := s.config
	for _, l := range []struct{ name, file string }{
		{"JIRAGATE_PROXY_TLS_CERT", c.ProxyTLSCert}, {"JIRAGATE_ADMIN_TLS_CERT", c.AdminTLSCert}, {"JIRAGATE_PUBLIC_TLS_CERT", c.PublicTLSCert},
	} {
		if l.file == "" {
			continue
		}
		certificate, err := os.ReadFile(l.file)
		if err != nil {
			list = append(list, expiringCertificate{l.name, "can't be read: the listener has the one of the start", "bring its file back"})
			continue
		}
		look(l.name, certificate, expiryNotice, "have it renewed, and put the new one in its file")
	}
	look("ca.pem", s.RootPEM(), rootNotice, s.rootHint())
	return list
}
