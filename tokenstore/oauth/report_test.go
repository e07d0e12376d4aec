package oauth

import (
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// TestRefreshesAreCounted by result and edition, and nothing else.
func TestRefreshesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		a, s := newAtlassian(), newStore(t, -time.Second)
		a.fail(answer(503, "text/html", ""))
		m := managerOn(t, s, "https://auth.example", inMemory{a}, func(o *Options) {
			o.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")
		})
		wantError(t, m, ErrUnavailable)
		time.Sleep(2 * time.Second)
		wantToken(t, m, accessToken(1))

		var all metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{}
		for _, scope := range all.ScopeMetrics {
			for _, metric := range scope.Metrics {
				switch data := metric.Data.(type) {
				case metricdata.Sum[int64]:
					for _, p := range data.DataPoints {
						result, _ := p.Attributes.Value("jiragate.result")
						edition, _ := p.Attributes.Value("jiragate.edition")
						got[metric.Name+" "+result.AsString()+" "+edition.AsString()] += p.Value
						if p.Attributes.Len() != 2 {
							t.Errorf("attributes %v", p.Attributes)
						}
					}
				case metricdata.Histogram[float64]:
					for _, p := range data.DataPoints {
						got[metric.Name] += int64(p.Count)
					}
				}
			}
		}
		want := map[string]int64{
			"jiragate.oauth.refreshes ambiguous cloud": 1, "jiragate.oauth.refreshes refreshed cloud": 1, "jiragate.oauth.refresh.duration": 2,
		}
		if len(got) != len(want) {
			t.Errorf("counted %v", got)
		}
		for name, n := range want {
			if got[name] != n {
				t.Errorf("%s = %d, want %d", name, got[name], n)
			}
		}
	})
}
