package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"net"
	"runtime"
	"time"

	"golang.org/x/net/netutil"

	"jiragate/gateway"
	"jiragate/gateway/admin"
	"jiragate/gateway/admin/console"
	"jiragate/gateway/admin/public"
	"jiragate/gateway/admin/signin"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
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
	config, err := listenerTLS(s.config.PublicTLSCert, s.config.PublicTLSKey, "JIRAGATE_PUBLIC_TLS_CERT and _KEY")
	if err != nil {
		return err
	}
	server := public.NewServer(h, s.foundation.privacy.ErrorLog(s.log))
	s.servers = append(s.servers, server)
	l := encrypted(netutil.LimitListener(s.public, public.MaxConnections), config)
	s.serve("public", func() error { return server.Serve(l) })
	return nil
}

// encrypted is l, with TLS unless config is nil.
func encrypted(l net.Listener, config *tls.Config) net.Listener {
	if config == nil {
		return l
	}
	config = config.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	return tls.NewListener(l, config)
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

// lastCall is what the console shows of the newest call of a connection or client.
func lastCall(recent func(name string) (activity.Recent, bool)) func(string) (admin.LastCall, bool) {
	return func(name string) (admin.LastCall, bool) {
		r, ok := recent(name)
		return admin.LastCall(r.Last), ok
	}
}

// watch is what a page follows.
func (s *Server) watch(ctx context.Context) (iter.Seq2[audit.Record, uint64], error) {
	events, err := s.engine.activity.Watch(ctx)
	if err != nil {
		return nil, err
	}
	return func(yield func(audit.Record, uint64) bool) {
		for e := range events {
			if !yield(e.Record, e.Missed) {
				return
			}
		}
	}, nil
}

// patience is how long what one connection did is counted for who asks. What is older
// than what was counted by then is left out, and the answer says so.
const patience = 5 * time.Second

// counted is what happened lately. That of one connection is counted when it is asked
// for.
func (s *Server) counted(ctx context.Context, q admin.ActivityRequest) (admin.Activity, error) {
	if q.Connection == "" {
		return seriesOf(s.engine.activity, q.Since, q.Until, q.Step)
	}
	counting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	counted, err := countActivity(counting, s.config.auditDir(), q, doubling, s.reader.query)
	switch {
	case ctx.Err() != nil: // whoever asked has gone
	case isDamage(err): // it is told of where records are listed
		err = nil
	case errors.Is(err, context.DeadlineExceeded): // Activity.CompleteSince tells it
		err = nil
	}
	return counted, err
}

// readBack counts what happened before this start: the last day first. Until it is
// done, charts say from when on they are whole.
func (s *Server) readBack(ctx context.Context) {
	now := time.Now()
	oldest := now.Add(-activity.Horizon)
	dir := s.config.auditDir()
	begun, err := logBegins(dir, oldest)
	if err == nil {
		past := activity.Past{Since: begun, Found: s.engine.audit.Found()}
		err = countBack(ctx, s.engine.activity, past, []time.Time{now.Add(-activity.FineHorizon), oldest}, audit.Filter{},
			func(_ context.Context, f audit.Filter) iter.Seq2[audit.Entry, error] {
				return unhurried(audit.Query(dir, f))
			})
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("not all of the audit log could be counted for charts", "error", err)
	}
}

// unhurried is records, read so that calls go first: where there is one processor only,
// they would wait for 10 ms otherwise, until the scheduler takes it from the reader.
func unhurried(records iter.Seq2[audit.Entry, error]) iter.Seq2[audit.Entry, error] {
	const atOnce = 16 // about 0.2 ms
	return func(yield func(audit.Entry, error) bool) {
		n := 0
		for e, err := range records {
			if !yield(e, err) {
				return
			}
			if n++; n%atOnce == 0 {
				runtime.Gosched()
			}
		}
	}
}

// listenerTLS is the configuration of a listener with a certificate; nil without one.
func listenerTLS(certFile, keyFile, variables string) (*tls.Config, error) {
	if certFile == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variables, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}
