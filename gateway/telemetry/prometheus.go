package telemetry

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// maxScrapes is how many scrapes are served at once; more get a 503.
	maxScrapes = 4
	// scrapeTimeout is how long a scrape may take.
	scrapeTimeout = 10 * time.Second
)

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

// prometheusHandler serves what can be collected even if a part of it fails.
func prometheusHandler(r *prometheus.Registry, l *slog.Logger) http.Handler {
	return promhttp.HandlerFor(bothForms(r), promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(l.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		Registry:            r,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
		EnableOpenMetrics:   true,
	})
}
