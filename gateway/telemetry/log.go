package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// Format is how log lines are written.
type Format string

const (
	JSON Format = "json" // one JSON object a line
	Text Format = "text" // KEY=VALUE pairs, for people
)

// ParseFormat returns the format named s. The only names are "json" and "text".
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case JSON, Text:
		return f, nil
	}
	return "", fmt.Errorf("log format %q is unknown: use %q or %q", s, JSON, Text)
}

// NewLogger returns a logger that writes records of at least level to w, one
// line and one Write each. What a terminal or a viewer would obey instead of
// showing (see [EscapeControls]) is escaped. Records logged with a context in a
// span carry trace_id and span_id, inside the logger's open group if there is
// one.
//
// Nothing is filtered: secrets stay out of the log because their type prints
// itself redacted. An empty format is JSON.
func NewLogger(w io.Writer, level slog.Leveler, format Format) *slog.Logger {
	w = &escapingWriter{w}
	o := &slog.HandlerOptions{Level: level}
	if format == Text {
		return slog.New(traceHandler{slog.NewTextHandler(w, o)})
	}
	return slog.New(traceHandler{slog.NewJSONHandler(w, o)})
}

// traceHandler adds the ids of the context's span.
type traceHandler struct{ slog.Handler }

func (h traceHandler) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceHandler{h.Handler.WithAttrs(attrs)}
}

func (h traceHandler) WithGroup(name string) slog.Handler {
	return traceHandler{h.Handler.WithGroup(name)}
}
