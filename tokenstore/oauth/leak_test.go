package oauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// TestNothingSecretIsWritten lets every kind of refresh happen, with answers
// that reflect what was sent, and searches all that comes out.
func TestNothingSecretIsWritten(t *testing.T) {
	reflect := func(status int, contentType string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			text := strings.Join([]string{clientSecret, accessToken(0), refreshToken(0)}, " ")
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("X-Echo", text)
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error": %q, "error_description": %q, "error_uri": %q}`, text, text, text)
		}
	}
	for _, test := range []struct {
		name   string
		faults []http.HandlerFunc
		result result
	}{
		{"refreshed", nil, resultRefreshed},
		{"dead grant", []http.HandlerFunc{answerJSON(403, map[string]any{"error": "invalid_grant", "error_description": mark})}, resultNeedsReauthorisation},
		{"wrong client", []http.HandlerFunc{answerJSON(401, map[string]any{"error": "invalid_client", "error_description": mark})}, resultClientRejected},
		{"reflecting error", []http.HandlerFunc{reflect(400, "application/json")}, resultAmbiguous},
		{"reflecting page", []http.HandlerFunc{reflect(500, "text/html")}, resultAmbiguous},
		{"reflecting 200", []http.HandlerFunc{reflect(200, "text/plain")}, resultAmbiguous},
		{"reflecting nonsense", []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			fmt.Fprintf(conn, "HTTP/1.1 %s %s\r\n%s\r\n\r\n", mark, mark, mark)
			conn.Close()
		}}, resultAmbiguous},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, s := newAtlassian(), newStore(t, -time.Second)
			a.fail(test.faults...)
			var logged bytes.Buffer
			spans := tracetest.NewSpanRecorder()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
			m := newManager(t, s, a, func(o *Options) {
				o.Logger = slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
				o.Tracer = provider.Tracer("test")
			})
			ctx, parent := provider.Tracer("test").Start(t.Context(), "call")
			token, err := present(ctx, m, "acme")
			parent.End()
			if err := m.Close(context.Background()); err != nil {
				t.Fatal(err)
			}

			var all strings.Builder
			fmt.Fprintf(&all, "%v %+v %#v %s %q", token, token, token, token, token)
			for e := err; e != nil; e = errors.Unwrap(e) {
				fmt.Fprintf(&all, "%v %+v %#v\n", e, e, e)
			}
			fmt.Fprintf(&all, "%v %+v\n", m.clientSecret.Load(), Options{ClientSecret: *m.clientSecret.Load()})
			all.WriteString(logged.String())
			var refresh sdktrace.ReadOnlySpan
			for _, span := range spans.Ended() {
				fmt.Fprintf(&all, "%s %v %v %v\n", span.Name(), span.Attributes(), span.Events(), span.Status())
				if span.Name() == "oauth.refresh" {
					refresh = span
				}
			}
			fmt.Fprintf(&all, "%+v", s.connection(t))
			if i := strings.Index(all.String(), mark); i >= 0 {
				t.Errorf("a secret came out: …%s…", all.String()[max(0, i-200):i+10])
			}

			// It did write something, and the right thing.
			if !strings.Contains(logged.String(), `"connection":"acme"`) || !strings.Contains(logged.String(), string(test.result)) {
				t.Errorf("the log says %s", logged.String())
			}
			if refresh == nil {
				t.Fatal("no span oauth.refresh")
			}
			if refresh.Parent().SpanID() != trace.SpanContextFromContext(ctx).SpanID() {
				t.Error("the span is not a child of the call's")
			}
			attributes := map[string]string{}
			for _, a := range refresh.Attributes() {
				attributes[string(a.Key)] = a.Value.String()
			}
			want := map[string]string{"jiragate.connection": "acme", "jiragate.result": string(test.result), "jiragate.waited": "1"}
			if err != nil {
				want["error.type"] = string(test.result)
			}
			if !maps.Equal(attributes, want) {
				t.Errorf("the span's attributes are %v", attributes)
			}
			if len(refresh.Events()) != 0 {
				t.Errorf("the span has events: %v", refresh.Events())
			}
		})
	}
}
