package egress

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// Each egress address that failed is told on the span of whoever dials, together with
// the one that was tried next; nothing is where the first one will do, or none is
// left to try.
func TestEventsOfFailover(t *testing.T) {
	third := address("203.0.114.7", "10.0.0.7")
	east, west, last := usEast.Public.String(), usWest.Public.String(), third.Public.String()
	tests := []struct {
		name    string
		failing map[string]error // by local address
		want    [][3]string      // failed, next, why
	}{
		{"none", nil, nil},
		{"cannot be bound", map[string]error{"10.0.0.5": failing("bind", syscall.EADDRNOTAVAIL)}, [][3]string{{east, west, "egress_unavailable"}}},
		{"refused, then silence", map[string]error{"10.0.0.5": failing("connect", syscall.ECONNREFUSED), "10.0.0.6": os.ErrDeadlineExceeded},
			[][3]string{{east, west, "connection_refused"}, {west, last, "timeout"}}},
		{"all", map[string]error{"10.0.0.5": errors.New("no route"), "10.0.0.6": errors.New("no route"), "10.0.0.7": errors.New("no route")},
			[][3]string{{east, west, "unreachable"}, {west, last, "unreachable"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &fakeNetwork{onConnect: func(_ context.Context, a attempt) error { return test.failing[a.local] }}
			e := newFake(t, n, Options{Addresses: []Address{usEast, usWest, third}})
			spans := tracetest.NewSpanRecorder()
			ctx, span := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("").Start(t.Context(), "GET")
			_, _ = e.current.Load().dial(ctx, "initech", "tcp", jira, func() ([]Address, error) { return e.Addresses(), nil })
			span.End()
			var got [][3]string
			for _, event := range spans.Ended()[0].Events() {
				set := attribute.NewSet(event.Attributes...)
				value := func(key attribute.Key) string { v, _ := set.Value(key); return v.AsString() }
				if event.Name != eventFailover || set.Len() != 3 {
					t.Errorf("event %+v", event)
				}
				got = append(got, [3]string{value("jiragate.egress_ip"), value("jiragate.egress_next_ip"), value("error.type")})
			}
			if len(got) != len(test.want) {
				t.Fatalf("events %q, want %q", got, test.want)
			}
			for i := range got {
				if got[i] != test.want[i] {
					t.Errorf("event %d: %q, want %q", i, got[i], test.want[i])
				}
			}
		})
	}
}

// The reason is one of a few words, and nothing of an error's own text.
func TestReasonsOfFailover(t *testing.T) {
	for err, want := range map[error]string{
		&AddressError{Host: "secret.example", Addr: netip.MustParseAddr("10.1.2.3")}: "forbidden_address",
		&ProxyError{}:                        "egress_unavailable",
		context.DeadlineExceeded:             "timeout",
		syscall.ETIMEDOUT:                    "timeout",
		errors.New("user:password@proxy"):    "unreachable",
		failing("connect", syscall.ENETDOWN): "unreachable",
	} {
		if got := failure(err); got != want || strings.Contains(err.Error(), got) && got == "unreachable" {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
