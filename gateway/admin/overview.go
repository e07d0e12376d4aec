package admin

import (
	"net/http"
)

// Overview is the state of the gateway at a glance.
type Overview struct {
	Version     string           `json:"version"` // of the gateway
	Region      string           `json:"region"`
	Connections ConnectionCounts `json:"connections"`
	Clients     int              `json:"clients"`
	Policy      PolicyName       `json:"policy"`
	Egress      EgressCounts     `json:"egress"`
	Checks      []CheckResult    `json:"checks"` // those of /readyz, in its order
}

// ConnectionCounts says how many connections there are. What there is none of is left
// out of the parts.
type ConnectionCounts struct {
	Total     int            `json:"total"`
	ByState   map[string]int `json:"by_state"`
	ByEdition map[string]int `json:"by_edition"`
}

// PolicyName identifies a policy.
type PolicyName struct {
	SHA256  string `json:"sha256"`
	Version string `json:"version"` // of its catalogue
}

// EgressCounts is about the addresses that JIRAGATE_EGRESS names: none means unpinned.
type EgressCounts struct {
	Configured int `json:"configured"`
	Up         int `json:"up"` // of them, those that nothing is known against
}

// CheckResult is the result of one check of /readyz.
type CheckResult struct {
	Name   string `json:"name"`
	Status string `json:"status"`          // "ok" or "failing"
	Error  string `json:"error,omitempty"` // why it fails
}

func (a *API) showOverview(w http.ResponseWriter, r *http.Request) error {
	d, p := a.o.Store.Directory(), a.o.Policy()
	view := Overview{
		Version:     a.o.Version,
		Region:      string(a.o.Region),
		Connections: ConnectionCounts{Total: len(d.Connections()), ByState: map[string]int{}, ByEdition: map[string]int{}},
		Clients:     len(d.Clients()),
		Policy:      PolicyName{p.SHA256(), p.Version()},
		Egress:      EgressCounts{Configured: len(a.o.Egress.Addresses), Up: len(a.o.Egress.Addresses)},
		Checks:      []CheckResult{},
	}
	for _, c := range d.Connections() {
		view.Connections.ByState[string(c.State)]++
		view.Connections.ByEdition[string(c.Edition)]++
	}
	if a.o.Egress.Health != nil {
		view.Egress.Up = 0
		for _, h := range a.o.Egress.Health() {
			if h.Up {
				view.Egress.Up++
			}
		}
	}
	for i, err := range a.check(r.Context()) {
		result := CheckResult{Name: a.o.Checks[i].Name, Status: checkOK}
		if err != nil {
			result.Status, result.Error = checkFailing, err.Error()
		}
		view.Checks = append(view.Checks, result)
	}
	return writeJSON(w, http.StatusOK, view)
}
