package gateway

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"jiragate/certs"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/privacy"
	"jiragate/gateway/egress"
	"jiragate/gateway/pace"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// DeleteRule says which issues may be deleted (JIRAGATE_DELETE).
type DeleteRule string

const (
	// DeletePublished lets an issue be deleted that its connection created
	// through this gateway.
	DeletePublished DeleteRule = "published"
	// DeleteAny lets any issue be deleted that the credential may delete.
	DeleteAny DeleteRule = "any"
	// DeleteNone refuses every delete.
	DeleteNone DeleteRule = "none"
)

// ParseDeleteRule returns the rule named s.
func ParseDeleteRule(s string) (DeleteRule, error) {
	switch r := DeleteRule(s); r {
	case DeletePublished, DeleteAny, DeleteNone:
		return r, nil
	}
	return "", fmt.Errorf("delete rule %q is unknown: use %s, %s or %s", s, DeletePublished, DeleteAny, DeleteNone)
}

// Credentials hands out a connection's stored credential, in plaintext, for
// the moment of its use.
type Credentials interface {
	// Credential returns an error that matches tokenstore.ErrNotFound for a
	// connection that has none. It is safe for concurrent use.
	Credential(ctx context.Context, connection string) (tokenstore.Credential, error)
	// RequireReauthorisation pauses a connection whose credential of this
	// generation Jira has refused: see tokenstore.Store.
	RequireReauthorisation(ctx context.Context, connection string, generation uint64, reason string) error
}

// Tokens hands out OAuth 2.0 access tokens that are valid now, renewing them
// as needed.
type Tokens interface {
	// AccessToken returns a token of that incarnation of the connection, or
	// an error that matches one of package tokenstore/oauth. It is safe for
	// concurrent use.
	AccessToken(ctx context.Context, connection string, incarnation uint64) (secret.Secret, error)
	// Renew returns a token in place of one that Jira has refused, under the
	// same conditions.
	Renew(ctx context.Context, connection string, incarnation uint64, refused secret.Secret) (secret.Secret, error)
}

// Issues remembers which issues were published (G10). Errors other than
// tokenstore.ErrNotFound mean that the store could not be asked.
type Issues interface {
	RecordIssue(ctx context.Context, issue tokenstore.PublishedIssue) error
	IssuePublished(ctx context.Context, connection, idOrKey string) (bool, error)
	ForgetIssue(ctx context.Context, connection, idOrKey string) error
}

// Options is what a Gateway is made of. All fields without "optional" are
// required.
type Options struct {
	// Region is the region this gateway serves; connections of another are
	// refused.
	Region tokenstore.Region
	// Directory returns the present connections and clients. It is called for
	// every request and must not block.
	Directory func() *tokenstore.Directory
	// Policy returns the policy in force. It is called for every call, whose decision
	// is by the one that it returned then.
	Policy      func() *policy.Policy
	Credentials Credentials
	Tokens      Tokens
	Issues      Issues
	Delete      DeleteRule
	Audit       *audit.Log
	// Privacy says what of identifiers gets into records, spans and log. Optional: nil
	// keeps all of them.
	Privacy   *privacy.Masker
	Authority *certs.Authority
	Egress    *egress.Egress
	// Pacing are the limits of what goes out to Jira; the zero value has none, and
	// keeps the pauses that Jira asks for.
	Pacing pace.Options
	// Pauses carries pauses to other gateways and back. Optional: nil means that no other
	// gateway has these connections.
	Pauses Pauses
	// Limits are those of clients and of memory; the zero value has the fixed bounds
	// only.
	Limits Limits
	// APIURL is where Cloud calls are sent: https://api.atlassian.com, or a
	// simulator. It must be https.
	APIURL string
	// UpstreamRoots are the roots that Jira's certificates are verified by.
	// Optional: nil means the system's.
	UpstreamRoots *x509.CertPool
	// ProxyTLS makes the proxy listener an HTTPS proxy. With ClientCAs,
	// clients may identify themselves by certificate. Optional.
	ProxyTLS *tls.Config

	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	// ConnectionMetrics counts calls by connection, too. The meter provider must
	// bound what comes of it.
	ConnectionMetrics bool
	Logger            *slog.Logger
	// Version goes into the User-Agent that Jira sees.
	Version string
}

// Gateway is the forward proxy. Make one with New.
type Gateway struct {
	options    Options // without the log, which only records has; see proxyTLS and roots
	records    *records
	api        *url.URL
	log        *slog.Logger
	tracer     trace.Tracer
	propagator propagation.TraceContext
	meters     *meters
	userAgent  string
	marker     string // see framedConn

	resolved   atomic.Pointer[resolver]
	resolving  sync.Mutex
	transports transports
	proxyTLS   atomic.Pointer[tls.Config]    // nil on a plain listener
	roots      atomic.Pointer[x509.CertPool] // nil means the system's
	proofs     proofs
	pacer      *pace.Pacer

	tunnels  *tunnels
	bounds   *bounds
	serving  atomic.Pointer[servers]
	turnover sync.Mutex  // held while servers are put in place or stopped
	holding  *holding    // what the last Yield has taken
	yielded  time.Time   // when it stopped accepting
	conns    connections // of HTTP/1.x, at all doors
	calls    atomic.Int64

	connecting   atomic.Int64 // CONNECTs of which the tunnel isn't there yet
	http2Tunnels atomic.Int64
}

// New makes a gateway. It opens nothing; Serve does.
func New(o Options) (*Gateway, error) {
	api, err := url.Parse(o.APIURL)
	if err != nil || api.Scheme != "https" || api.Host == "" || api.User != nil || api.RawQuery != "" || api.Fragment != "" {
		return nil, errors.New("the Atlassian API URL must be https://HOST[:PORT][/PATH], as https://api.atlassian.com")
	}
	if o.Privacy == nil {
		o.Privacy = &privacy.Masker{}
	}
	written := &records{log: o.Audit, privacy: o.Privacy, policy: o.Policy}
	o.Audit = nil
	g := &Gateway{
		options:   o,
		records:   written,
		api:       api,
		log:       o.Logger,
		tracer:    o.TracerProvider.Tracer(instrumentation),
		userAgent: proxyName + "/" + o.Version,
		marker:    rand.Text(),
	}
	g.proxyTLS.Store(proxyTLS(o.ProxyTLS))
	g.roots.Store(o.UpstreamRoots)
	o.Pacing.Meter = o.MeterProvider.Meter(instrumentation)
	if o.Pauses != nil {
		o.Pacing.Paused = func(p pace.Pause) { o.Pauses.SharePause(p.Name, p.Until) }
	}
	if g.pacer, err = pace.New(o.Pacing); err != nil {
		return nil, err
	}
	if _, err := parseAuthority(api.Host, "443"); err != nil {
		return nil, fmt.Errorf("read the host of the Atlassian API URL: %w", err)
	}
	g.tunnels = newTunnels(g)
	if g.bounds, err = newBounds(o.Limits, g); err != nil {
		return nil, fmt.Errorf("make the limits' metrics: %w", err)
	}
	g.serving.Store(g.newServers())
	if g.meters, err = newMeters(o.MeterProvider, g); err != nil {
		return nil, fmt.Errorf("make the gateway's metrics: %w", err)
	}
	if o.Pauses != nil {
		g.sharePauses(o.Pauses)
	}
	return g, nil
}

// Load is how many calls are under way, and how many tunnels are open.
func (g *Gateway) Load() (calls, tunnels int) {
	open, _ := g.tunnels.places.Used()
	return int(g.calls.Load()), int(open)
}

// directory is the present picture of connections and clients.
func (g *Gateway) directory() *tokenstore.Directory { return g.options.Directory() }

// resolver returns the resolver of the present directory. When the directory
// has changed, the authority is told the hosts of the new one first.
func (g *Gateway) resolver() *resolver {
	dir := g.directory()
	if s := g.resolved.Load(); s != nil && s.directory == dir {
		return s
	}
	g.resolving.Lock()
	defer g.resolving.Unlock()
	dir = g.directory()
	var (
		s    *resolver
		gone = true
		err  error
	)
	switch before := g.resolved.Load(); {
	case before == nil:
		s, err = newResolver(dir, g.options.Region, g.api)
	case before.directory == dir:
		return before
	default:
		s, gone, err = before.of(dir)
	}
	if err != nil {
		g.log.Error("some connections are out of reach", "error", err, "hint", "correct their base URLs: jiragate connection show, and add them anew")
	}
	g.options.Authority.Permit(s)
	if gone {
		g.forget(dir)
	}
	g.resolved.Store(s)
	return s
}

// forget drops what is kept of connections that are no more.
func (g *Gateway) forget(dir *tokenstore.Directory) {
	g.transports.keep(dir)
	g.proofs.keep(dir)
	g.pacer.Keep(func(id string, incarnation uint64) bool {
		c, ok := dir.Connection(id)
		return ok && c.Incarnation == incarnation
	})
}
