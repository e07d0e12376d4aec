package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
	"jiragate/gateway/egress"
	"jiragate/gateway/notify"
	"jiragate/tokenstore/secret"
)

// Parts, as the command and the records name them.
const (
	partKeyset            = "keyset"
	partCA                = "ca"
	partPolicy            = "policy"
	partUpstreamCA        = "upstream_ca"
	partEgress            = "egress"
	partProxyCertificate  = "proxy_certificate"
	partProxyClientCA     = "proxy_client_ca"
	partAdminCertificate  = "admin_certificate"
	partPublicCertificate = "public_certificate"
)

// parts are what this gateway can read again: what its settings name a file for.
func (s *Server) parts() []part {
	c := &s.config
	var list []part
	add := func(there bool, name string, read func(context.Context) (*change, error)) {
		if there {
			list = append(list, part{name: name, read: read})
		}
	}
	add(!strings.HasPrefix(c.keyURI(), "env:"), partKeyset, func(ctx context.Context) (*change, error) {
		return changed(s.foundation.keys.Reload(ctx))
	})
	add(true, partCA, func(context.Context) (*change, error) { return changed(s.engine.authority.Reload()) })
	if c.PolicyFile != "" {
		list = append(list, part{name: partPolicy, read: s.readPolicy, refused: func(ctx context.Context) {
			s.journal(s.policy.current.Load()).Refuse(ctx, s.policyRecord(), http.StatusBadRequest, codePolicyInvalid)
		}})
	}
	list = append(list, s.wayOutParts()...)
	list = append(list, s.certificateParts()...)
	if live := s.engine.proxyTLS; live != nil {
		add(c.ProxyClientCA != "", partProxyClientCA, func(context.Context) (*change, error) { return changed(live.readCAs()) })
	}
	for _, f := range s.reloads.secrets {
		add(true, f.part, func(context.Context) (*change, error) { return changed(f.reread()) })
	}
	return list
}

// certificateParts are the certificates of the listeners.
func (s *Server) certificateParts() []part {
	var list []part
	for _, l := range []struct {
		name string
		live *liveTLS
	}{{partProxyCertificate, s.engine.proxyTLS}, {partAdminCertificate, s.adminTLS}, {partPublicCertificate, s.publicTLS}} {
		if l.live != nil {
			list = append(list, part{name: l.name, read: func(context.Context) (*change, error) {
				c, err := changed(l.live.readPair())
				if c == nil {
					s.warnOf(l.name, err)
					return nil, err
				}
				put := c.put
				c.put = func() {
					put()
					s.warnOf(l.name, nil)
				}
				c.log = []any{"file", l.live.certFile}
				return c, nil
			}})
		}
	}
	return list
}

// wayOutParts are the roots of Jira and of the proxies, and the egress addresses, which
// come into force together.
func (s *Server) wayOutParts() []part {
	w := s.engine.wayOut
	roots, sum := w.roots.Load(), w.rootsSum
	var list []part
	if file := s.config.UpstreamCAFile; file != "" {
		list = append(list, part{name: partUpstreamCA, read: func(context.Context) (*change, error) {
			next, nextSum, err := upstreamRoots(file)
			if err != nil || nextSum == sum {
				return nil, err
			}
			put, err := w.egress.Replace(w.egress.Addresses(), next)
			if err != nil {
				return nil, err
			}
			roots = next
			return &change{put: func() {
				put()
				w.rootsSum = nextSum
				w.roots.Store(next)
				s.engine.gateway.SetUpstreamRoots(next)
			}}, nil
		}})
	}
	if s.config.EgressFile != "" {
		list = append(list, part{name: partEgress, read: func(context.Context) (*change, error) { return s.readAddresses(roots) }})
	}
	return list
}

// readAddresses reads the egress addresses again, whose proxies are to be verified by
// roots.
func (s *Server) readAddresses(roots *x509.CertPool) (*change, error) {
	next := s.config
	if problems := next.readEgressFile(); len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if err := next.checkEgressFile(); err != nil {
		return nil, fmt.Errorf("JIRAGATE_EGRESS_FILE: %w", unreadable(next.EgressFile, err))
	}
	w := s.engine.wayOut
	if egress.SameAddresses(next.Egress, w.egress.Addresses()) {
		return nil, nil
	}
	used := func(a egress.Address) bool { return mayLeave(w.register, a.Public) }
	if !slices.ContainsFunc(next.Egress, used) && slices.ContainsFunc(w.egress.Addresses(), used) {
		return nil, fmt.Errorf("JIRAGATE_EGRESS_FILE: %s: none of its addresses is in use at this time, so no call could leave: leave one that is, until another has its date (jiragate egress list)", s.config.EgressFile)
	}
	put, err := w.egress.Replace(next.Egress, roots)
	if err != nil {
		return nil, fmt.Errorf("JIRAGATE_EGRESS_FILE: %s: %w", s.config.EgressFile, err)
	}
	public := publicOf(next.Egress)
	return &change{
		prepare: func(ctx context.Context) error { return s.recordAddresses(ctx, public) },
		put: func() {
			put()
			s.engine.gateway.CloseIdle()
			if s.monitor != nil {
				s.monitor.Again()
			}
		},
		log: []any{"addresses", addressesText(public)},
	}, nil
}

func addressesText(addresses []netip.Addr) string {
	var texts []string
	for _, a := range addresses {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ",")
}

// readPolicy reads the policy again. It is kept for the history before it can decide.
func (s *Server) readPolicy(context.Context) (*change, error) {
	p, err := loadPolicy(s.policy.file)
	if err != nil || p.SHA256() == s.policy.current.Load().SHA256() {
		return nil, err
	}
	if err := keepPolicy(s.config, p); err != nil {
		return nil, err
	}
	return &change{
		begin: func(ctx context.Context) (*act.Act, error) { return s.journal(p).Begin(ctx, s.policyRecord()) },
		put:   func() { s.policy.current.Store(p) },
		log:   []any{"version", p.Version(), "sha256", p.SHA256()},
	}, nil
}

// secretFile is a secret in a file that can be read again.
type secretFile struct {
	part, variable, file string
	check                func(secret.Secret) error // nil means nothing
	put                  func(secret.Secret)

	last secret.Secret
}

// reread reads the secret. put is nil where it is the same.
func (f *secretFile) reread() (put func(), err error) {
	next, err := readSettingSecret(f.variable, f.file)
	if err == nil && f.check != nil {
		if err = f.check(next); err != nil {
			err = fmt.Errorf("%s%s: %s: %w", envPrefix, f.variable, f.file, err)
		}
	}
	if err != nil || next.Equal(f.last) {
		return nil, err
	}
	return func() {
		f.last = next
		f.put(next)
	}, nil
}

// secretFiles are the secrets that the settings name files for, as they are when the
// gateway starts.
func (s *Server) secretFiles() ([]*secretFile, error) {
	c := &s.config
	list := []*secretFile{
		{part: "oauth_client_secret", variable: "OAUTH_CLIENT_SECRET_FILE", file: c.OAuthClientSecretFile,
			put: s.engine.tokens.SetClientSecret},
		{part: "webhook_secret", variable: "WEBHOOK_SECRET_FILE", file: c.WebhookSecretFile, check: notify.CheckSecret,
			put: func(next secret.Secret) { _ = s.notifier.SetSecret(next) /* checked */ }},
		{part: "admin_token", variable: "ADMIN_TOKEN_FILE", file: c.adminTokenFile(), check: admin.CheckToken, put: func(next secret.Secret) {
			s.api.SetToken(next)
			if s.console != nil {
				s.console.SetToken(next)
			}
		}},
		{part: "metrics_token", variable: "METRICS_TOKEN_FILE", file: c.MetricsTokenFile, check: c.checkMetricsToken,
			put: func(next secret.Secret) { s.api.SetMetricsToken(next) }},
	}
	if s.engine.courier != nil {
		list = append(list, &secretFile{part: "checkpoint_token", variable: "AUDIT_CHECKPOINT_TOKEN_FILE", file: c.CheckpointTokenFile,
			check: s.engine.courier.CheckToken, put: func(next secret.Secret) { _ = s.engine.courier.SetToken(next) /* checked */ }})
	}
	list = slices.DeleteFunc(list, func(f *secretFile) bool { return f.file == "" })
	for _, f := range list {
		var err error
		if f.last, err = readSettingSecret(f.variable, f.file); err != nil {
			return nil, err
		}
	}
	return list, nil
}
