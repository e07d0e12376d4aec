package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// pollInterval is how often the directory is compared with the last one, which
// is comparing two pointers, and the precision of every wait.
const pollInterval = time.Second

// Store is what a Notifier needs of tokenstore.Store, whose contract it relies on.
type Store interface {
	Directory() *tokenstore.Directory
	Announced(ctx context.Context) ([]tokenstore.Announcement, error)
	SetAnnounced(ctx context.Context, a tokenstore.Announcement) error
}

// Options of a [Notifier].
type Options struct {
	Store Store

	// URL is where webhooks go: see [CheckURL].
	URL string
	// Secret signs them: see [CheckSecret].
	Secret secret.Secret

	// Serves reports whether a connection is this gateway's to tell of; nil means
	// that all are.
	Serves func(*tokenstore.Connection) bool

	// OnDuty reports whether this gateway tells, of those that share the store. It is
	// asked before each delivery, and must not block; nil means that it always does.
	OnDuty func() bool

	// Transport is the way to the endpoint; nil means [NewTransport] with the
	// system's roots.
	Transport http.RoundTripper

	// Version goes into the User-Agent.
	Version string

	// Now is the clock; nil means [time.Now].
	Now func() time.Time
	// Logger gets a line for each attempt; nil means none.
	Logger *slog.Logger
	// Meter gets the counter jiragate.webhook.deliveries, by jiragate.result
	// (delivered; refused: the receiver doesn't take this message; failed: the
	// endpoint has a problem), and the gauge jiragate.webhook.pending. Nil means
	// none.
	Meter metric.Meter
}

// Notifier sends webhooks. Its methods are safe for concurrent use, but [Notifier.Run]
// runs once at a time.
type Notifier struct {
	store     Store
	url       string
	secret    atomic.Pointer[secret.Secret]
	serves    func(*tokenstore.Connection) bool
	onDuty    func() bool
	transport http.RoundTripper
	userAgent string
	now       func() time.Time
	log       *slog.Logger

	deliveries metric.Int64Counter
	pending    metric.Int64Gauge

	wake    chan struct{}
	backlog atomic.Pointer[Backlog]
}

// Backlog is what the product hasn't acknowledged yet.
type Backlog struct {
	// Pending is the number of connections.
	Pending int
	// Since is when this process noticed the first of them; zero if there is none.
	Since time.Time
	// Troubled: at the last attempt the endpoint as a whole had a problem.
	Troubled bool
}

// New returns a Notifier, which does nothing until [Notifier.Run]. The errors are
// those of [CheckURL], [CheckSecret] and the meter.
func New(o Options) (*Notifier, error) {
	if o.Store == nil {
		return nil, errors.New("notify: a store is needed")
	}
	if err := errors.Join(CheckURL(o.URL), CheckSecret(o.Secret)); err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	n := &Notifier{
		store:     o.Store,
		url:       o.URL,
		serves:    o.Serves,
		onDuty:    o.OnDuty,
		transport: o.Transport,
		userAgent: "jiragate",
		now:       o.Now,
		log:       o.Logger,
		wake:      make(chan struct{}, 1),
	}
	if n.serves == nil {
		n.serves = func(*tokenstore.Connection) bool { return true }
	}
	if n.onDuty == nil {
		n.onDuty = func() bool { return true }
	}
	if n.transport == nil {
		n.transport = NewTransport(nil)
	}
	if o.Version != "" {
		n.userAgent += "/" + o.Version
	}
	if n.now == nil {
		n.now = time.Now
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if err := n.measureBy(o.Meter); err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	n.secret.Store(&o.Secret)
	n.backlog.Store(&Backlog{})
	return n, nil
}

// SetSecret is [Options.Secret] for each attempt from now on. The error is that of
// [CheckSecret], and changes nothing.
func (n *Notifier) SetSecret(s secret.Secret) error {
	if err := CheckSecret(s); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	n.secret.Store(&s)
	return nil
}

func (n *Notifier) measureBy(meter metric.Meter) (err error) {
	if meter == nil {
		meter = noop.NewMeterProvider().Meter("")
	}
	if n.deliveries, err = meter.Int64Counter("jiragate.webhook.deliveries", metric.WithUnit("{attempt}"),
		metric.WithDescription("Attempts to deliver a webhook, by what came of them.")); err != nil {
		return err
	}
	n.pending, err = meter.Int64Gauge("jiragate.webhook.pending", metric.WithUnit("{connection}"),
		metric.WithDescription("Connections whose state the webhook's receiver has not acknowledged yet."))
	return err
}

// Wake makes a running Notifier look at the directory now instead of within a
// second. It never blocks.
func (n *Notifier) Wake() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Backlog returns what is left to tell; nothing while another gateway is on duty. A
// backlog is the product's problem to
// solve, and no reason to refuse calls.
func (n *Notifier) Backlog() Backlog { return *n.backlog.Load() }

// Run delivers, while it is on duty, until ctx ends. Then it gives up the attempts that are under way,
// and returns once what was acknowledged is on disk: the store must stay open
// until then. Where the store fails, it tries again.
func (n *Notifier) Run(ctx context.Context) {
	defer n.closeIdle()
	r := &run{
		Notifier: n,
		outcomes: make(chan outcome, maxDeliveries),
		unstored: map[string]tokenstore.Announcement{},
		outdated: true,
	}
	r.loop(ctx)
}

// closeIdle lets go of the endpoint.
func (n *Notifier) closeIdle() {
	if t, ok := n.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// recall reads what was announced. It reports false if ctx ends, or the duty, before
// the store can be read.
func (n *Notifier) recall(ctx context.Context) ([]tokenstore.Announcement, bool) {
	for failures := 1; ; failures++ {
		announced, err := n.store.Announced(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, false
		case err == nil:
			return announced, true
		}
		d := wait(failures, lastPause)
		n.log.ErrorContext(ctx, "no webhooks are sent: what was announced can't be read", "error", err, "retry_in", d,
			"hint", "look at the store: jiragate store check, and the disk of JIRAGATE_DATA_DIR, or etcd's members")
		select {
		case <-ctx.Done():
			return nil, false
		case <-time.After(d):
		}
		if !n.onDuty() {
			return nil, false
		}
	}
}

// report writes the line and the count of an attempt.
func (n *Notifier) report(ctx context.Context, o outcome) {
	if o.verdict == abandoned {
		return
	}
	n.deliveries.Add(ctx, 1, metric.WithAttributes(attribute.String("jiragate.result", string(o.verdict))))
	a := o.news.announcement()
	attributes := []any{"connection", a.Connection, "state", string(a.State), "id", messageID(a), "result", string(o.verdict)}
	if o.status != 0 {
		attributes = append(attributes, "status", o.status)
	}
	if o.problem != "" {
		attributes = append(attributes, "problem", o.problem)
	}
	switch {
	case o.verdict == delivered:
		n.log.InfoContext(ctx, "webhook delivered", attributes...)
	case o.status == http.StatusGone:
		n.log.ErrorContext(ctx, "webhook not delivered; all wait for a day", append(attributes, "hint", "the receiver says that it is gone: correct JIRAGATE_WEBHOOK_URL")...)
	default:
		n.log.WarnContext(ctx, "webhook not delivered; it will be tried again", append(attributes, "hint", "see that the receiver of JIRAGATE_WEBHOOK_URL runs, takes the signature, and answers with 2xx")...)
	}
}
