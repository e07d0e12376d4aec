package gateway

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"jiragate/gateway/audit"
)

// instrumentation is the name of the tracer and the meter.
const instrumentation = "jiragate/gateway"

// startSpan begins the call's server span, as a child of the client's trace
// if it sent one. The trace context goes no further: Jira is sent none.
func (g *Gateway) startSpan(c *Call) (context.Context, func()) {
	ctx := g.propagator.Extract(c.in.Context(), propagation.HeaderCarrier(c.in.Header))
	ctx, c.span = g.tracer.Start(ctx, c.in.Method, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(c.started))
	c.record.ID, c.record.Time = audit.NewID(), c.started
	c.record.Method = c.in.Method
	c.record.Path = c.asked()
	if c.origin.peer.IsValid() {
		c.record.ClientAddr = c.origin.peer.String()
	}
	c.record.Client = c.client()
	if id := c.span.SpanContext().TraceID(); id.IsValid() {
		c.record.TraceID = id.String()
	}
	return ctx, func() { g.endSpan(c) }
}

// asked is where the client wanted to go, for the record of a call of which no
// connection is known (yet): without query, nor user info, which may be a
// secret in the wrong place.
func (c *Call) asked() string {
	path, _ := splitTarget(c.in.RequestURI)
	if strings.HasPrefix(path, "/") && c.door == doorTunnel {
		path = "https://" + c.in.Host + path
	}
	scheme, rest, ok := strings.Cut(path, "://")
	if !ok || strings.HasPrefix(path, "/") {
		return path
	}
	host, tail := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, tail = rest[:i], rest[i:]
	}
	return scheme + "://" + host[strings.LastIndexByte(host, '@')+1:] + tail
}

// endSpan ends the server span with what came of the call (OpenTelemetry
// semantic conventions for HTTP server spans). Attributes are an allowlist:
// no header, query value or body is among them, and of identifiers what the record
// has.
func (g *Gateway) endSpan(c *Call) {
	defer c.span.End()
	if !c.span.IsRecording() {
		return
	}
	attributes := []attribute.KeyValue{
		attribute.String("http.request.method", knownMethod(c.in.Method)),
		attribute.String("url.scheme", "https"),
		attribute.String("network.protocol.version", protocolVersion(c.in)),
		attribute.String("jiragate.door", string(c.door)),
	}
	if c.completed {
		attributes = append(attributes, attribute.String("jiragate.record", c.record.ID))
	}
	written := g.records.of(c)
	switch {
	case written.ClientAddr == "":
	case written.ClientAddr == c.record.ClientAddr:
		attributes = append(attributes, attribute.String("client.address", c.origin.peer.Addr().String()), attribute.Int("client.port", int(c.origin.peer.Port())))
	default: // a pseudonym
		attributes = append(attributes, attribute.String("client.address", written.ClientAddr))
	}
	if c.refused != nil {
		attributes = append(attributes, attribute.String("error.type", string(c.refused.code)))
	}
	for _, kv := range [...]struct{ key, value string }{
		{"server.address", c.target.authority.host()},
		{"url.path", written.Path},
		{"jiragate.client", c.record.Client},
		{"jiragate.connection", c.record.Connection},
		{"jiragate.edition", c.record.Edition},
		{"jiragate.operation", c.record.Operation},
		{"jiragate.decision", c.record.Decision},
		{"jiragate.code", c.record.Code},
		{"jiragate.policy_sha256", c.record.PolicySHA256},
	} {
		if kv.value != "" {
			attributes = append(attributes, attribute.String(kv.key, kv.value))
		}
	}
	if c.decision.Operation != nil {
		attributes = append(attributes, attribute.String("http.route", c.decision.Operation.Path))
	}
	if c.record.Status != 0 {
		attributes = append(attributes, attribute.Int("http.response.status_code", c.record.Status))
	}
	if c.record.Status >= http.StatusInternalServerError {
		c.span.SetStatus(codes.Error, c.record.Code)
	}
	c.span.SetAttributes(attributes...)
}

// protocolVersion is "1.0", "1.1" or "2", as the conventions write it.
func protocolVersion(r *http.Request) string {
	if r.ProtoMajor >= 2 {
		return strconv.Itoa(r.ProtoMajor)
	}
	return strconv.Itoa(r.ProtoMajor) + "." + strconv.Itoa(r.ProtoMinor)
}

func hostOf(address string) string {
	host, _, _ := net.SplitHostPort(address)
	return host
}

func portOf(address string) int {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 443
	}
	n, _ := strconv.Atoi(port)
	return n
}

// knownMethod keeps the method attribute bounded, as the conventions ask.
func knownMethod(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH":
		return m
	}
	return "_OTHER"
}

// logRefusal logs why a call ended early: refusals for whoever looks closely,
// failures on the way for everybody.
func (g *Gateway) logRefusal(c *Call, r *refusal) {
	attributes := []any{"code", string(r.code), "client", c.client(), "connection", c.record.Connection,
		"operation", c.record.Operation, "record", c.record.ID}
	if r.cause != nil {
		attributes = append(attributes, "error", g.records.text(c, c.secrets.redact(r.cause)))
	}
	if r.code.meaning().status >= http.StatusInternalServerError {
		g.log.WarnContext(c.context(), "call failed", append(attributes, "hint", r.code.hint())...)
		return
	}
	g.log.InfoContext(c.context(), "call refused", attributes...)
}
