package pace_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"jiragate/gateway/pace"
)

// collect returns the values of all metrics, by name and reason; of a histogram
// the sum.
func collect(t *testing.T, r sdkmetric.Reader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := r.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	add := func(name string, attributes attribute.Set, value float64) {
		for _, kv := range attributes.ToSlice() {
			if kv.Key != "jiragate.reason" {
				t.Errorf("%s has the attribute %s", name, kv.Key)
			}
			name += " " + kv.Value.AsString()
		}
		values[name] = value
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, p.Sum)
				}
			default:
				t.Errorf("%s is a %T", m.Name, data)
			}
		}
	}
	return values
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")
		p := newPacer(t, pace.Options{Concurrency: 1, Wait: 2 * time.Second, Queue: 1, AppPoints: 1000, Meter: meter})

		first, _, _ := enter(p, acme)
		p.Heed(acme, pace.Signal{Told: true, AppLeft: 500, AppReset: time.Hour})
		paused := pace.Call{Connection: "paused", App: true}
		p.Heed(paused, pace.Signal{Wait: time.Minute, Reach: pace.ReachConnection})
		p.Heed(pace.Call{Connection: "partly", Endpoint: "o"}, pace.Signal{Wait: time.Minute, Reach: pace.ReachEndpoint})
		wantRefusal(t, p, paused, pace.ReasonAsked, time.Minute)
		go wantRefusal(t, p, acme, pace.ReasonBusy, time.Second)
		synctest.Wait()
		during := collect(t, reader)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		first.Leave()
		time.Sleep(time.Hour)
		after := collect(t, reader)

		for _, want := range []struct {
			name          string
			during, after float64
		}{
			{"jiragate.pace.waiting", 1, 0},
			{"jiragate.pace.running", 1, 0},
			{"jiragate.pace.paused", 2, 0},
			{"jiragate.pace.refusals jira_asked_to_wait", 1, 1},
			{"jiragate.pace.refusals connection_busy", 0, 1},
			{"jiragate.pace.wait.duration", 0, 2},
			{"jiragate.pace.app.used", 6, 0}, // the one that waits has reserved its points
			{"jiragate.pace.app.limit", 503, 1000},
		} {
			if during[want.name] != want.during || after[want.name] != want.after {
				t.Errorf("%s: %v, then %v, want %v and %v", want.name, during[want.name], after[want.name], want.during, want.after)
			}
		}
		if len(after) != 8 {
			var names []string
			for name := range after {
				names = append(names, name)
			}
			t.Errorf("metrics %v", slices.Sorted(slices.Values(names)))
		}
	})
}
