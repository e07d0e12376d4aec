package telemetry

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/encoding/protodelim"
	"pgregory.net/rapid"
)

// scrapeNative is what a Prometheus sees that takes native histograms.
func scrapeNative(t *testing.T, telemetry *Telemetry) map[string]*dto.MetricFamily {
	t.Helper()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;version=0.0.4;q=0.4")
	w := httptest.NewRecorder()
	telemetry.PrometheusHandler().ServeHTTP(w, r)
	if kind := w.Header().Get("Content-Type"); !strings.HasPrefix(kind, "application/vnd.google.protobuf;") {
		t.Fatalf("content type %q", kind)
	}
	all := map[string]*dto.MetricFamily{}
	for reader := bufio.NewReader(bytes.NewReader(w.Body.Bytes())); ; {
		if _, err := reader.Peek(1); err != nil {
			return all
		}
		var f dto.MetricFamily
		if err := protodelim.UnmarshalFrom(reader, &f); err != nil {
			t.Fatal(err)
		}
		all[f.GetName()] = &f
	}
}

// histogram makes a histogram of seconds.
func histogram(t testing.TB, telemetry *Telemetry, name string) metric.Float64Histogram {
	t.Helper()
	h, err := telemetry.MeterProvider().Meter("test").Float64Histogram(name, metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(1, 2, 3))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Who can take native histograms gets them; for everybody else there are classic
// buckets of the same values.
func TestHistogramsInBothForms(t *testing.T) {
	telemetry := setup(t, Options{}, nil)
	defer shutdown(t, telemetry)
	h := histogram(t, telemetry, "wait")
	for _, seconds := range []float64{0.0001, 0.003, 0.25, 0.26, 3, 600} {
		h.Record(t.Context(), seconds)
	}

	text := scrape(t, telemetry)
	for _, line := range []string{
		`wait_seconds_bucket{LABELS,le="6.103515625e-05"} 0`,
		`wait_seconds_bucket{LABELS,le="0.0001220703125"} 1`,
		`wait_seconds_bucket{LABELS,le="0.25"} 3`, // the bound itself is in it
		`wait_seconds_bucket{LABELS,le="0.5"} 4`,
		`wait_seconds_bucket{LABELS,le="4"} 5`,
		`wait_seconds_bucket{LABELS,le="128"} 5`,
		`wait_seconds_bucket{LABELS,le="+Inf"} 6`,
		`wait_seconds_count{LABELS} 6`,
	} {
		line = strings.ReplaceAll(line, "LABELS", `otel_scope_name="test",otel_scope_schema_url="",otel_scope_version=""`)
		if !strings.Contains(text, line+"\n") {
			t.Errorf("text lacks %s:\n%s", line, text)
		}
	}

	native := scrapeNative(t, telemetry)["wait_seconds"].GetMetric()[0].GetHistogram()
	if native.Schema == nil || native.GetSchema() > histogramScale || len(native.GetPositiveDelta()) == 0 || native.GetSampleCount() != 6 {
		t.Errorf("native histogram %v", native)
	}
}

// Classic buckets are what counting the values themselves would give, whatever the
// durations, from a nanosecond on, and however coarse the native buckets had to become
// for them.
func TestClassicBucketsAreExact(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		telemetry := setup(t, Options{}, nil)
		defer shutdown(t, telemetry)
		values := rapid.SliceOfN(rapid.OneOf(
			rapid.Float64Range(1e-9, 200),
			rapid.Map(rapid.IntRange(-16, 9), func(e int) float64 { return math.Ldexp(1, e) }),
			rapid.Map(rapid.IntRange(-29, 20), func(e int) float64 { return math.Ldexp(1.5, e) }), // far apart
		), 1, 60).Draw(rt, "values")
		h := histogram(t, telemetry, "wait")
		for _, v := range values {
			h.Record(t.Context(), v)
		}
		for _, b := range scrapeNative(t, telemetry)["wait_seconds"].GetMetric()[0].GetHistogram().GetBucket() {
			want := uint64(0)
			for _, v := range values {
				if v <= b.GetUpperBound() {
					want++
				}
			}
			if got := b.GetCumulativeCount(); got != want {
				rt.Errorf("%d values up to %v, want %d", got, b.GetUpperBound(), want)
			}
		}
	})
}

func TestSeriesAreLimited(t *testing.T) {
	telemetry := setup(t, Options{MaxSeries: 10}, nil)
	defer shutdown(t, telemetry)
	counter, err := telemetry.MeterProvider().Meter("test").Int64Counter("calls")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		counter.Add(t.Context(), 1, metric.WithAttributes(attribute.Int("kind", i)))
	}
	series, total := 0, 0
	for line := range strings.Lines(scrape(t, telemetry)) {
		if strings.HasPrefix(line, "calls_total{") {
			var n int
			if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n); err != nil {
				t.Fatal(err)
			}
			series, total = series+1, total+n
		}
	}
	if series != 10 || total != 100 {
		t.Errorf("%d series with %d calls, want 10 with 100", series, total)
	}
}

// What is pushed has the same form, unless the environment asks for the other.
func TestPushedHistograms(t *testing.T) {
	for aggregation, want := range map[string]string{
		"":                                   "exponential",
		"base2_exponential_bucket_histogram": "exponential",
		"explicit_bucket_histogram":          "explicit [1 2 3]",
	} {
		t.Run(aggregation, func(t *testing.T) {
			c := newCollector(t, nil)
			telemetry := setup(t, Options{}, map[string]string{
				"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT":                      c.URL + "/v1/metrics",
				"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": aggregation,
			})
			histogram(t, telemetry, "wait").Record(t.Context(), 1)
			if h := scrapeNative(t, telemetry)["wait_seconds"].GetMetric()[0].GetHistogram(); h.Schema == nil {
				t.Error("Prometheus is given no native histogram")
			}
			shutdown(t, telemetry)
			if got := got(c.histograms); !slices.Contains(got, want) {
				t.Errorf("pushed %q, want %q", got, want)
			}
		})
	}
}
