package gateway

import (
	"maps"
	"net/http"
	"strconv"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"jiragate/tokenstore"
)

func TestKnownStatus(t *testing.T) {
	for status, want := range map[int]int{0: 0, 200: 200, 404: 404, 299: 200, 499: 400, 599: 500, 600: 500, 999: 500, 42: 500} {
		if got := knownStatus(status); got != want {
			t.Errorf("knownStatus(%d) = %d, want %d", status, got, want)
		}
	}
	kinds, classes := map[int]bool{}, map[string]bool{}
	for status := range 1000 {
		kinds[knownStatus(status)] = true
		classes[statusClass(knownStatus(status))] = true
	}
	if len(kinds) > 70 || len(classes) != 6 {
		t.Errorf("%d statuses in %d classes", len(kinds), len(classes))
	}
}

// What is counted may be of any number of kinds; what is kept for that is not.
func TestCacheIsBounded(t *testing.T) {
	var c cache[int, string]
	made := 0
	for range 2 {
		for i := range 2 * maxMeasuredKinds {
			if got := c.of(i, func(i int) string { made++; return strconv.Itoa(i) }); got != strconv.Itoa(i) {
				t.Fatalf("%d: %s", i, got)
			}
		}
	}
	if want := 3 * maxMeasuredKinds; made != want { // the first half once, the rest each time
		t.Errorf("made %d values, want %d", made, want)
	}
	kept := 0
	c.made.Range(func(any, any) bool { kept++; return true })
	if kept != maxMeasuredKinds {
		t.Errorf("%d values are kept, want %d", kept, maxMeasuredKinds)
	}
}

// Calls in flight are counted by method while they are, and a method that was seen stays.
func TestActiveByMethod(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	g := &Gateway{tunnels: &tunnels{}}
	g.options.Directory = func() *tokenstore.Directory { return &tokenstore.Directory{} }
	var err error
	if g.meters, err = newMeters(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), g); err != nil {
		t.Fatal(err)
	}
	count := func(n int64, methods ...string) {
		for _, m := range methods {
			g.inFlight(&Call{in: &http.Request{Method: m}}, n)
		}
	}
	for _, step := range []struct {
		do   func()
		want map[string]int64
	}{
		{func() {}, map[string]int64{}},
		{func() { count(1, "GET", "GET", "QUERY", "FROB", "BREW") }, map[string]int64{"GET": 2, "QUERY": 1, otherMethod: 2}},
		{func() { count(-1, "GET", "QUERY", "BREW") }, map[string]int64{"GET": 1, "QUERY": 0, otherMethod: 1}},
	} {
		step.do()
		var all metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{}
		for _, m := range all.ScopeMetrics {
			for _, m := range m.Metrics {
				if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "http.server.active_requests" && !sum.IsMonotonic {
					for _, p := range sum.DataPoints {
						method, _ := p.Attributes.Value("http.request.method")
						got[method.AsString()] = p.Value
					}
				}
			}
		}
		if !maps.Equal(got, step.want) {
			t.Errorf("in flight: %v, want %v", got, step.want)
		}
	}
}
