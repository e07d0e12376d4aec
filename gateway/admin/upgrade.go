package admin

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Upgrade is a handover of the gateway to a new process, or the attempt.
type Upgrade struct {
	Time    time.Time `json:"time"` // of its end
	PID     int       `json:"pid"`  // of the new process
	Version string    `json:"version"`
	// PauseMS is how long clients waited, in milliseconds, and Connections how many of
	// theirs were passed on.
	PauseMS     float64 `json:"pause_ms,omitempty"`
	Connections int     `json:"connections,omitempty"`
	Error       string  `json:"error,omitempty"` // why the old process goes on
}

// Prepared is a new process that is about to take over. The overview tells what came
// of it.
type Prepared struct {
	PID     int    `json:"pid"`
	Version string `json:"version"`
}

// ErrUpgrading says that a handover is under way already.
var ErrUpgrading = errors.New("the gateway is handing over already")

type localKey struct{}

// upgrade has a new process take over. Only whoever may open the socket in the data
// directory may ask for it: what is started is a program of this machine.
func (a *API) upgrade(_ http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	switch local, _ := r.Context().Value(localKey{}).(bool); {
	case !local:
		p := refuse(http.StatusConflict, CodeConflict, "a new program takes over by the admin socket only")
		p.Hint = "run jiragate upgrade on the gateway's machine, or send SIGUSR2"
		return answer{}, p
	case a.o.Upgrade == nil:
		return answer{}, refuse(http.StatusServiceUnavailable, CodeUnavailable, "no gateway runs here that could hand over")
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, upgradeTimeout)
	defer cancel()
	next, err := a.o.Upgrade(ctx)
	if err != nil {
		p := refuse(http.StatusConflict, CodeConflict, "no handover to a new program: %v", err)
		p.Hint = "mend what it says, then try again; meanwhile nothing has changed"
		if errors.Is(err, ErrUpgrading) {
			p.Hint = "jiragate status says what came of it"
		}
		return answer{}, p
	}
	return answer{status: http.StatusAccepted, body: next}, nil
}
