package gateway

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"jiragate/policy"
	"jiragate/tokenstore"
)

// meters are the gateway's metrics: docs/metrics.md. Their attributes are bounded:
// no client or path is among them, and connections only where the operator asks
// for them.
type meters struct {
	calls    metric.Int64Counter
	duration metric.Float64Histogram
	overhead metric.Float64Histogram
	upstream metric.Float64Histogram
	active   active

	connections bool
	ended       cache[ending, endingOptions]
	answered    cache[exchange, []metric.RecordOption]
}

// newMeters makes the metrics of g, which has its other parts already.
func newMeters(p metric.MeterProvider, g *Gateway) (*meters, error) {
	meter := p.Meter(instrumentation)
	m := &meters{connections: g.options.ConnectionMetrics}
	var err error
	if m.calls, err = meter.Int64Counter("jiragate.calls", metric.WithUnit("{call}"),
		metric.WithDescription("Calls, allowed and refused.")); err != nil {
		return nil, err
	}
	if m.duration, err = meter.Float64Histogram("http.server.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of calls, from request to the end of the answer."),
		metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10)); err != nil {
		return nil, err
	}
	if m.overhead, err = meter.Float64Histogram("jiragate.call.overhead", metric.WithUnit("s"),
		metric.WithDescription("The gateway's own share of the duration of calls: without the waits for Jira, for an access token, for the call's turn and for the client."),
		metric.WithExplicitBucketBoundaries(.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1)); err != nil {
		return nil, err
	}
	if _, err = meter.Int64ObservableUpDownCounter("http.server.active_requests", metric.WithUnit("{request}"),
		metric.WithDescription("Calls in flight."), metric.WithInt64Callback(m.active.observe)); err != nil {
		return nil, err
	}
	if m.upstream, err = meter.Float64Histogram("http.client.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of requests to Jira, from asking for a connection to the head of the answer."),
		metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10)); err != nil {
		return nil, err
	}
	if _, err = meter.Int64ObservableGauge("jiragate.connections", metric.WithUnit("{connection}"),
		metric.WithDescription("Connections by edition and state."), metric.WithInt64Callback(countConnections(g.directory))); err != nil {
		return nil, err
	}
	_, err = meter.Int64ObservableGauge("jiragate.tunnels", metric.WithUnit("{tunnel}"),
		metric.WithDescription("Tunnels by state."), metric.WithInt64Callback(g.tunnels.observe))
	return m, err
}

// ending is all that the metrics tell calls apart by.
type ending struct {
	operation, edition, decision, code string
	method, route, failure, connection string
	status                             int
}

// endingOptions are the attributes of an ending, made once.
type endingOptions struct {
	calls              []metric.AddOption
	duration, overhead []metric.RecordOption
}

// measure counts a completed call.
func (g *Gateway) measure(c *Call) {
	m := g.meters
	took := time.Since(c.started)
	e := ending{
		operation: c.record.Operation, edition: c.record.Edition, decision: c.record.Decision, code: c.record.Code,
		method: knownMethod(c.in.Method), failure: c.failure(), status: knownStatus(c.record.Status),
	}
	if c.decision.Operation != nil {
		e.route = c.decision.Operation.Path
	}
	if m.connections {
		e.connection = c.record.Connection
	}
	o := m.ended.of(e, ending.options)
	ctx := c.measured()
	m.calls.Add(ctx, 1, o.calls...)
	m.duration.Record(ctx, took.Seconds(), o.duration...)
	m.overhead.Record(ctx, max(0, took-c.elsewhere).Seconds(), o.overhead...)
}

func (e ending) options() endingOptions {
	own := present("jiragate.operation", e.operation, "jiragate.edition", e.edition, "jiragate.decision", e.decision)
	named := present("jiragate.connection", e.connection)
	calls := append(present("jiragate.code", e.code, "jiragate.status_class", statusClass(e.status)), own...)
	duration := append(present("http.request.method", e.method, "url.scheme", "https", "http.route", e.route,
		"error.type", e.failure, "jiragate.operation", e.operation, "jiragate.edition", e.edition), statusCode(e.status)...)
	return endingOptions{
		calls:    []metric.AddOption{set(append(calls, named...))},
		duration: []metric.RecordOption{set(append(duration, named...))},
		overhead: []metric.RecordOption{set(own)},
	}
}

// exchange is all that the metrics tell requests to Jira apart by. The host, which
// the conventions want, is not: it names the customer.
type exchange struct {
	operation, edition, method, failure string
	status                              int
}

// measureJira counts a request to Jira that ended in an answer or, for that
// reason, in none.
func (g *Gateway) measureJira(c *Call, took time.Duration, status int, why Code) {
	e := exchange{
		operation: c.record.Operation, edition: c.record.Edition, method: c.out.Method,
		failure: string(why), status: knownStatus(status),
	}
	if status >= http.StatusBadRequest {
		e.failure = strconv.Itoa(e.status)
	}
	g.meters.upstream.Record(c.measured(), took.Seconds(), g.meters.answered.of(e, exchange.options)...)
}

func (e exchange) options() []metric.RecordOption {
	attributes := present("http.request.method", e.method, "url.scheme", "https", "error.type", e.failure,
		"jiragate.operation", e.operation, "jiragate.edition", e.edition)
	return []metric.RecordOption{set(append(attributes, statusCode(e.status)...))}
}

// active are the calls in flight, by method. It is added to twice a call and seldom
// looked at, so these are counters of our own.
type active struct {
	calls [len(knownMethods) + 1]atomic.Int64 // of knownMethods, and of all others
	seen  [len(knownMethods) + 1]atomic.Bool
}

// inFlight counts the call in or, with -1, out.
func (g *Gateway) inFlight(c *Call, n int64) {
	a := &g.meters.active
	i := slices.Index(knownMethods[:], c.in.Method)
	if i < 0 {
		i = len(knownMethods)
	}
	if !a.seen[i].Load() {
		a.seen[i].Store(true)
	}
	a.calls[i].Add(n)
}

// observe observes the calls in flight of every method that was seen: one that has no
// calls any more has the zero.
func (a *active) observe(_ context.Context, observer metric.Int64Observer) error {
	for i := range a.calls {
		method := otherMethod
		if i < len(knownMethods) {
			method = knownMethods[i]
		}
		if a.seen[i].Load() {
			observer.Observe(a.calls[i].Load(), metric.WithAttributes(
				attribute.String("http.request.method", method), attribute.String("url.scheme", "https")))
		}
	}
	return nil
}

// measured is the context of a call's measurements: a sampled call is an exemplar
// of what it is counted among. Nothing else of the client's is in it.
func (c *Call) measured() context.Context {
	if c.span == nil || !c.span.SpanContext().IsSampled() {
		return context.Background()
	}
	return trace.ContextWithSpan(context.Background(), c.span)
}

// away notes that the call has been waiting for somebody else since then.
func (c *Call) away(since time.Time) { c.elsewhere += time.Since(since) }

// knownStatus keeps the status attribute bounded: what is not registered counts as
// the first of its class, and what has no class as a failure (RFC 9110, section 15).
func knownStatus(status int) int {
	switch {
	case status == 0: // no answer
		return 0
	case status < 100 || status > 599:
		return http.StatusInternalServerError
	case http.StatusText(status) == "":
		return status / 100 * 100
	}
	return status
}

// statusClass is as 2xx; empty where there was no answer.
func statusClass(status int) string {
	if status == 0 {
		return ""
	}
	return strconv.Itoa(status/100) + "xx"
}

func statusCode(status int) []attribute.KeyValue {
	if status == 0 {
		return nil
	}
	return []attribute.KeyValue{attribute.Int("http.response.status_code", status)}
}

// present makes attributes of names and values, without those that have no value.
func present(pairs ...string) []attribute.KeyValue {
	var all []attribute.KeyValue
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			all = append(all, attribute.String(pairs[i], pairs[i+1]))
		}
	}
	return all
}

func set(attributes []attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attributes...))
}

// cache keeps the first maxMeasuredKinds values that were made. Its zero value is
// ready to use.
type cache[K comparable, V any] struct {
	made sync.Map // K → V
	size atomic.Int64
}

// of returns the value of k, from the cache or made by f.
func (s *cache[K, V]) of(k K, f func(K) V) V {
	if v, ok := s.made.Load(k); ok {
		return v.(V)
	}
	v := f(k)
	if s.size.Add(1) <= maxMeasuredKinds {
		s.made.Store(k, v)
	}
	return v
}

// countConnections observes how many connections are in which state. A state
// that none is in any more is reported as 0, so that no alert stays up.
func countConnections(directory func() *tokenstore.Directory) metric.Int64Callback {
	type kind struct {
		edition policy.Edition
		state   tokenstore.State
	}
	return func(_ context.Context, observer metric.Int64Observer) error {
		counts := make(map[kind]int64)
		for _, edition := range []policy.Edition{policy.Cloud, policy.DataCenter} {
			for _, state := range []tokenstore.State{tokenstore.StateActive, tokenstore.StateExpiring, tokenstore.StateNeedsReauthorisation, tokenstore.StateDisabled} {
				counts[kind{edition, state}] = 0
			}
		}
		for _, c := range directory().Connections() {
			counts[kind{c.Edition, c.State}]++
		}
		for k, n := range counts {
			observer.Observe(n, metric.WithAttributes(
				attribute.String("jiragate.edition", string(k.edition)), attribute.String("jiragate.state", string(k.state))))
		}
		return nil
	}
}

// observe observes how many tunnels are shaking hands and how many are open.
func (ts *tunnels) observe(_ context.Context, observer metric.Int64Observer) error {
	ts.mu.Lock()
	all, handshaking := int64(len(ts.open)), int64(0)
	for _, shaking := range ts.open {
		if shaking {
			handshaking++
		}
	}
	ts.mu.Unlock()
	observer.Observe(handshaking, metric.WithAttributes(attribute.String("jiragate.state", "handshaking")))
	observer.Observe(all-handshaking, metric.WithAttributes(attribute.String("jiragate.state", "open")))
	return nil
}
