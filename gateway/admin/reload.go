package admin

import "net/http"

// Results of reading a part again.
const (
	PartUnchanged = "unchanged"
	PartReloaded  = "reloaded"
	PartKept      = "kept" // it stays as it was: it is broken, or another part is
)

// Reloaded is the answer of a reload. Either each part that has changed is in force, or,
// if one of them is broken, none is.
type Reloaded struct {
	OK    bool           `json:"ok"` // nothing was kept
	Parts []ReloadedPart `json:"parts"`
}

// ReloadedPart is one part of what can be read again while the gateway runs.
type ReloadedPart struct {
	Part   string `json:"part"`             // as egress or proxy_certificate
	Result string `json:"result"`           // unchanged, reloaded or kept
	Reason string `json:"reason,omitempty"` // why it was kept, and what to do
}

// reload reads the files again that the settings name. What comes of each part has a
// record of its own.
func (a *API) reload(_ http.ResponseWriter, _ *http.Request, t *task) (answer, error) {
	if a.o.Reload == nil {
		p := refuse(http.StatusServiceUnavailable, CodeUnavailable, "no gateway runs here that could read anything again")
		p.Hint = "jiragate serve reads everything when it starts"
		return answer{}, p
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	done, err := a.o.Reload(ctx)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: done}, nil
}
