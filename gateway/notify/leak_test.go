package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// failing is a way that fails with an error full of secrets, as those of net/http
// may be.
type failing struct{}

func (failing) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("post %s: malformed answer %q", r.URL, mark)
}

// TestNothingSecretIsWritten lets every kind of attempt happen, with answers that
// are full of what must not come out, and searches the log and the metrics.
func TestNothingSecretIsWritten(t *testing.T) {
	echo := func(code int) func(http.ResponseWriter, *http.Request, attempt) {
		return func(w http.ResponseWriter, r *http.Request, _ attempt) {
			for _, name := range []string{"Location", "Retry-After", "X-Echo", "Content-Type"} {
				w.Header().Set(name, mark)
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, strings.Repeat(mark+r.Header.Get("webhook-signature"), 100))
		}
	}
	for _, test := range []struct {
		name    string
		answer  func(http.ResponseWriter, *http.Request, attempt)
		way     http.RoundTripper
		verdict verdict
		says    string
	}{
		{"delivered", echo(200), nil, delivered, `"level":"INFO","msg":"webhook delivered","connection":"acme","state":"active","id":"msg_`},
		{"refused", echo(400), nil, refused, `"level":"WARN"`},
		{"broken", echo(500), nil, refused, `"status":500`},
		{"redirect", echo(302), nil, failed, `it redirects`},
		{"gone", echo(410), nil, failed, `"level":"ERROR"`},
		{"overloaded", echo(503), nil, failed, `"status":503`},
		{"hangs", hang, nil, failed, `no answer in time`},
		{"broke off", nil, failing{}, failed, `broke off`},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logged bytes.Buffer
				reader := sdkmetric.NewManualReader()
				meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
				p := newReceiver(t)
				p.set(test.answer)
				n := newNotifier(t, newMemory("acme"), p, func(o *Options) {
					o.Logger = slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
					o.Meter = meters.Meter("test")
					if test.way != nil {
						o.Transport = test.way
					}
				})
				stop := start(t, n)
				time.Sleep(attemptTimeout + moment)
				stop()

				var metrics metricdata.ResourceMetrics
				if err := reader.Collect(context.Background(), &metrics); err != nil {
					t.Fatal(err)
				}
				all := logged.String() + fmt.Sprintf("%+v %+v %#v", metrics, n, n)
				// The URL is no secret by kind: whoever prints a Notifier prints it. Nobody does.
				all = strings.ReplaceAll(all, endpointURL, "")
				for _, secret := range []string{mark, p.secret.Reveal(), strings.TrimPrefix(p.secret.Reveal(), "whsec_"), "v1,"} {
					if i := strings.Index(all, secret); i >= 0 {
						t.Errorf("a secret came out: …%s…", all[max(0, i-200):i+10])
					}
				}
				if strings.Contains(logged.String(), "product.example") {
					t.Error("the log has the URL in it")
				}
				if !strings.Contains(logged.String(), test.says) {
					t.Errorf("the log says %s", logged.String())
				}
				if counted(metrics, test.verdict) == 0 {
					t.Errorf("no attempt is counted as %s: %+v", test.verdict, metrics)
				}
			})
		})
	}
}

// counted returns how many attempts had that verdict.
func counted(all metricdata.ResourceMetrics, v verdict) (sum int64) {
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if data, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "jiragate.webhook.deliveries" {
				for _, point := range data.DataPoints {
					if got, _ := point.Attributes.Value(attribute.Key("jiragate.result")); got.AsString() == string(v) {
						sum += point.Value
					}
				}
			}
		}
	}
	return sum
}

// TestAilingStoreIsSaidOnce: not once a second.
func TestAilingStoreIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		s, p := newMemory("acme"), newReceiver(t)
		p.set(func(http.ResponseWriter, *http.Request, attempt) { s.failWith(errors.New("the disk is full")) })
		stop := start(t, newNotifier(t, s, p, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&logged, nil)) }))
		time.Sleep(time.Hour)
		stop()
		if n := strings.Count(logged.String(), "the disk is full"); n != 1 {
			t.Errorf("it is said %d times: %s", n, logged.String())
		}
	})
}
