package egress

import (
	"context"
	"errors"
	"net"
	"syscall"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// eventFailover is on the span for which a connection is made: an egress address has
// failed, and the next is tried. In one dial there are maxRoutes-1 at most.
const eventFailover = "jiragate.egress.failover"

// failover adds the event to the span in ctx, if there is one. The addresses are
// the published ones.
func failover(ctx context.Context, failed, next Address, why error) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.AddEvent(eventFailover, trace.WithAttributes(
		attribute.String("jiragate.egress_ip", failed.Public.String()),
		attribute.String("jiragate.egress_next_ip", next.Public.String()),
		semconv.ErrorTypeKey.String(failure(why)),
	))
}

// failure is one of a few words for why an attempt failed. The error's own text may name
// more than a trace should.
func failure(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, ErrForbiddenAddress):
		return "forbidden_address"
	case errors.Is(err, ErrUnavailable):
		return "egress_unavailable"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	}
	return "unreachable"
}
