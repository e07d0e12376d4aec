package gateway

import (
	"context"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// startRequestSpan begins the span of one request to Jira (OpenTelemetry semantic
// conventions 1.43 for HTTP client spans). It ends once the head of the answer, and
// the first piece of its body, have been read. A read that is sent again has a span of
// its own.
func (g *Gateway) startRequestSpan(ctx context.Context, c *Call) (context.Context, trace.Span) {
	ctx, span := g.child(ctx, c, c.out.Method, asClient...)
	if !span.IsRecording() {
		return ctx, span
	}
	span.SetName(spanName(c.out.Method, c.route()))
	span.SetAttributes(
		semconv.HTTPRequestMethodKey.String(c.out.Method),
		semconv.ServerAddress(c.out.URL.Hostname()),
		semconv.ServerPort(portOf(c.out.URL.Host)),
		semconv.URLScheme("https"),
		semconv.URLFull(g.records.url(c)),
		semconv.URLTemplate(c.route()),
	)
	if c.out.ContentLength > 0 {
		span.SetAttributes(semconv.HTTPRequestBodySize(int(c.out.ContentLength)))
	}
	if c.sockets > 0 { // the first request had a socket
		span.SetAttributes(semconv.HTTPRequestResendCount(1))
	}
	return ctx, span
}

// reached says by which socket the request went, if it had one.
func (c *Call) reached(span trace.Span) {
	if !span.IsRecording() || c.record.UpstreamAddr == "" {
		return
	}
	span.SetAttributes(
		semconv.NetworkPeerAddress(hostOf(c.record.UpstreamAddr)),
		semconv.NetworkPeerPort(portOf(c.record.UpstreamAddr)),
		attribute.String("jiragate.egress_ip", c.record.EgressIP),
	)
}

// answered says what Jira answered. To a client span a 4xx is an error, too.
func answered(span trace.Span, r *http.Response) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		semconv.HTTPResponseStatusCode(r.StatusCode),
		semconv.NetworkProtocolVersion(protocolVersion(r.ProtoMajor, r.ProtoMinor)),
	)
	if r.StatusCode >= http.StatusBadRequest {
		failSpan(span, strconv.Itoa(r.StatusCode))
	}
}
