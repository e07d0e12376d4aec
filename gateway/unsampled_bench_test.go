package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"jiragate/gateway/audit/privacy"
	"jiragate/gateway/pace"
	"jiragate/gateway/telemetry"
	"jiragate/policy"
	"jiragate/tokenstore"
)

// unsampled is a gateway whose calls are not sampled, with what measures and bounds
// them as it is in the program, and a call of which all is known.
func unsampled(tb testing.TB) (*Gateway, func() *Call) {
	for name, value := range map[string]string{
		"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "prometheus",
		"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0",
	} {
		tb.Setenv(name, value)
	}
	t, err := telemetry.Setup(tb.Context(), telemetry.Options{ServiceName: "jiragate"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = t.Shutdown(context.Background()) })
	g := &Gateway{log: slog.New(slog.DiscardHandler), tracer: t.TracerProvider().Tracer(instrumentation)}
	g.options.MeterProvider = t.MeterProvider()
	g.records = &records{privacy: &privacy.Masker{}, policy: policy.Default}
	if g.pacer, err = pace.New(pace.Options{Concurrency: 32, Wait: time.Second, Queue: 100, Meter: t.MeterProvider().Meter(instrumentation)}); err != nil {
		tb.Fatal(err)
	}
	if g.bounds, err = newBounds(Limits{}, g); err != nil {
		tb.Fatal(err)
	}
	if g.meters, err = newMeters(t.MeterProvider(), g); err != nil {
		tb.Fatal(err)
	}
	of := &origin{peer: netip.MustParseAddrPort("192.0.2.7:50312"), private: true, tunnel: &tunnel{}}
	in := (&http.Request{Method: "GET", Host: "jira.acme.example", RequestURI: "/rest/api/2/priority", Header: http.Header{}, ProtoMajor: 1, ProtoMinor: 1}).WithContext(tb.Context())
	out := &http.Request{Method: "GET", URL: &url.URL{Scheme: "https", Host: "jira.acme.example", Path: "/rest/api/2/priority"}}
	connection := &tokenstore.Connection{ID: "acme", Edition: policy.DataCenter}
	client := &tokenstore.Client{Name: "billing"}
	decision := policy.Default().Decide(policy.Request{Edition: policy.DataCenter, Method: "GET", Path: "/rest/api/2/priority"})
	return g, func() *Call {
		c := &Call{in: in, out: out, door: doorTunnel, origin: of, started: time.Now(), connection: connection, decision: decision}
		c.identity.client = client
		c.record.Operation, c.record.Edition, c.record.Decision, c.record.Status = "priority.list", "datacenter", decisionAllow, 200
		return c
	}
}

// What telemetry, limits and pacing cost a call that is not sampled and waits for nothing:
// all of it, and each by itself. A Call of its own is in all of them.
func BenchmarkUnsampledCall(b *testing.B) {
	g, newCall := unsampled(b)
	answer, header := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, ProtoMajor: 1, ProtoMinor: 1}, http.Header{}
	spans := func(c *Call) func() {
		ctx, end := g.startSpan(c)
		for _, name := range []string{"policy", "credential"} {
			_, span := g.child(ctx, c, name)
			span.End()
		}
		_, span := g.startRequestSpan(ctx, c)
		c.reached(span)
		answered(span, answer)
		span.End()
		c.nameTrace(header)
		return end
	}
	metrics := func(c *Call) {
		g.inFlight(c, 1)
		g.measureJira(c, time.Millisecond, http.StatusOK, "")
		g.measure(c)
		g.inFlight(c, -1)
	}
	limits := func(c *Call) {
		if refused := g.room(c.in.Context(), c); refused != nil {
			b.Fatal(refused.detail)
		}
	}
	paced := func(c *Call) {
		if refused := g.pace(c.in.Context(), c); refused != nil {
			b.Fatal(refused.detail)
		}
		if refused := c.goes(); refused != nil {
			b.Fatal(refused.detail)
		}
		c.sockets = 1
		g.heedLimits(c.span, c, answer)
	}
	for _, bench := range []struct {
		name string
		do   func(*Call)
	}{
		{"nothing", func(*Call) {}},
		{"spans", func(c *Call) { spans(c)() }},
		{"metrics", metrics},
		{"limits", func(c *Call) { limits(c); c.leave() }},
		{"pace", func(c *Call) { paced(c); c.leave() }},
		{"records", func(c *Call) { _, _ = g.records.of(c), g.records.of(c) }},
		{"all", func(c *Call) {
			end := spans(c)
			limits(c)
			paced(c)
			metrics(c)
			c.leave()
			end()
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bench.do(newCall())
			}
		})
	}
}
