package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"jiragate/certs"
	"jiragate/gateway"
	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
	"jiragate/gateway/audit/offsite"
	"jiragate/gateway/audit/shipping"
	"jiragate/gateway/egress/echo"
	"jiragate/gateway/pace"
	"jiragate/gateway/telemetry"
	"jiragate/tokenstore/oauth"
)

// engine is the gateway with its parts, on a foundation that somebody else
// closes. It listens to nothing.
type engine struct {
	telemetry *telemetry.Telemetry
	authority *certs.Authority
	audit     *audit.Log
	activity  *activity.Board
	courier   *offsite.Courier // nil where checkpoints stay here
	wayOut    *wayOut
	proxyTLS  *liveTLS // nil on a plain listener
	tokens    *oauth.Manager
	gateway   *gateway.Gateway
	shipping  bool // copies of audit records go to a collector
}

// openEngine puts the parts together. own are the addresses of the listeners
// that will serve it, which it never calls.
func openEngine(ctx context.Context, c Config, f *foundation, live *livePolicy, own []netip.AddrPort, o StartOptions) (_ *engine, err error) {
	e := &engine{}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close(ctx), e.flush(ctx))
		}
	}()
	clientSecret, err := readSettingSecret("OAUTH_CLIENT_SECRET_FILE", c.OAuthClientSecretFile)
	if err != nil {
		return nil, err
	}
	if e.proxyTLS, err = proxyTLS(c); err != nil {
		return nil, err
	}
	version := programVersion().Version
	if e.telemetry, err = telemetry.Setup(ctx, telemetry.Options{ServiceName: "jiragate", Version: version, Instance: string(c.Node), SpanExporter: o.Spans, MaxSeries: c.maxSeries(), Logger: o.Logger}); err != nil {
		return nil, err
	}
	if e.authority, err = certs.Open(certs.Options{Dir: c.DataDir, Sealer: f.keys}); err != nil {
		return nil, err
	}
	if err := e.openAudit(c, f, o); err != nil {
		return nil, err
	}
	if err := keepPolicy(c, live.current.Load()); err != nil {
		return nil, err
	}
	if e.wayOut, err = openWayOut(c, f.register, own, o.Logger); err != nil {
		return nil, err
	}
	if err := e.wayOut.measure(e.telemetry.MeterProvider().Meter("jiragate/gateway/egress")); err != nil {
		return nil, err
	}
	if err := measureIdentity(live.current.Load, e.telemetry.MeterProvider().Meter("jiragate")); err != nil {
		return nil, err
	}
	if err := f.store.measure(e.telemetry.MeterProvider().Meter("jiragate/tokenstore")); err != nil {
		return nil, err
	}
	if err := f.measureKeys(e.telemetry.MeterProvider().Meter("jiragate/tokenstore/keyset")); err != nil {
		return nil, err
	}
	e.tokens = newGrants(c, oauth.Options{
		Store:        f.store,
		OnDuty:       f.store.onDutyFor(dutyGrants, c.Region),
		ClientSecret: clientSecret,
		Transport:    e.wayOut.grants,
		Logger:       o.Logger,
		Tracer:       e.telemetry.TracerProvider().Tracer("jiragate/tokenstore/oauth"),
		Meter:        e.telemetry.MeterProvider().Meter("jiragate/tokenstore/oauth"),
	})
	e.gateway, err = gateway.New(gateway.Options{
		Region:            c.Region,
		Directory:         f.store.Directory,
		Policy:            live.current.Load,
		Credentials:       f.store,
		Tokens:            e.tokens,
		Issues:            f.store,
		Delete:            c.Delete,
		Audit:             e.audit,
		Privacy:           f.privacy,
		Authority:         e.authority,
		Egress:            e.wayOut.egress,
		Pacing:            c.pacing(),
		Pauses:            f.store.pauses,
		Limits:            c.limits(memoryLimit(int64(c.MemoryLimit))),
		APIURL:            string(c.AtlassianAPIURL),
		UpstreamRoots:     e.wayOut.roots.Load(),
		ProxyTLS:          e.proxyTLS.config(),
		TracerProvider:    e.telemetry.TracerProvider(),
		MeterProvider:     e.telemetry.MeterProvider(),
		ConnectionMetrics: bool(c.MetricsConnections),
		Logger:            o.Logger,
		Version:           version,
	})
	if err != nil {
		return nil, err
	}
	if e.proxyTLS != nil {
		e.proxyTLS.put = e.gateway.SetProxyTLS
	}
	return e, nil
}

// openAudit opens the log, and what brings its checkpoints elsewhere.
func (e *engine) openAudit(c Config, f *foundation, o StartOptions) error {
	key, err := f.auditKey.existing()
	if err != nil {
		return err
	}
	options := c.auditOptions(key, o.Logger)
	e.activity = activity.New(activity.Options{Weight: pace.Weight})
	copies := shipping.New(e.telemetry.LoggerProvider())
	options.Observe = e.activity.Observe
	if e.shipping = copies.Enabled(); e.shipping {
		options.Observe = func(r audit.Record) {
			e.activity.Observe(r)
			copies.Ship(r, r.Line())
		}
	}
	if len(c.CheckpointTo) > 0 {
		if e.courier, err = newCourier(c, f.store, e.telemetry.MeterProvider().Meter("jiragate/gateway/audit/offsite"), o); err != nil {
			return err
		}
		options.Checkpointed = e.courier.Offer
	}
	if e.audit, err = audit.Open(options); err != nil {
		return err
	}
	return measureAudit(e.audit, e.telemetry.MeterProvider().Meter("jiragate/gateway/audit"))
}

// newMonitor makes what verifies the egress addresses while the gateway serves; nil
// where that is not asked for.
func (e *engine) newMonitor(logger *slog.Logger) (*echo.Monitor, error) {
	if e.wayOut.config.EgressVerify == 0 {
		return nil, nil
	}
	m, err := echo.NewMonitor(echo.MonitorOptions{
		Options:  e.wayOut.echoOptions(nil),
		Present:  e.wayOut.public,
		Interval: time.Duration(e.wayOut.config.EgressVerify),
		Logger:   logger,
		Meter:    e.telemetry.MeterProvider().Meter("jiragate/gateway/egress/echo"),
	})
	if err != nil {
		return nil, fmt.Errorf("JIRAGATE_EGRESS_VERIFY: %w", err)
	}
	return m, nil
}

// close ends the parts that were opened, in the order in which they need each
// other: no call may be without a record, no refresh without the store.
func (e *engine) close(ctx context.Context) error {
	var errs []error
	if e.tokens != nil {
		errs = append(errs, e.tokens.Close(ctx))
	}
	if e.audit != nil {
		errs = append(errs, e.audit.Close())
	}
	return errors.Join(errs...)
}

// flush sends the telemetry that is left. It comes last, since it may take as
// long as ctx.
func (e *engine) flush(ctx context.Context) error {
	if e.telemetry == nil {
		return nil
	}
	return e.telemetry.Shutdown(ctx)
}

// probeOnce is a connection test without a running gateway: an engine for one call.
func probeOnce(ctx context.Context, c Config, f *foundation, live *livePolicy, logger *slog.Logger, connection string) (admin.ProbeResult, error) {
	e, err := openEngine(ctx, c, f, live, nil, StartOptions{Logger: logger})
	if err != nil {
		return admin.ProbeResult{}, err
	}
	result, err := e.probe(ctx, connection)
	return result, errors.Join(err, e.gateway.Shutdown(ctx), e.close(ctx), e.flush(ctx))
}

func (e *engine) probe(ctx context.Context, connection string) (admin.ProbeResult, error) {
	r, err := e.gateway.Probe(ctx, connection)
	if err != nil {
		return admin.ProbeResult{}, err
	}
	return probeResult(r), nil
}
