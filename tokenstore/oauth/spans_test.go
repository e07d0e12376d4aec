package oauth

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// waitedFor returns once n calls wait for the refresh of acme.
func waitedFor(t *testing.T, m *Manager, n int64) {
	t.Helper()
	for range 2000 {
		m.mu.Lock()
		waited := int64(0)
		for _, r := range m.renewals {
			if r.running != nil {
				waited = r.running.waited.Load()
			}
		}
		m.mu.Unlock()
		if waited == n {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%d calls do not wait", n)
}

// One refresh serves all that wait: it has links to the calls, as many as are bounded,
// and each call has one to it. A call that is not sampled is linked by nobody.
func TestLinksOfASharedRefresh(t *testing.T) {
	const calls = maxLinks + 8
	a, s := newAtlassian(), newStore(t, -time.Second)
	release := make(chan struct{})
	a.fail(func(w http.ResponseWriter, r *http.Request) {
		<-release
		answerJSON(200, map[string]any{"access_token": accessToken(1), "refresh_token": refreshToken(1), "expires_in": 3600})(w, r)
	})
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	tracer := provider.Tracer("test")
	m := newManager(t, s, a, func(o *Options) { o.Tracer = tracer })

	call := func(ctx context.Context, name string) {
		ctx, span := tracer.Start(ctx, name)
		defer span.End()
		if _, err := present(ctx, m, "acme"); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	var running sync.WaitGroup
	running.Go(func() { call(t.Context(), "call") }) // it begins the refresh
	waitedFor(t, m, 1)
	unsampled := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}))
	running.Go(func() { call(unsampled, "unsampled") })
	waitedFor(t, m, 2)
	leaving, leave := context.WithCancel(t.Context())
	running.Go(func() { call(leaving, "impatient") })
	waitedFor(t, m, 3)
	leave()
	for range calls - 3 {
		running.Go(func() { call(t.Context(), "call") })
	}
	waitedFor(t, m, calls)
	close(release)
	running.Wait()
	if err := m.Close(context.Background()); err != nil {
		t.Fatal(err)
	}

	var refresh sdktrace.ReadOnlySpan
	waiting := map[trace.SpanID]sdktrace.ReadOnlySpan{}
	for _, s := range spans.Ended() {
		if s.Name() == "oauth.refresh" {
			refresh = s
		} else {
			waiting[s.SpanContext().SpanID()] = s
		}
	}
	if refresh == nil || len(waiting) != calls-1 {
		t.Fatalf("refresh %v, %d calls in spans", refresh, len(waiting))
	}
	// Of the first maxLinks calls one is not sampled.
	if n := len(refresh.Links()); n != maxLinks-1 || refresh.DroppedLinks() != 0 {
		t.Errorf("the refresh has %d links, and lost %d", n, refresh.DroppedLinks())
	}
	for _, l := range refresh.Links() {
		if _, ok := waiting[l.SpanContext.SpanID()]; !ok {
			t.Errorf("the refresh has a link to %s, which is none of the calls", l.SpanContext.SpanID())
		}
		delete(waiting, l.SpanContext.SpanID())
	}
	for _, s := range spans.Ended() {
		if s.Name() == "oauth.refresh" {
			continue
		}
		want := resultRefreshed
		if s.Name() == "impatient" {
			want = resultNotAwaited
		}
		if l := s.Links(); len(l) != 1 || !l[0].SpanContext.Equal(refresh.SpanContext()) {
			t.Errorf("%s has the links %v", s.Name(), l)
		}
		if e := s.Events(); len(e) != 1 || e[0].Name != "jiragate.refresh.awaited" || e[0].Attributes[0].Value.AsString() != string(want) {
			t.Errorf("%s has the events %v, want the result %s", s.Name(), e, want)
		}
	}
	if waited := refresh.Attributes(); waited[len(waited)-1].Value.AsInt64() != calls {
		t.Errorf("the refresh says %v", waited)
	}
}

// A call that does not wait has neither link nor event: its token is valid, and is
// renewed in the background.
func TestNoLinkOfARefreshThatNobodyWaitsFor(t *testing.T) {
	a, s := newAtlassian(), newStore(t, time.Minute) // about to end
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
	m := newManager(t, s, a, func(o *Options) { o.Tracer = tracer })
	ctx, span := tracer.Start(t.Context(), "call")
	if _, err := present(ctx, m, "acme"); err != nil {
		t.Fatal(err)
	}
	span.End()
	if err := m.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(spans.Ended()) != 2 {
		t.Fatalf("%d spans", len(spans.Ended()))
	}
	for _, s := range spans.Ended() {
		if len(s.Links())+len(s.Events()) != 0 {
			t.Errorf("%s has links %v and events %v", s.Name(), s.Links(), s.Events())
		}
	}
}
