package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// password is a value that redacts itself, as the program's secrets do.
type password string

func (password) LogValue() slog.Value          { return slog.StringValue("REDACTED") }
func (password) String() string                { return "REDACTED" }
func (password) MarshalText() ([]byte, error)  { return []byte("REDACTED"), nil }
func (password) Format(f fmt.State, verb rune) { fmt.Fprint(f, "REDACTED") }

func TestSecretsStayOut(t *testing.T) {
	for _, format := range []Format{JSON, Text} {
		var log strings.Builder
		l := NewLogger(&log, slog.LevelDebug, format)
		secret := password("hunter2")
		l.Info("login", "password", secret, slog.Group("credential", slog.Any("token", secret)))
		l.With("password", secret).Debug("login", "credentials", struct{ Password password }{secret})
		if got := log.String(); strings.Contains(got, "hunter2") || strings.Count(got, "REDACTED") != 4 {
			t.Errorf("%s: %s", format, got)
		}
	}
}

func invisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

func TestLogLinesCannotSteerATerminal(t *testing.T) {
	for name, text := range map[string]string{
		"line break":         "a\nlevel=ERROR msg=forged",
		"carriage return":    "a\rb",
		"ANSI escape":        "a\x1b[31mb",
		"C1 control":         "a\u009b31mb",
		"C1 control byte":    "a\x9b31mb",
		"delete":             "a\x7fb",
		"NUL":                "a\x00b",
		"line separator":     "a\u2028b\u2029c",
		"right-to-left":      "a\u202egpj.exe",
		"isolate":            "a\u2066b\u2069",
		"zero width":         "a\u200bb\ufeffc",
		"tag characters":     "a\U000e0041b",
		"replacement itself": "a\ufffdb",
	} {
		for _, format := range []Format{JSON, Text} {
			var log bytes.Buffer
			l := NewLogger(&log, slog.LevelInfo, format)
			l.Info(text, text, text, "error", errors.New(text))
			line, found := bytes.CutSuffix(log.Bytes(), []byte("\n"))
			if !found || !utf8.Valid(line) || bytes.ContainsFunc(line, invisible) {
				t.Errorf("%s, %s: %q", name, format, log.Bytes())
			}
			if format != JSON {
				continue
			}
			var record map[string]any
			if err := json.Unmarshal(line, &record); err != nil {
				t.Errorf("%s: %v in %q", name, err, line)
			} else if want := strings.ToValidUTF8(text, "\ufffd"); record["msg"] != want || record["error"] != want || record[want] != want {
				t.Errorf("%s: %q reads %q", name, line, record)
			}
		}
	}
}

func TestLevelAndFormat(t *testing.T) {
	var log strings.Builder
	NewLogger(&log, slog.LevelWarn, "").Info("quiet")
	if log.Len() != 0 {
		t.Errorf("log %q", &log)
	}
	NewLogger(&log, slog.LevelWarn, "").Warn("loud")
	if !strings.HasPrefix(log.String(), "{") {
		t.Errorf("log %q, want JSON by default", &log)
	}
	for _, name := range []string{"json", "text"} {
		if f, err := ParseFormat(name); err != nil || string(f) != name {
			t.Errorf("ParseFormat(%q) = %q, %v", name, f, err)
		}
	}
	for _, name := range []string{"", "JSON", "logfmt"} {
		if f, err := ParseFormat(name); err == nil {
			t.Errorf("ParseFormat(%q) = %q", name, f)
		}
	}
}

func TestLinesInASpanNameTheirTrace(t *testing.T) {
	telemetry := setup(t, Options{}, nil)
	defer shutdown(t, telemetry)
	ctx, span := telemetry.TracerProvider().Tracer("test").Start(t.Context(), "myself.get")
	defer span.End()
	var log strings.Builder
	l := NewLogger(&log, slog.LevelInfo, JSON)

	l.With("client", "retro").InfoContext(ctx, "in a span")
	for _, part := range []string{`"client":"retro"`, `"trace_id":"` + span.SpanContext().TraceID().String(), `"span_id":"` + span.SpanContext().SpanID().String()} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("log %q does not contain %q", &log, part)
		}
	}
	log.Reset()
	l.WithGroup("egress").InfoContext(ctx, "in a group")
	if !strings.Contains(log.String(), `"egress":{"trace_id":`) {
		t.Errorf("log %q", &log)
	}
	log.Reset()
	l.Info("outside")
	if strings.Contains(log.String(), "trace_id") {
		t.Errorf("log %q", &log)
	}
}

func TestEscapingWriterReportsFailure(t *testing.T) {
	full := errors.New("no space left on device")
	w := &escapingWriter{writerFunc(func([]byte) (int, error) { return 0, full })}
	for _, line := range []string{"plain\n", "\x1b[31m\n"} {
		if n, err := w.Write([]byte(line)); n != 0 || !errors.Is(err, full) {
			t.Errorf("Write(%q) = %d, %v", line, n, err)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// FuzzEscapeControls: what comes out is harmless, is left alone by another pass,
// and in a JSON string means what went in.
func FuzzEscapeControls(f *testing.F) {
	for _, seed := range []string{"", "plain", "\x1b[31m", "\u202e", "\U000e0041", "\x9b", "\ufffd", `\u0041`, "a\\\u202e", "\"\x00\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		escaped := EscapeControls(text)
		if !utf8.Valid(escaped) || bytes.ContainsFunc(escaped, invisible) {
			t.Errorf("%q became %q", text, escaped)
		}
		if again := EscapeControls(escaped); !bytes.Equal(again, escaped) {
			t.Errorf("%q became %q, then %q", text, escaped, again)
		}
		quoted, err := json.Marshal(string(text))
		if err != nil {
			t.Fatal(err)
		}
		var before, after string
		if err := json.Unmarshal(quoted, &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(EscapeControls(quoted), &after); err != nil || before != after {
			t.Errorf("%q reads %q before and %q after, %v", text, before, after, err)
		}
	})
}
