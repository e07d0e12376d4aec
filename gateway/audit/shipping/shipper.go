package shipping

import (
	"bytes"
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/trace"

	"jiragate/gateway/audit"
)

// Names of the events.
const (
	EventCall = "jiragate.call" // a call that was allowed or refused
	EventAct  = "jiragate.act"  // an act of administration
)

// Shipper emits log records. It is safe for concurrent use.
type Shipper struct{ logger log.Logger }

// New returns a Shipper that emits to a logger of p.
func New(p log.LoggerProvider) *Shipper {
	return &Shipper{p.Logger("jiragate/gateway/audit")}
}

// Enabled reports whether anybody wants log records.
func (s *Shipper) Enabled() bool {
	return s.logger.Enabled(context.Background(), log.EnabledParameters{Severity: log.SeverityWarn, EventName: EventCall})
}

// Ship emits the copy of r, whose line in the log is line, with or without its
// newline. It keeps neither. Where nobody wants log records, it does nothing. It
// doesn't block as long as Emit of the provider's loggers doesn't.
func (s *Shipper) Ship(r audit.Record, line []byte) {
	event, severity, level := EventCall, log.SeverityInfo, "INFO"
	if r.IsAct() {
		event = EventAct
	}
	if r.Decision != audit.DecisionAllow || r.Code != "" {
		severity, level = log.SeverityWarn, "WARN"
	}
	ctx := context.Background()
	if !s.logger.Enabled(ctx, log.EnabledParameters{Severity: severity, EventName: event}) {
		return
	}
	var out log.Record
	out.SetEventName(event)
	out.SetTimestamp(r.Time)
	out.SetObservedTimestamp(time.Now())
	out.SetSeverity(severity)
	out.SetSeverityText(level)
	out.SetBody(attribute.StringValue(body(line)))
	out.AddAttributes(attributes(&r)...)
	s.logger.Emit(inTrace(ctx, r.TraceID), out)
}

// body is the line. The log writes UTF-8 only; what is not could not be encoded,
// and would take a whole batch with it.
func body(line []byte) string {
	text := string(bytes.TrimSuffix(line, []byte("\n")))
	if utf8.ValidString(text) {
		return text
	}
	return strings.ToValidUTF8(text, string(utf8.RuneError))
}

// inTrace returns ctx in the trace of that id. Its span is not known, and the
// data model asks for none beside a trace id.
func inTrace(ctx context.Context, id string) context.Context {
	traceID, err := trace.TraceIDFromHex(id)
	if err != nil {
		return ctx
	}
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID}))
}
