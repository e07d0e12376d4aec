package admin

import (
	"net/http"
	"time"
)

// readinessDetail says how much of a failing check /readyz tells.
type readinessDetail int

const (
	readinessByName readinessDetail = iota // for strangers: not the error
	readinessInFull                        // the error as well
)

// Results of a check.
const (
	checkOK       = "ok"
	checkDegraded = "degraded" // calls are served
	checkFailing  = "failing"
)

// Health is the answer of /healthz.
type Health struct {
	Status  string `json:"status"` // "ok": the process serves
	Version string `json:"version"`
}

// Readiness is the answer of /readyz; 503 if a check is failing, otherwise 200.
type Readiness struct {
	Status       string            `json:"status"` // "ready" or "not_ready"
	Checks       map[string]string `json:"checks"` // by name: "ok", "degraded" or "failing"
	Errors       map[string]string `json:"errors,omitempty"`
	Dependencies []CheckResult     `json:"dependencies"` // the same checks in their order, with reasons
}

// CheckResult is the result of one check of /readyz.
type CheckResult struct {
	Name       string    `json:"name"`
	Status     string    `json:"status"`           // "ok", "degraded" or "failing"
	Reason     string    `json:"reason,omitempty"` // what it means that it fails
	Error      string    `json:"error,omitempty"`  // why it fails; not for strangers
	Hint       string    `json:"hint,omitempty"`   // what to do about it
	Since      time.Time `json:"since"`            // since when it is so, as far as anybody asked
	DurationMS float64   `json:"duration_ms"`      // of the check
}

func (a *API) health(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, Health{Status: "ok", Version: a.o.Version})
}

func (a *API) ready(detail readinessDetail) handlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		answer := Readiness{Status: "ready", Checks: map[string]string{}, Dependencies: a.checkResults(detail)}
		status := http.StatusOK
		for _, r := range answer.Dependencies {
			answer.Checks[r.Name] = r.Status
			if r.Status == checkOK {
				continue
			}
			if r.Status == checkFailing {
				status, answer.Status = http.StatusServiceUnavailable, "not_ready"
			}
			if r.Error != "" {
				if answer.Errors == nil {
					answer.Errors = map[string]string{}
				}
				answer.Errors[r.Name] = r.Error
			}
		}
		return writeJSON(w, status, answer)
	}
}

// checkResults are those of the checks, in their order.
func (a *API) checkResults(detail readinessDetail) []CheckResult {
	results := []CheckResult{}
	for i, o := range a.prober.ask() {
		results = append(results, a.o.Checks[i].result(o, detail))
	}
	return results
}
