package telemetry

import (
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// Which calls are recorded is said by OTEL_TRACES_SAMPLER. Where the collector is to keep
// all that fail, it must be always_on: otherwise a client's own decision counts.
func TestSamplersFromTheEnvironment(t *testing.T) {
	const all, half, none = 200, -1, 0 // half: neither all nor none
	tests := []struct {
		sampler, argument         string
		alone, sampled, unsampled int // of a client without a trace, with one that is sampled, with one that is not
	}{
		{"", "", all, all, none}, // the specification's default: parentbased_always_on
		{"always_on", "", all, all, all},
		{"always_off", "", none, none, none},
		{"traceidratio", "0.5", half, half, half},
		{"traceidratio", "0", none, none, none},
		{"parentbased_always_on", "", all, all, none},
		{"parentbased_always_off", "", none, all, none},
		{"parentbased_traceidratio", "0.5", half, all, none},
		{"parentbased_traceidratio", "1", all, all, none},
	}
	for _, test := range tests {
		t.Run(test.sampler+" "+test.argument, func(t *testing.T) {
			exporter := tracetest.NewInMemoryExporter()
			telemetry := setup(t, Options{SpanExporter: exporter}, map[string]string{"OTEL_TRACES_SAMPLER": test.sampler, "OTEL_TRACES_SAMPLER_ARG": test.argument})
			defer shutdown(t, telemetry)
			tracer := telemetry.TracerProvider().Tracer("test")
			for kind, want := range map[string]int{"alone": test.alone, "sampled": test.sampled, "unsampled": test.unsampled} {
				exporter.Reset()
				for i := range all {
					ctx := t.Context()
					if kind != "alone" {
						// Ids spread evenly over all that there are: what is sampled of them is no
						// matter of luck.
						client := trace.SpanContextConfig{TraceID: trace.TraceID{0: 1, 8: byte(i * 256 / all), 15: 1}, SpanID: trace.SpanID{1}, Remote: true}
						if kind == "sampled" {
							client.TraceFlags = trace.FlagsSampled
						}
						ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(client))
					}
					_, span := tracer.Start(ctx, "HTTP")
					if !span.SpanContext().TraceID().IsValid() {
						t.Fatal("a span without a trace id")
					}
					span.End()
				}
				got := len(exporter.GetSpans())
				if want == half && (got <= all/4 || got >= all*3/4) || want != half && got != want {
					t.Errorf("%s: %d of %d recorded", kind, got, all)
				}
			}
		})
	}
}
