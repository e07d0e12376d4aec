package admin

import (
	"context"
	"net/http"
	"time"
)

// readyTimeout bounds each check of /readyz.
const readyTimeout = 5 * time.Second

// readinessDetail says how much of a failing check /readyz tells.
type readinessDetail int

// Results of a check.
const (
	checkOK      = "ok"
	checkFailing = "failing"
)

const (
	readinessByName readinessDetail = iota // the name and that it fails
	readinessInFull                        // the error as well
)

// Health is the answer of /healthz.
type Health struct {
	Status  string `json:"status"` // "ok": the process serves
	Version string `json:"version"`
}

// Readiness is the answer of /readyz; 200 if each check passes, otherwise 503.
type Readiness struct {
	Status string            `json:"status"` // "ready" or "not_ready"
	Checks map[string]string `json:"checks"` // by name: "ok" or "failing"
	Errors map[string]string `json:"errors,omitempty"`
}

func (a *API) health(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, Health{Status: "ok", Version: a.o.Version})
}

func (a *API) ready(detail readinessDetail) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		answer := Readiness{Status: "ready", Checks: map[string]string{}}
		status := http.StatusOK
		for i, err := range a.check(r.Context()) {
			name := a.o.Checks[i].Name
			if err == nil {
				answer.Checks[name] = checkOK
				continue
			}
			status, answer.Status = http.StatusServiceUnavailable, "not_ready"
			answer.Checks[name] = checkFailing
			a.o.Logger.WarnContext(r.Context(), "not ready", "check", name, "error", err)
			if detail == readinessInFull {
				if answer.Errors == nil {
					answer.Errors = map[string]string{}
				}
				answer.Errors[name] = err.Error()
			}
		}
		return writeJSON(w, status, answer)
	}
}

// check runs each check, and returns what came of it in their order.
func (a *API) check(ctx context.Context) []error {
	results := make([]error, len(a.o.Checks))
	for i, c := range a.o.Checks {
		results[i] = runCheck(ctx, c)
	}
	return results
}

func runCheck(ctx context.Context, c Check) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return c.Run(ctx)
}
