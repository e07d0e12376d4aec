package cli

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"golang.org/x/net/netutil"

	"jiragate/gateway"
	"jiragate/gateway/admin"
	"jiragate/gateway/admin/console"
	"jiragate/gateway/admin/public"
	"jiragate/gateway/admin/signin"
	"jiragate/gateway/audit"
	"jiragate/gateway/egress/publication"
	"jiragate/tokenstore/secret"
)

// pages are what the admin listener has for browsers besides the consents.
func (s *Server) pages(token secret.Secret) ([]admin.Pages, error) {
	var pages []admin.Pages
	c, err := s.newConsole(token)
	if err != nil {
		return nil, err
	}
	if c != nil {
		s.console = c
		pages = append(pages, c)
	}
	if s.public != nil {
		return pages, nil
	}
	h, err := s.publicPages(publicBase)
	if err != nil {
		return nil, err
	}
	return append(pages, h), nil
}

// publicBase is the path of the public pages on the admin listener.
const publicBase = "/public/"

// publicURL is where the public pages are.
func (s *Server) publicURL() string {
	switch {
	case s.config.PublicURL != "":
		return string(s.config.PublicURL)
	case s.public == nil:
		return publicBase
	case s.config.PublicTLSCert != "":
		return "https://" + reachable(s.public) + "/"
	}
	return "http://" + reachable(s.public) + "/"
}

// PublicAddr is the address of the public listener; "" where there is none.
func (s *Server) PublicAddr() string {
	if s.public == nil {
		return ""
	}
	return s.public.Addr().String()
}

// publicPages makes the public pages, to be served below base.
func (s *Server) publicPages(base string) (*public.Handler, error) {
	key, err := s.foundation.auditKey.open()
	if err != nil {
		return nil, err
	}
	return public.New(public.Options{
		Base:     base,
		Document: func() publication.Document { return s.api.Publication() },
		Sign:     key.Sign,
		Key: func() ([]string, []byte, error) {
			return key.Verifiers(), key.PublicPEM(), nil
		},
		Checkpoint: s.newestCheckpoint,
		Version:    programVersion().Version,
		Logger:     s.log,
	})
}

// newestCheckpoint is the newest signed head of the audit log; nil before the first.
func (s *Server) newestCheckpoint() ([]byte, time.Time, error) {
	newest, err := s.config.auditLog(s.reader).Newest()
	if errors.Is(err, audit.ErrNoCheckpoint) {
		return nil, time.Time{}, nil
	}
	return newest.Note, newest.Made, err
}

// servePublic serves the public pages on the listener of their own, if there is one.
func (s *Server) servePublic() error {
	if s.public == nil {
		return nil
	}
	h, err := s.publicPages("/")
	if err != nil {
		return err
	}
	config, err := webTLS(s.config.PublicTLSCert, s.config.PublicTLSKey, "JIRAGATE_PUBLIC_TLS_CERT and _KEY")
	if err != nil {
		return err
	}
	s.publicTLS = config
	server := public.NewServer(h, s.foundation.privacy.ErrorLog(s.log))
	s.servers = append(s.servers, server)
	l := encrypted(netutil.LimitListener(s.public, public.MaxConnections), config)
	s.serve("public", func() error { return server.Serve(l) })
	return nil
}

// newConsole makes the console; nil where nobody could sign in to it.
func (s *Server) newConsole(token secret.Secret) (*console.Console, error) {
	c := s.config
	who := signin.Options{Secure: c.consoleSecure(), Acts: s.api.Acts(), Logger: s.log}
	if c.ConsoleAdminToken {
		who.Token = token
	}
	if c.OIDCIssuer != "" {
		var err error
		if who.Provider, err = c.provider(); err != nil {
			return nil, err
		}
	}
	if who.Provider == nil && who.Token.IsZero() {
		return nil, nil
	}
	return console.New(console.Options{
		API:       s.api.InProcess(),
		Signin:    who,
		Reasons:   reasons(),
		PublicURL: s.publicURL(),
		Secure:    c.consoleSecure(),
		Version:   programVersion().Version,
		Region:    string(c.Region),
		Logger:    s.log,
	})
}

// provider is the OpenID provider that people sign in with.
func (c *Config) provider() (*signin.Provider, error) {
	clientSecret, err := readSettingSecret("OIDC_CLIENT_SECRET_FILE", c.OIDCSecretFile)
	if err != nil {
		return nil, err
	}
	p := &signin.Provider{
		Issuer:       string(c.OIDCIssuer),
		ClientID:     c.OIDCClientID,
		ClientSecret: clientSecret,
		RedirectURL:  string(c.ConsoleURL) + signin.CallbackPath,
		RolesClaim:   c.OIDCRolesClaim,
		Roles:        c.OIDCRoles,
	}
	if c.OIDCCAFile == "" {
		return p, nil
	}
	if p.Roots, err = x509.SystemCertPool(); err != nil {
		return nil, fmt.Errorf("reading the system's roots: %w", err)
	}
	if err := addRoots(p.Roots, c.OIDCCAFile); err != nil {
		return nil, fmt.Errorf("JIRAGATE_OIDC_CA_FILE: %w", err)
	}
	return p, nil
}

// reasons says what the codes of call records mean.
func reasons() map[string]string {
	meaning := map[string]string{}
	for _, c := range gateway.Codes() {
		meaning[string(c.Code)] = c.Title
		if c.Detail != "" {
			meaning[string(c.Code)] = c.Detail
		}
	}
	return meaning
}
