package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"jiragate/gateway/audit"
	"jiragate/gateway/pace"
	"jiragate/policy"
)

// What is said on spans costs nothing where nobody listens.
func TestNothingIsMadeForSpansThatAreNotRecorded(t *testing.T) {
	g := &Gateway{}
	c := &Call{in: &http.Request{Method: "GET"}, span: noop.Span{}, record: audit.Record{UpstreamAddr: "192.0.2.1:443"}, origin: &origin{}}
	answer, refused := &http.Response{StatusCode: http.StatusBadGateway}, refuse(CodeUpstreamTimeout, "")
	for name, say := range map[string]func(){
		"server":     func() { g.endSpan(c) },
		"reached":    func() { c.reached(c.span) },
		"answered":   func() { answered(c.span, answer) },
		"failed":     func() { failSpan(c.span, "upstream_timeout") },
		"denied":     func() { denied(c.span, policy.Code("x")) },
		"credential": func() { endCredentialSpan(c.span, c, refused) },
		"renewed":    func() { c.renewed(true) },
		"repeated":   func() { c.repeats() },
		"asked":      func() { askedToWait(c.span, pace.Signal{Wait: time.Second, Reach: pace.ReachApp}) },
		"waited":     func() { c.paceWaited(time.Second) },
	} {
		if n := testing.AllocsPerRun(100, say); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Of 100 calls 99 are not sampled. What they are measured and bounded by leaves no
// garbage, but for their ids and their turn.
func TestWhatAnUnsampledCallAllocates(t *testing.T) {
	g, newCall := unsampled(t)
	c, answer := newCall(), &http.Response{StatusCode: http.StatusOK, Header: http.Header{}}
	_, end := g.startSpan(c)
	defer end()
	for name, test := range map[string]struct {
		do   func()
		most float64
	}{
		// A context, a span and the text of both ids; where the call went; and the id of its
		// record, which is two.
		"the server span": {func() { g.beginSpan(c) }, 6},
		"a client span":   {func() { _, span := g.startRequestSpan(c.in.Context(), c); span.End() }, 0},
		"its answer":      {func() { c.nameTrace(http.Header{traceparentField: nil}) }, 0},
		"metrics": {func() {
			g.inFlight(c, 1)
			g.measureJira(c, time.Millisecond, http.StatusOK, "")
			g.measure(c)
			g.inFlight(c, -1)
		}, 0},
		"limits": {func() { g.room(c.in.Context(), c); c.leave() }, 0},
		"pace": {func() { // the pass
			g.pace(c.in.Context(), c)
			c.goes()
			g.heedLimits(c.span, c, answer)
			c.leave()
		}, 1},
		"its record": {func() { g.records.of(c) }, 0},
	} {
		if n := testing.AllocsPerRun(100, test.do); n > test.most {
			t.Errorf("%s: %v allocations, want %v at most", name, n, test.most)
		}
	}
}

// Below a span that is recorded every span is begun; below one that is not, none is, but
// what asks the context finds the call's own, so that nothing begins a trace of its own.
func TestChildSpans(t *testing.T) {
	for name, sampler := range map[string]sdktrace.Sampler{
		"always_on": sdktrace.AlwaysSample(), "always_off": sdktrace.NeverSample(),
		"traceidratio": sdktrace.TraceIDRatioBased(.5), "parentbased_traceidratio": sdktrace.ParentBased(sdktrace.TraceIDRatioBased(.5)),
	} {
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler)).Tracer(name)
		g := &Gateway{tracer: tracer}
		for range 100 {
			c := &Call{in: httptest.NewRequest("GET", "/", nil), origin: &origin{}}
			ctx := g.beginSpan(c)
			_, would := tracer.Start(ctx, "child")
			below, span := g.child(ctx, c, "child")
			if would.IsRecording() != span.IsRecording() {
				t.Fatalf("%s: a child is recorded: %v; it would be by the sampler: %v", name, span.IsRecording(), would.IsRecording())
			}
			if own := span.SpanContext().Equal(c.span.SpanContext()); own == span.IsRecording() {
				t.Fatalf("%s: recorded %v, and the call's own span %v", name, span.IsRecording(), own)
			}
			if got := trace.SpanContextFromContext(below); !got.Equal(span.SpanContext()) || got.TraceID().String() != c.record.TraceID {
				t.Fatalf("%s: below it is %v", name, got)
			}
		}
	}
}

func TestOriginAddress(t *testing.T) {
	o := &origin{peer: netip.MustParseAddrPort("[2001:db8::1]:443")}
	for range 2 {
		if got := o.address(); got != "[2001:db8::1]:443" {
			t.Error(got)
		}
	}
	if got := new(origin).address(); got != "" {
		t.Errorf("of no address: %q", got)
	}
}
