package oauth

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"jiragate/policy"
)

// result says in a word what came of a refresh, in logs, traces and metrics.
type result string

const (
	resultRefreshed            result = "refreshed"
	resultAlreadyFresh         result = "already_fresh"
	resultNeedsReauthorisation result = "needs_reauthorisation"
	resultClientRejected       result = "client_rejected"
	resultNotConfigured        result = "not_configured"
	resultNotStored            result = "not_stored"
	resultUnavailable          result = "unavailable" // and nothing was exchanged
	resultAmbiguous            result = "ambiguous"   // the answer may have got lost
	resultFailed               result = "failed"      // nothing to do with the authorization server

	// resultElsewhere: another gateway is at it, and nobody here waits for it. It is
	// no refresh, and not counted.
	resultElsewhere result = "elsewhere"
)

// report writes the log line of a refresh. Errors of this package hold nothing secret.
func (m *Manager) report(ctx context.Context, connection string, o outcome) {
	attrs := []slog.Attr{slog.String("connection", connection), slog.String("result", string(o.result))}
	var level slog.Level
	switch o.result {
	case resultRefreshed:
		level = slog.LevelInfo
		attrs = append(attrs, slog.Uint64("generation", o.generation), slog.Duration("lifetime", o.lifetime))
	case resultAlreadyFresh, resultElsewhere:
		level = slog.LevelDebug
	case resultUnavailable, resultAmbiguous, resultFailed:
		level = slog.LevelWarn
	default: // a person has to do something
		level = slog.LevelError
	}
	if o.err != nil {
		attrs = append(attrs, slog.String("error", o.err.Error()))
	}
	if level >= slog.LevelWarn {
		attrs = append(attrs, slog.String("hint", o.result.hint()))
	}
	m.log.LogAttrs(ctx, level, "OAuth refresh", attrs...)
}

// hint says what an operator can do.
func (r result) hint() string {
	switch r {
	case resultNeedsReauthorisation:
		return "ask the customer's administrator to consent anew: jiragate connection consent"
	case resultClientRejected:
		return "compare JIRAGATE_OAUTH_CLIENT_ID and _SECRET_FILE with the app at Atlassian, or the connection's own client"
	case resultNotConfigured:
		return "set JIRAGATE_OAUTH_CLIENT_ID and JIRAGATE_OAUTH_CLIENT_SECRET_FILE to those of the app"
	case resultNotStored:
		return "look at the store now, the disk of JIRAGATE_DATA_DIR or etcd's members: the new refresh token may be in memory only"
	case resultUnavailable, resultAmbiguous:
		return "it is tried again; if it goes on, see that the authorization server can be reached from the egress addresses"
	}
	return "look at the error; jiragate store check tells whether the store is at fault"
}

// meters are the metrics of refreshes. Their attributes are bounded: no
// connection is among them.
type meters struct {
	refreshes metric.Int64Counter
	duration  metric.Float64Histogram
}

func newMeters(meter metric.Meter) meters {
	if meter == nil {
		meter = metricnoop.NewMeterProvider().Meter("")
	}
	refreshes, err := meter.Int64Counter("jiragate.oauth.refreshes", metric.WithUnit("{refresh}"),
		metric.WithDescription("Refreshes of OAuth 2.0 tokens, by what came of them."))
	if err != nil {
		otel.Handle(err) // and count nowhere
		refreshes = metricnoop.Int64Counter{}
	}
	duration, err := meter.Float64Histogram("jiragate.oauth.refresh.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of refreshes of OAuth 2.0 tokens, storing included."),
		metric.WithExplicitBucketBoundaries(.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30))
	if err != nil {
		otel.Handle(err)
		duration = metricnoop.Float64Histogram{}
	}
	return meters{refreshes, duration}
}

func (m meters) measure(ctx context.Context, e policy.Edition, r result, took time.Duration) {
	if r == resultElsewhere {
		return
	}
	set := metric.WithAttributeSet(attribute.NewSet(
		attribute.String("jiragate.result", string(r)), attribute.String("jiragate.edition", string(e))))
	m.refreshes.Add(ctx, 1, set)
	m.duration.Record(ctx, took.Seconds(), set)
}
