package admin

import (
	"net/http"
	"os"
	"time"
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

	PID      int         `json:"pid"`               // of the process that answers
	Started  *time.Time  `json:"started,omitempty"` // since when the gateway serves
	Load     *Load       `json:"load,omitempty"`    // of a gateway that serves
	Upgrade  *Upgrade    `json:"upgrade,omitempty"` // the last one, by which this process serves or has failed to hand over
	Reload   *LastReload `json:"reload,omitempty"`  // if there was one
	Warnings []Warning   `json:"warnings"`          // what holds now and may not be meant
}

// Load is what the gateway has to do at the moment.
type Load struct {
	Calls   int `json:"calls"`   // under way
	Tunnels int `json:"tunnels"` // open
}

// Warning is something that an operator may not mean. Calls go on all the same.
type Warning struct {
	Code    string `json:"code"` // stable, e.g. "egress_unpinned"
	Message string `json:"message"`
	Subject string `json:"subject,omitempty"` // what it is about, e.g. an address
	Hint    string `json:"hint"`              // what to do about it
}

// LastReload is the last attempt to read settings again.
type LastReload struct {
	Time  time.Time `json:"time"`
	Error string    `json:"error,omitempty"` // why all stayed as it was
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

func (a *API) showOverview(w http.ResponseWriter, _ *http.Request) error {
	d, p := a.o.Store.Directory(), a.o.Policy()
	view := Overview{
		Version:     a.o.Version,
		PID:         os.Getpid(),
		Region:      string(a.o.Region),
		Connections: ConnectionCounts{Total: len(d.Connections()), ByState: map[string]int{}, ByEdition: map[string]int{}},
		Clients:     len(d.Clients()),
		Policy:      PolicyName{p.SHA256(), p.Version()},
		Egress:      EgressCounts{Configured: len(a.o.Egress.addresses()), Up: len(a.o.Egress.addresses())},
		Checks:      a.checkResults(readinessInFull),
		Warnings:    []Warning{},
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
	if !a.o.Started.IsZero() {
		view.Started = &a.o.Started
	}
	if a.o.Load != nil {
		load := a.o.Load()
		view.Load = &load
	}
	if a.o.LastReload != nil {
		view.Reload = a.o.LastReload()
	}
	if a.o.Upgraded != nil {
		view.Upgrade = a.o.Upgraded()
	}
	if a.o.Warnings != nil {
		view.Warnings = append(view.Warnings, a.o.Warnings()...)
	}
	return writeJSON(w, http.StatusOK, view)
}
