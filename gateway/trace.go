package gateway

import (
	"context"
	"encoding/hex"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"jiragate/gateway/audit"
)

// instrumentation is the name of the tracer and the meter.
const instrumentation = "jiragate/gateway"

// What spans begin with, made once.
var (
	asServer = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	asClient = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}
)

// startSpan begins a call: with its server span, and with what its record has from the
// start. It is short so that it is inlined, and what it returns costs nothing.
func (g *Gateway) startSpan(c *Call) (context.Context, func()) {
	return g.beginSpan(c), func() { g.endSpan(c) }
}

// beginSpan begins the call's server span, as a child of the client's trace
// if it sent one. The trace context goes no further: Jira is sent none. The span begins
// now, which is when the call did.
func (g *Gateway) beginSpan(c *Call) context.Context {
	ctx := c.in.Context()
	if len(c.in.Header[traceparentField]) > 0 {
		ctx = g.propagator.Extract(ctx, propagation.HeaderCarrier(c.in.Header))
	}
	ctx, c.span = g.tracer.Start(ctx, "HTTP", asServer...)
	c.record.ID, c.record.Time = audit.NewID(), c.started
	c.record.Method = c.in.Method
	c.record.Path = c.asked()
	c.record.ClientAddr = c.origin.address()
	c.record.Client = c.client()
	if sc := c.span.SpanContext(); sc.IsValid() {
		text := traceparent(sc)
		c.record.TraceID = text[3:35]
		if !sc.IsRemote() { // where tracing is switched off, there is only the client's own
			c.named[0] = text
		}
	}
	return ctx
}

// child begins a span below the call's own. Where that is not recorded, there is none, but
// the call's own in its place: whatever OTEL_TRACES_SAMPLER may be decides by the trace
// id or by the parent, so a child is recorded where its parent is.
func (g *Gateway) child(ctx context.Context, c *Call, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if !c.span.IsRecording() {
		return ctx, c.span
	}
	return g.tracer.Start(ctx, name, options...)
}

// asked is where the client wanted to go, for the record of a call of which no
// connection is known (yet): without query, nor user info, which may be a
// secret in the wrong place.
func (c *Call) asked() string {
	path, _ := splitTarget(c.in.RequestURI)
	if strings.HasPrefix(path, "/") && c.door == doorTunnel {
		if !strings.ContainsAny(c.in.Host, "@/") {
			return "https://" + c.in.Host + path
		}
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

// endSpan ends the server span with what came of the call. All is set here and not
// at its start, since most of it is known only now; the samplers of OTEL_* look
// at none of it.
func (g *Gateway) endSpan(c *Call) {
	defer c.span.End()
	if !c.span.IsRecording() {
		return
	}
	c.span.SetName(spanName(c.in.Method, c.route()))
	c.span.SetAttributes(g.attributes(c)...)
	if failure := c.failure(); failure != "" {
		failSpan(c.span, failure)
	}
}

// attributes are those of the server span (OpenTelemetry semantic conventions
// 1.43 for HTTP server spans), an allowlist: no header field, query value or body
// is among them, and of identifiers what the record has. So there is no url.query, and
// no user_agent.original: it is text of the client's own, which may name a person
// or hold a token.
func (g *Gateway) attributes(c *Call) []attribute.KeyValue {
	written := g.records.of(c)
	list := make([]attribute.KeyValue, 0, 32)
	list = append(list,
		semconv.URLScheme(c.scheme()),
		semconv.NetworkProtocolVersion(protocolVersion(c.in.ProtoMajor, c.in.ProtoMinor)),
		attribute.String("jiragate.door", string(c.door)),
	)
	list = appendMethod(list, c.in.Method)
	list = appendServer(list, c)
	switch {
	case written.ClientAddr == "":
	case written.ClientAddr == c.record.ClientAddr: // nobody is in between: the client is the peer
		address, port := c.origin.peer.Addr().String(), int(c.origin.peer.Port())
		list = append(list, semconv.ClientAddress(address), semconv.ClientPort(port),
			semconv.NetworkPeerAddress(address), semconv.NetworkPeerPort(port))
	default: // a pseudonym
		list = append(list, semconv.ClientAddress(written.ClientAddr))
	}
	if path := pathOf(written.Path); path != "" {
		list = append(list, semconv.URLPath(path))
	}
	if route := c.route(); route != "" {
		list = append(list, semconv.HTTPRoute(route))
	}
	if c.record.BytesIn != 0 {
		list = append(list, semconv.HTTPRequestBodySize(int(c.record.BytesIn)))
	}
	if c.record.Status != 0 {
		list = append(list, semconv.HTTPResponseStatusCode(c.record.Status), semconv.HTTPResponseBodySize(int(c.record.BytesOut)))
	}
	if c.completed && (c.refused == nil || !c.refused.unrecorded) {
		list = append(list, attribute.String("jiragate.record", c.record.ID))
	}
	for _, kv := range [...]struct{ key, value string }{
		{"jiragate.client", c.record.Client},
		{"jiragate.connection", c.record.Connection},
		{"jiragate.edition", c.record.Edition},
		{"jiragate.region", c.record.Region},
		{"jiragate.operation", c.record.Operation},
		{"jiragate.decision", c.record.Decision},
		{"jiragate.code", c.record.Code},
		{"jiragate.policy_sha256", c.record.PolicySHA256},
	} {
		if kv.value != "" {
			list = append(list, attribute.String(kv.key, kv.value))
		}
	}
	return list
}

// appendServer adds where the client wanted to go: never by the Host field of a
// request to the gateway itself, which may hold anything.
func appendServer(list []attribute.KeyValue, c *Call) []attribute.KeyValue {
	if c.target.authority != "" {
		return append(list, semconv.ServerAddress(c.target.authority.host()), semconv.ServerPort(portOf(string(c.target.authority))))
	}
	local, ok := c.in.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if at := addrPort(local); ok && c.door == doorBase && at.IsValid() {
		return append(list, semconv.ServerAddress(at.Addr().String()), semconv.ServerPort(int(at.Port())))
	}
	return list
}

// failure is the error.type of a call that failed, "" for any other. One that was
// refused has not failed: of an answer below 500 the client is at fault, and
// jiragate.code says why.
func (c *Call) failure() string {
	switch {
	case c.cut != "":
		return string(c.cut)
	case c.refused != nil && (c.record.Status == 0 || c.record.Status >= http.StatusInternalServerError):
		return string(c.refused.code)
	case c.record.Status >= http.StatusInternalServerError:
		return strconv.Itoa(knownStatus(c.record.Status))
	}
	return ""
}

// failSpan marks a span as failed. Where the status of an answer says all, there is
// no description.
func failSpan(span trace.Span, errorType string) {
	if !span.IsRecording() {
		return
	}
	description := errorType
	if _, err := strconv.Atoi(errorType); err == nil {
		description = ""
	}
	span.SetStatus(codes.Error, description)
	span.SetAttributes(semconv.ErrorTypeKey.String(errorType))
}

// route is the path template of the call's operation, below the base of its
// connection; "" where it has none.
func (c *Call) route() string {
	if c.decision.Operation == nil {
		return ""
	}
	return c.decision.Operation.Path
}

// scheme is that of the client's own request.
func (c *Call) scheme() string {
	secure := c.origin.listener != nil
	switch c.door {
	case doorTunnel:
		secure = true
	case doorAbsolute:
		scheme, _, _ := strings.Cut(c.in.RequestURI, "://")
		secure = strings.EqualFold(scheme, "https")
	}
	if secure {
		return "https"
	}
	return "http"
}

// pathOf is the path of what a record holds of a request's target; CONNECT has none.
func pathOf(recorded string) string {
	if _, rest, ok := strings.Cut(recorded, "://"); ok && !strings.HasPrefix(recorded, "/") {
		recorded = rest[max(0, strings.IndexByte(rest, '/')):]
	}
	if !strings.HasPrefix(recorded, "/") {
		return ""
	}
	return recorded
}

// spanName is "{method} {target}", as the conventions ask.
func spanName(method, target string) string {
	if method = knownMethod(method); method == otherMethod {
		method = "HTTP"
	}
	if target == "" {
		return method
	}
	return method + " " + target
}

// traceparentField tells the client by which trace and span to find the call (W3C
// Trace Context). It is the gateway's own, whatever Jira sends.
const traceparentField = "Traceparent"

// nameTrace puts the call's trace on its answer.
func (c *Call) nameTrace(h http.Header) {
	if c.named[0] != "" {
		h[traceparentField] = c.named[:]
	}
}

// traceparent is version 00: version, trace id, parent id, flags.
func traceparent(sc trace.SpanContext) string {
	var b [55]byte
	traceID, spanID := sc.TraceID(), sc.SpanID()
	copy(b[:], "00-")
	hex.Encode(b[3:35], traceID[:])
	b[35] = '-'
	hex.Encode(b[36:52], spanID[:])
	copy(b[52:], "-00")
	if sc.IsSampled() {
		b[54] = '1'
	}
	return string(b[:])
}

// protocolVersion is "1.0", "1.1" or "2", as the conventions write it.
func protocolVersion(major, minor int) string {
	if major >= 2 {
		return strconv.Itoa(major)
	}
	return strconv.Itoa(major) + "." + strconv.Itoa(minor)
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

// otherMethod stands for all methods that the conventions don't know.
const otherMethod = "_OTHER"

// knownMethods are those that the conventions know.
var knownMethods = [...]string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}

// knownMethod keeps the method attribute bounded, as the conventions ask.
func knownMethod(m string) string {
	if slices.Contains(knownMethods[:], m) {
		return m
	}
	return otherMethod
}

// appendMethod adds the method, and the original where it is none that is known.
func appendMethod(list []attribute.KeyValue, method string) []attribute.KeyValue {
	known := knownMethod(method)
	list = append(list, semconv.HTTPRequestMethodKey.String(known))
	if known != method {
		list = append(list, semconv.HTTPRequestMethodOriginal(method))
	}
	return list
}

// logRefusal logs why a call ended early: refusals for whoever looks closely,
// failures on the way for everybody.
func (g *Gateway) logRefusal(c *Call, r *refusal) {
	if r.unrecorded {
		return
	}
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
