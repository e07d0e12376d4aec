package admin

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// MeasureReadiness shows as a metric what the status of /readyz does, for which a check that
// is degraded passes: one alert stands for calls that can't be made. Who scrapes waits for the checks
// as a probe would, and they are run no more often.
func (a *API) MeasureReadiness(meter metric.Meter) error {
	_, err := meter.Int64ObservableGauge("jiragate.ready",
		metric.WithDescription("1 while a check of /readyz lets calls be sent, also degraded; otherwise 0."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			for i, outcome := range a.prober.ask() {
				passes := int64(0)
				if outcome.status() != checkFailing {
					passes = 1
				}
				o.Observe(passes, metric.WithAttributes(attribute.String("jiragate.check", a.o.Checks[i].Name)))
			}
			return nil
		}))
	return err
}
