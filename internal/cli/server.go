package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/net/netutil"

	"jiragate/certs"
	"jiragate/gateway"
	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
	"jiragate/gateway/admin/console"
	"jiragate/gateway/egress/echo"
	"jiragate/gateway/notify"
	"jiragate/tokenstore/secret"
)

// Server is a running gateway: the proxy listener, the admin listener and the
// admin socket. Make one with [Start].
type Server struct {
	config     Config
	log        *slog.Logger
	foundation *foundation
	policy     *livePolicy
	engine     *engine
	monitor    *echo.Monitor // nil where nothing is verified unasked
	reader     *auditReader

	proxy, admin, socket net.Listener
	public               net.Listener // nil where the public pages are on admin
	servers              []*http.Server
	api                  *admin.API
	console              *console.Console // nil where nobody could sign in
	adminTLS, publicTLS  *liveTLS         // nil without TLS
	notifier             *notify.Notifier // nil without a webhook
	reloads              *reloads

	draining    atomic.Bool
	handedOver  bool             // the sockets are another's from now on
	adopted     chan struct{}    // closed once all connections of a predecessor were taken; nil without one
	upgrades    chan *upgradeAsk // that administrators ask for
	silent      newcomers
	upgraded    *lastUpgrade // what came of the last one; nil where nobody hands over
	failed      chan error
	serving     sync.WaitGroup
	background  sync.WaitGroup     // keeping grants alive, webhooks
	stop        context.CancelFunc // of background
	stopCourier func()             // ends the delivery of checkpoints
	closing     sync.Once
	closeErr    error
}

// mayFail is how much can end by itself: four listeners, and keeping grants alive.
const mayFail = 5

// StartOptions are what [Start] needs besides the configuration.
type StartOptions struct {
	Logger *slog.Logger // nil discards
	// Stdout takes the checkpoints that go to standard output; nil discards.
	Stdout io.Writer
	// Spans, if not nil, receives each span as it ends, for demonstrations and
	// tests.
	Spans sdktrace.SpanExporter

	sockets          sockets // that are open already
	upgraded         *lastUpgrade
	certificateCheck time.Duration // of tests; 0 means certificateCheck
}

// Start opens everything that c names and serves. When it returns, clients can
// connect to [Server.ProxyAddr]. Where it fails, it has closed what was open.
func Start(ctx context.Context, c Config, o StartOptions) (_ *Server, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{config: c, log: o.Logger, reader: &auditReader{dir: c.auditDir()}, upgraded: o.upgraded, failed: make(chan error, mayFail), upgrades: make(chan *upgradeAsk)}
	_, given := o.sockets[localSocket]
	defer func() {
		if err != nil {
			s.handedOver = given // the name stays for whoever has opened it
			err = errors.Join(err, s.release(ctx))
		}
	}()
	if err := c.checkAccess(); err != nil {
		return nil, err
	}
	if s.policy, err = openPolicy(c.PolicyFile); err != nil {
		return nil, err
	}
	if s.foundation, err = openFoundation(ctx, c, serveLockTimeout, o.Logger); err != nil {
		return nil, err
	}
	if _, err := s.foundation.auditKey.serve(); err != nil {
		return nil, err
	}
	if s.proxy, err = o.sockets.listen(proxySocket, "JIRAGATE_PROXY_LISTEN", c.ProxyListen); err != nil {
		return nil, err
	}
	if s.admin, err = o.sockets.listen(adminSocket, "JIRAGATE_ADMIN_LISTEN", c.AdminListen); err != nil {
		return nil, err
	}
	own := []netip.AddrPort{addrPort(s.proxy), addrPort(s.admin)}
	if c.PublicListen != "" {
		if s.public, err = o.sockets.listen(publicSocket, "JIRAGATE_PUBLIC_LISTEN", c.PublicListen); err != nil {
			return nil, err
		}
		own = append(own, addrPort(s.public))
	}
	if s.engine, err = openEngine(ctx, c, s.foundation, s.policy, own, o); err != nil {
		return nil, err
	}
	s.stopCourier = s.engine.startCourier()
	if err := s.recordPolicy(ctx); err != nil {
		return nil, err
	}
	if err := s.recordAddresses(act.With(ctx, processActor()), publicAddresses(c)); err != nil {
		return nil, err
	}
	if s.monitor, err = s.engine.newMonitor(o.Logger); err != nil {
		return nil, err
	}
	if s.reloads, err = newReloads(s.engine.telemetry.MeterProvider().Meter("jiragate/internal/cli")); err != nil {
		return nil, err
	}
	network, local, err := s.adminHandlers()
	if err != nil {
		return nil, err
	}
	if s.socket, err = o.sockets.local(c.DataDir); err != nil {
		return nil, err
	}
	if err := o.sockets.unused(); err != nil {
		return nil, err
	}
	if s.adminTLS, err = webTLS(c.AdminTLSCert, c.AdminTLSKey, "JIRAGATE_ADMIN_TLS_CERT and _KEY"); err != nil {
		return nil, err
	}
	if err := s.servePublic(); err != nil {
		return nil, err
	}
	if err := s.startBackground(ctx, o); err != nil {
		return nil, err
	}
	if err := s.engine.measureCertificates(map[string]*liveTLS{"proxy": s.engine.proxyTLS, "admin": s.adminTLS, "public": s.publicTLS}); err != nil {
		return nil, err
	}
	s.serve("proxy", func() error { return s.engine.gateway.Serve(s.proxy) })
	errorLog := s.foundation.privacy.ErrorLog(s.log)
	s.serveAdmin("admin", admin.NewServer(network, errorLog), s.admin, s.adminTLS)
	socket := admin.NewServer(local, errorLog)
	socket.ConnContext = withPeer
	s.serveAdmin("socket", socket, peerListener{s.socket}, nil)
	s.announce()
	return s, nil
}

// startBackground starts what goes on without anybody calling.
func (s *Server) startBackground(ctx context.Context, o StartOptions) error {
	var err error
	if s.notifier, err = newNotifier(s.config, s.foundation.store, s.engine, o.Logger); err != nil {
		return err
	}
	if s.reloads.secrets, err = s.secretFiles(); err != nil {
		return err
	}
	s.reloads.zero(ctx, s.parts())
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.background.Go(func() {
		if err := s.engine.tokens.Run(running); err != nil && running.Err() == nil {
			s.failed <- fmt.Errorf("keeping grants alive ended: %w", err)
		}
	})
	if s.monitor != nil {
		s.background.Go(func() { s.monitor.Run(running) })
	}
	s.background.Go(func() { s.keepIndex(running) })
	s.background.Go(func() { s.readBack(running) })
	if s.notifier != nil {
		s.background.Go(func() { s.notifier.Run(running) })
	}
	s.background.Go(func() { s.watchCertificates(running, cmp.Or(o.certificateCheck, certificateCheck)) })
	return nil
}

// adminHandlers makes the two faces of the admin API.
func (s *Server) adminHandlers() (network, local http.Handler, err error) {
	token, err := openAdminToken(s.config.adminTokenFile())
	if err != nil {
		return nil, nil, err
	}
	metricsToken, err := s.config.openMetricsToken()
	if err != nil {
		return nil, nil, err
	}
	o := adminOptions(s.config, s.policy, s.foundation)
	o.Audit = func() (act.Recorder, error) { return s.engine.audit, nil }
	o.Log = s.config.auditLog(s.reader)
	o.Log.Node, o.Log.Published = string(s.config.Node), s.foundation.store.published
	o.Log.Length = s.engine.audit.Checkpoint
	o.Log.Watch = s.watch
	o.Log.Activity = s.counted
	o.LastCall, o.LastCallOf = lastCall(s.engine.activity.Connection), lastCall(s.engine.activity.Client)
	if s.engine.courier != nil {
		o.Log.Copies = s.engine.courier.Status
	}
	o.Probe = s.engine.probe
	o.Consenter = s.engine.tokens
	o.CA = newAdminCA(s.config, func() (*certs.Authority, error) { return s.engine.authority, nil }, s.withoutReload)
	o.Reload = s.reload
	o.Egress.Present = s.engine.wayOut.egress.Addresses
	o.Metrics = s.engine.telemetry.PrometheusHandler()
	o.Logger = s.log
	s.tellState(&o)
	if s.upgraded != nil {
		o.Upgrade, o.Upgraded = s.askUpgrade, s.upgraded.Load
	}
	o.Egress.Health = s.engine.wayOut.egress.Health
	o.Egress.Verify = s.engine.wayOut.verify
	if s.monitor != nil {
		o.Egress.Verified = s.monitor.Last
	}
	if s.api, err = admin.New(o); err != nil {
		return nil, nil, err
	}
	if err := s.api.MeasureReadiness(s.engine.telemetry.MeterProvider().Meter("jiragate/gateway/admin")); err != nil {
		return nil, nil, err
	}
	pages, err := s.pages(token)
	if err != nil {
		return nil, nil, err
	}
	network, err = s.api.Network(s.guard(token, metricsToken), pages...)
	return network, s.api.Local(peerActor), err
}

func (s *Server) guard(token, metricsToken secret.Secret) admin.Guard {
	host, _, _ := net.SplitHostPort(string(s.config.AdminListen)) // parsed before
	actual := addrPort(s.admin).Addr()
	hosts := []string{strings.ToLower(host), actual.String()}
	if console, ok := s.config.consoleHost(); ok {
		hosts = append(hosts, console)
	}
	return admin.Guard{
		Token:        token,
		MetricsToken: metricsToken,
		Hosts:        hosts,
		AnyAddress:   actual.IsUnspecified(),
		OpenMetrics:  actual.IsLoopback(),
	}
}

// checks are what must work before a call can be served.
func (s *Server) checks() []admin.Check {
	checks := []admin.Check{
		{Name: "store", Run: s.foundation.store.check},
		{Name: "audit", Run: func(context.Context) error { return s.engine.audit.Ready() }},
		{Name: "egress", Run: s.engine.wayOut.egress.Ready},
		{Name: "policy", Run: func(context.Context) error {
			if s.policy.current.Load() == nil {
				return errors.New("no policy is loaded")
			}
			return nil
		}},
		{Name: "memory", Run: func(context.Context) error { return s.engine.gateway.Ready() }},
		{Name: "proxy", Run: func(context.Context) error {
			if s.draining.Load() {
				return errors.New("the gateway is shutting down")
			}
			return nil
		}},
	}
	if s.monitor != nil {
		checks = append(checks, admin.Check{Name: "egress_verified", Run: func(context.Context) error {
			return s.engine.wayOut.usedDiffers(s.monitor.Last())
		}})
	}
	return checks
}

func (s *Server) serveAdmin(name string, server *http.Server, l net.Listener, live *liveTLS) {
	server.RegisterOnShutdown(s.api.EndStreams)
	server.ConnState = s.silent.follow
	s.servers = append(s.servers, server)
	l = encrypted(netutil.LimitListener(l, admin.MaxConnections), live)
	s.serve(name, func() error { return server.Serve(l) })
}

// serve runs one listener to its end. An end that nobody asked for goes to Failed.
func (s *Server) serve(name string, run func() error) {
	s.serving.Go(func() {
		if err := run(); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("the %s listener ended: %w", name, err)
		}
	})
}

// Failed receives the error of a listener that ended by itself.
func (s *Server) Failed() <-chan error { return s.failed }

// ProxyAddr is where the proxy listens, with the port that was really taken.
func (s *Server) ProxyAddr() string { return s.proxy.Addr().String() }

// ConsoleURL is where browsers reach the console.
func (s *Server) ConsoleURL() string {
	return s.config.consoleOrigin(reachable(s.admin)) + "/console/"
}

// PublicURL is where the public pages are.
func (s *Server) PublicURL() string {
	if url := s.publicURL(); url != publicBase {
		return url
	}
	return s.config.consoleOrigin(reachable(s.admin)) + publicBase
}

// AdminAddr is where the admin API listens over TCP.
func (s *Server) AdminAddr() string { return s.admin.Addr().String() }

// RootPEM is what clients must trust, as in ca.pem.
func (s *Server) RootPEM() []byte { return s.engine.authority.RootPEM() }

// Close drains the calls in flight and closes everything, in the order in
// which things need each other. When ctx ends first, what is left is cut.
// Closing again returns what the first time did.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Do(func() { s.closeErr = s.shutDown(ctx) })
	return s.closeErr
}

func (s *Server) shutDown(ctx context.Context) error {
	s.draining.Store(true) // /readyz says so while calls drain
	err := s.engine.gateway.Shutdown(ctx)
	if cut, ok := errors.AsType[*gateway.CutError](err); ok {
		s.log.Warn("calls were cut, since they took too long", "calls", cut.Calls, "hint", "their records say which; raise JIRAGATE_DRAIN_TIMEOUT to wait longer")
		err = nil
	}
	errs := []error{err}
	ctx, cancel := atLeast(ctx, endPatience)
	defer cancel()
	defer time.AfterFunc(silentPatience, s.silent.close).Stop()
	for _, server := range s.servers {
		if err := server.Shutdown(ctx); err != nil {
			errs = append(errs, err, server.Close())
		}
	}
	s.serving.Wait()
	// Acts outlive their callers; the store and the log are theirs until then.
	errs = append(errs, s.api.Wait(ctx))
	return errors.Join(append(errs, s.release(ctx))...)
}

// atLeast is ctx, or as much time as what comes next needs at least.
func atLeast(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); !ok || time.Until(end) >= d {
		return ctx, func() {}
	}
	return context.WithTimeout(context.WithoutCancel(ctx), d)
}

// release closes what is open and no longer served.
func (s *Server) release(ctx context.Context) error {
	var errs []error
	if s.stop != nil {
		s.stop()
		s.background.Wait()
	}
	for _, l := range []net.Listener{s.proxy, s.admin, s.public, s.socket} {
		if l == nil {
			continue
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.engine != nil {
		errs = append(errs, s.engine.close(ctx))
	}
	if s.stopCourier != nil {
		s.stopCourier() // the log's last checkpoint is among them
	}
	if s.foundation != nil {
		if s.socket != nil && !s.handedOver {
			errs = append(errs, removeSocket(s.config.DataDir))
		}
		errs = append(errs, s.foundation.close())
	}
	if s.engine != nil && !s.handedOver { // while clients wait, telemetry may not
		errs = append(errs, s.engine.flush(ctx))
	}
	return errors.Join(errs...)
}
