package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	logscollector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricscollector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracecollector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// setup runs Setup in an environment that has no OTEL_ variable but env.
func setup(t *testing.T, o Options, env map[string]string) *Telemetry {
	t.Helper()
	telemetry, err := trySetup(t, o, env)
	if err != nil {
		t.Fatal(err)
	}
	return telemetry
}

func trySetup(t *testing.T, o Options, env map[string]string) (*Telemetry, error) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	for name, value := range env {
		t.Setenv(name, value)
	}
	if o.ServiceName == "" {
		o.ServiceName, o.Version = "jiragate", "1.2.3"
	}
	return Setup(t.Context(), o)
}

// call makes one span and one log record, and counts one request.
func call(t *testing.T, telemetry *Telemetry, ctx context.Context, name string) trace.SpanContext {
	t.Helper()
	counter, err := telemetry.MeterProvider().Meter("test").Int64Counter("calls")
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := telemetry.TracerProvider().Tracer("test").Start(ctx, name)
	counter.Add(ctx, 1)
	emit(ctx, telemetry, name)
	span.End()
	return span.SpanContext()
}

func emit(ctx context.Context, telemetry *Telemetry, event string, attributes ...attribute.KeyValue) {
	var r log.Record
	r.SetEventName(event)
	r.AddAttributes(attributes...)
	telemetry.LoggerProvider().Logger("test").Emit(ctx, r)
}

func shutdown(t *testing.T, telemetry *Telemetry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := telemetry.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// collector is an OTLP/HTTP receiver that notes what it is sent.
type collector struct {
	*httptest.Server
	spans    chan string
	metrics  chan string
	logs     chan string
	services chan string
	// histograms are their forms.
	histograms chan string
}

func newCollector(t *testing.T, l net.Listener) *collector {
	t.Helper()
	c := &collector{spans: make(chan string, 64), metrics: make(chan string, 1024), logs: make(chan string, 64), services: make(chan string, 64), histograms: make(chan string, 64)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) {
		var request tracecollector.ExportTraceServiceRequest
		if !c.read(t, w, r, &request) {
			return
		}
		for _, resource := range request.ResourceSpans {
			c.services <- service(resource.Resource.Attributes)
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					c.spans <- span.Name
				}
			}
		}
	})
	mux.HandleFunc("POST /v1/metrics", func(w http.ResponseWriter, r *http.Request) {
		var request metricscollector.ExportMetricsServiceRequest
		if !c.read(t, w, r, &request) {
			return
		}
		for _, resource := range request.ResourceMetrics {
			for _, scope := range resource.ScopeMetrics {
				for _, metric := range scope.Metrics {
					c.metrics <- metric.Name
					for range metric.GetExponentialHistogram().GetDataPoints() {
						c.histograms <- "exponential"
					}
					for _, p := range metric.GetHistogram().GetDataPoints() {
						c.histograms <- fmt.Sprint("explicit ", p.ExplicitBounds)
					}
				}
			}
		}
	})
	mux.HandleFunc("POST /v1/logs", func(w http.ResponseWriter, r *http.Request) {
		var request logscollector.ExportLogsServiceRequest
		if !c.read(t, w, r, &request) {
			return
		}
		for _, resource := range request.ResourceLogs {
			c.services <- service(resource.Resource.Attributes)
			for _, scope := range resource.ScopeLogs {
				for _, record := range scope.LogRecords {
					c.logs <- record.EventName
				}
			}
		}
	})
	c.Server = httptest.NewUnstartedServer(mux)
	if l != nil {
		c.Listener.Close()
		c.Listener = l
	}
	c.Start()
	t.Cleanup(c.Close)
	return c
}

func (c *collector) read(t *testing.T, w http.ResponseWriter, r *http.Request, message proto.Message) bool {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = proto.Unmarshal(body, message)
	}
	if err != nil {
		t.Errorf("%s: %v", r.URL.Path, err)
		w.WriteHeader(http.StatusBadRequest)
	}
	return err == nil
}

func service(attributes []*commonpb.KeyValue) string {
	for _, a := range attributes {
		if a.Key == "service.name" {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// got returns what has arrived. It need not wait: Shutdown returns after the
// collector's answer.
func got(c <-chan string) []string {
	var all []string
	for {
		select {
		case s := <-c:
			all = append(all, s)
		default:
			return all
		}
	}
}

func TestExportToACollector(t *testing.T) {
	tests := []struct {
		name                 string
		env                  map[string]string // %s is the collector's URL
		spans, metrics, logs string
		wantServiceName      string // of spans and logs
	}{
		{"endpoint", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%s"}, "project.get", "calls", "project.get", "jiragate jiragate"},
		{"endpoint for traces", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "%s/v1/traces"}, "project.get", "", "", "jiragate"},
		{"endpoint for metrics", map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "%s/v1/metrics"}, "", "calls", "", ""},
		{"endpoint for logs", map[string]string{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "%s/v1/logs"}, "", "", "project.get", "jiragate"},
		{"endpoint and exporter", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%s", "OTEL_TRACES_EXPORTER": "otlp"}, "project.get", "calls", "project.get", "jiragate jiragate"},
		{"endpoint, traces off", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%s", "OTEL_TRACES_EXPORTER": "none"}, "", "calls", "project.get", "jiragate"},
		{"endpoint, logs off", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%s", "OTEL_LOGS_EXPORTER": "none"}, "project.get", "calls", "", "jiragate"},
		{"endpoint, metrics by scraping only", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%s", "OTEL_METRICS_EXPORTER": "prometheus"}, "project.get", "", "project.get", "jiragate jiragate"},
		{"endpoint, sampled out", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%s", "OTEL_TRACES_SAMPLER": "always_off", "OTEL_METRICS_EXPORTER": "none"}, "", "", "project.get", "jiragate"},
		{"endpoint, SDK off", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%s", "OTEL_SDK_DISABLED": "true"}, "", "", "", ""},
		{"another service name", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%s", "OTEL_SERVICE_NAME": "jiragate-eu"}, "project.get", "calls", "project.get", "jiragate-eu jiragate-eu"},
		{"resource attributes", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%s", "OTEL_RESOURCE_ATTRIBUTES": "service.name=jiragate-us,region=us"}, "project.get", "calls", "project.get", "jiragate-us jiragate-us"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := newCollector(t, nil)
			env := map[string]string{}
			for name, value := range test.env {
				env[name] = strings.ReplaceAll(value, "%s", c.URL)
			}
			telemetry := setup(t, Options{}, env)
			call(t, telemetry, t.Context(), "project.get")
			shutdown(t, telemetry)
			if spans := strings.Join(got(c.spans), " "); spans != test.spans {
				t.Errorf("spans %q, want %q", spans, test.spans)
			}
			metrics := strings.Join(slices.DeleteFunc(got(c.metrics), func(m string) bool { return m == droppedRecords }), " ")
			if metrics != test.metrics {
				t.Errorf("metrics %q, want %q", metrics, test.metrics)
			}
			if logs := strings.Join(got(c.logs), " "); logs != test.logs {
				t.Errorf("logs %q, want %q", logs, test.logs)
			}
			if services := strings.Join(got(c.services), " "); services != test.wantServiceName {
				t.Errorf("service %q, want %q", services, test.wantServiceName)
			}
		})
	}
}

// defaultEndpoint listens where OTLP/HTTP goes when nobody says otherwise. The
// port is waited for if another run of this test has it.
func defaultEndpoint(t *testing.T) net.Listener {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		l, err := net.Listen("tcp", "localhost:4318")
		if err == nil {
			return l
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			t.Fatalf("listen at OTLP's default endpoint: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestNothingIsExportedByDefault(t *testing.T) {
	c := newCollector(t, defaultEndpoint(t))
	plain := map[string]string{"OTEL_EXPORTER_OTLP_INSECURE": "true"} // the collector speaks no TLS
	telemetry := setup(t, Options{}, plain)
	if span := call(t, telemetry, t.Context(), "project.get"); !span.TraceID().IsValid() || span.IsSampled() {
		t.Errorf("span %+v, want one with a trace id that is not sampled", span)
	}
	shutdown(t, telemetry)
	if spans, metrics, logs := got(c.spans), got(c.metrics), got(c.logs); len(spans)+len(metrics)+len(logs) != 0 {
		t.Errorf("exported %v, %v and %v", spans, metrics, logs)
	}

	// The collector is where it would have gone.
	plain["OTEL_TRACES_EXPORTER"], plain["OTEL_METRICS_EXPORTER"], plain["OTEL_LOGS_EXPORTER"] = "otlp", "otlp", "otlp"
	telemetry = setup(t, Options{}, plain)
	call(t, telemetry, t.Context(), "project.get")
	shutdown(t, telemetry)
	if spans, metrics, logs := got(c.spans), got(c.metrics), got(c.logs); len(spans) == 0 || len(metrics) == 0 || len(logs) == 0 {
		t.Errorf("asked to export, it exported %v, %v and %v", spans, metrics, logs)
	}
}

func TestSpanExporterOption(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	telemetry := setup(t, Options{SpanExporter: exporter}, nil)
	defer shutdown(t, telemetry)
	ctx, server := telemetry.TracerProvider().Tracer("test").Start(t.Context(), "issue.create")
	server.SetAttributes(attribute.String("long", strings.Repeat("x", 2*maxAttributeLength)))
	call(t, telemetry, ctx, "policy")
	server.End()

	spans := exporter.GetSpans() // without a flush: they are exported as they end
	if len(spans) != 2 || spans[0].Name != "policy" || spans[1].Name != "issue.create" {
		t.Fatalf("spans %v", spans)
	}
	if spans[0].Parent.SpanID() != spans[1].SpanContext.SpanID() {
		t.Error("the child does not name its parent")
	}
	if got := len(spans[1].Attributes[0].Value.AsString()); got != maxAttributeLength {
		t.Errorf("attribute of %d characters, want it cut at %d", got, maxAttributeLength)
	}
	set := spans[0].Resource.Set()
	for key, want := range map[attribute.Key]string{"service.name": "jiragate", "service.version": "1.2.3", "telemetry.sdk.language": "go"} {
		if value, _ := set.Value(key); value.AsString() != want {
			t.Errorf("%s is %q, want %q", key, value.AsString(), want)
		}
	}
	for _, a := range set.ToSlice() {
		if strings.HasPrefix(string(a.Key), "process.") {
			t.Errorf("the resource tells %s", a.Key)
		}
	}
}

func TestAttributeLengthFromTheEnvironment(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	telemetry := setup(t, Options{SpanExporter: exporter}, map[string]string{"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "7"})
	defer shutdown(t, telemetry)
	_, span := telemetry.TracerProvider().Tracer("test").Start(t.Context(), "myself.get")
	span.SetAttributes(attribute.String("long", "0123456789"))
	span.End()
	if got := exporter.GetSpans()[0].Attributes[0].Value.AsString(); got != "0123456" {
		t.Errorf("attribute %q", got)
	}
}

func TestSDKDisabled(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	for value, disabled := range map[string]bool{"true": true, "TRUE": true, "1": false, "yes": false, "false": false, "": false} {
		telemetry := setup(t, Options{SpanExporter: exporter}, map[string]string{"OTEL_SDK_DISABLED": value})
		exporter.Reset()
		call(t, telemetry, t.Context(), "myself.get")
		if got := len(exporter.GetSpans()) == 0; got != disabled {
			t.Errorf("OTEL_SDK_DISABLED=%q: disabled %v, want %v", value, got, disabled)
		}
		shutdown(t, telemetry)
		if text := scrape(t, telemetry); !strings.Contains(text, "go_goroutines") {
			t.Errorf("OTEL_SDK_DISABLED=%q: nothing to scrape", value)
		}
	}
}

// The instance is what the gateway is named, or what the environment says.
func TestInstance(t *testing.T) {
	for _, tt := range []struct{ name, instance, attributes, want string }{
		{"named", "zone-a", "", "zone-a"},
		{"named by the environment, too", "zone-a", "service.instance.id=pod-7", "pod-7"},
		{"not named", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", tt.attributes)
			r, err := describe(t.Context(), Options{ServiceName: "jiragate", Instance: tt.instance})
			if err != nil {
				t.Fatal(err)
			}
			got, _ := r.Set().Value("service.instance.id")
			if got.AsString() != tt.want {
				t.Errorf("service.instance.id is %q, want %q", got.AsString(), tt.want)
			}
		})
	}
}

func TestSetupRefuses(t *testing.T) {
	tests := []struct {
		name, variable, value, message string
	}{
		{"unknown trace exporter", "OTEL_TRACES_EXPORTER", "jaeger", `OTEL_TRACES_EXPORTER is "jaeger"`},
		{"unknown metrics exporter", "OTEL_METRICS_EXPORTER", "statsd", `OTEL_METRICS_EXPORTER is "statsd"`},
		{"unknown logs exporter", "OTEL_LOGS_EXPORTER", "syslog", `OTEL_LOGS_EXPORTER is "syslog"`},
		{"resource attributes without value", "OTEL_RESOURCE_ATTRIBUTES", "region", "OTEL_RESOURCE_ATTRIBUTES"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := trySetup(t, Options{}, map[string]string{test.variable: test.value}); err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("error %v, want one with %q", err, test.message)
			}
		})
	}
}

func scrape(t *testing.T, telemetry *Telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	telemetry.PrometheusHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestPrometheusHandler(t *testing.T) {
	telemetry := setup(t, Options{}, nil)
	defer shutdown(t, telemetry)
	for range 3 {
		call(t, telemetry, t.Context(), "myself.get")
	}
	text := scrape(t, telemetry)
	for _, part := range []string{"calls_total{", "} 3\n", "go_goroutines ", "process_start_time_seconds ", `target_info{service_name="jiragate",service_version="1.2.3"`} {
		if !strings.Contains(text, part) {
			t.Errorf("scraped metrics do not contain %q:\n%s", part, text)
		}
	}
	// A second set-up in the process has its own metrics.
	other := setup(t, Options{}, nil)
	defer shutdown(t, other)
	if strings.Contains(scrape(t, other), "calls_total{") {
		t.Error("two set-ups share their metrics")
	}
}

// failingExporter is a collector that is down.
type failingExporter struct{}

func (failingExporter) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	return errors.New("collector is down")
}
func (failingExporter) Shutdown(context.Context) error { return errors.New("collector is down") }

func TestShutdownReportsFailures(t *testing.T) {
	telemetry := setup(t, Options{SpanExporter: failingExporter{}}, nil)
	if err := telemetry.Shutdown(t.Context()); err == nil || !strings.Contains(err.Error(), "collector is down") {
		t.Errorf("error %v", err)
	}
}

// Whichever collector hangs, the others get what is theirs: here it answers only when
// they have it.
func TestNoSignalWaitsForAnother(t *testing.T) {
	signals := []string{"traces", "metrics", "logs"}
	for _, hanging := range signals {
		t.Run(hanging, func(t *testing.T) {
			arrived := map[string]chan struct{}{}
			arrive := map[string]func(){}
			for _, s := range signals {
				arrived[s] = make(chan struct{})
				arrive[s] = sync.OnceFunc(func() { close(arrived[s]) })
			}
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then it is noticed that who sent it has gone
				signal := strings.TrimPrefix(r.URL.Path, "/v1/")
				arrive[signal]()
				if signal != hanging {
					return
				}
				for _, s := range signals {
					select {
					case <-arrived[s]:
					case <-r.Context().Done():
						t.Errorf("no %s arrived", s)
						return
					}
				}
			}))
			t.Cleanup(server.Close)
			telemetry := setup(t, Options{}, map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL,
				// An hour in milliseconds: nothing goes out before Shutdown.
				"OTEL_BSP_SCHEDULE_DELAY": "3600000", "OTEL_BLRP_SCHEDULE_DELAY": "3600000", "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
			})
			call(t, telemetry, t.Context(), "project.get")
			shutdown(t, telemetry)
		})
	}
}

func TestErrorHandler(t *testing.T) {
	var log strings.Builder
	ErrorHandler(NewLogger(&log, slog.LevelInfo, JSON)).Handle(errors.New("collector\nis down"))
	if got := log.String(); !strings.Contains(got, `"level":"WARN"`) || !strings.Contains(got, `collector\nis down`) {
		t.Errorf("log %q", got)
	}
}
