package oauth

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

const (
	// spanRefresh is a refresh. It is a child of the call that began it, and has a
	// link to each that waited for it.
	spanRefresh = "oauth.refresh"
	// eventAwaited is on the span of a call that waited, which has a link to the
	// refresh.
	eventAwaited = "jiragate.refresh.awaited"

	// maxLinks bounds the links of a refresh: thousands of calls may wait for one,
	// and jiragate.waited counts them. OpenTelemetry's SDK would keep the last 128.
	maxLinks = 32

	// resultNotAwaited: the call that waited has left before the refresh ended.
	resultNotAwaited result = "not_awaited"
)

// startSpan begins the span of a refresh, before anyone can wait for it.
func (f *flight) startSpan(ctx context.Context, t trace.Tracer, h holder) context.Context {
	ctx, f.span = t.Start(ctx, spanRefresh)
	if f.span.IsRecording() {
		f.span.SetAttributes(attribute.String("jiragate.connection", h.connection))
	}
	return ctx
}

// wait waits until the refresh has ended, or ctx has.
func (f *flight) wait(ctx context.Context) error {
	span := trace.SpanFromContext(ctx)
	f.link(span)
	select {
	case <-f.done:
		awaited(span, f.result)
		return nil
	case <-ctx.Done():
		awaited(span, resultNotAwaited)
		return fmt.Errorf("waiting for a refresh: %w", ctx.Err())
	}
}

// link connects the span of a call that begins to wait with that of the refresh, in
// both directions, as far as the other one is exported.
func (f *flight) link(waiting trace.Span) {
	n := f.waited.Add(1)
	if n <= maxLinks && f.span.IsRecording() && waiting.SpanContext().IsSampled() {
		f.span.AddLink(trace.Link{SpanContext: waiting.SpanContext()})
	}
	if waiting.IsRecording() && f.span.SpanContext().IsSampled() {
		waiting.AddLink(trace.Link{SpanContext: f.span.SpanContext()})
	}
}

func awaited(span trace.Span, r result) {
	if span.IsRecording() {
		span.AddEvent(eventAwaited, trace.WithAttributes(attribute.String("jiragate.result", string(r))))
	}
}

// endSpan ends the span of a refresh with what came of it. The texts of errors are
// for the log.
func (f *flight) endSpan(o outcome) {
	defer f.span.End()
	if !f.span.IsRecording() {
		return
	}
	f.span.SetAttributes(
		attribute.String("jiragate.result", string(o.result)),
		attribute.Int64("jiragate.waited", f.waited.Load()),
	)
	if o.err != nil && o.result != resultElsewhere {
		f.span.SetStatus(codes.Error, string(o.result))
		f.span.SetAttributes(semconv.ErrorTypeKey.String(string(o.result)))
	}
}
