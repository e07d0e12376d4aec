package admin

import (
	"net/http"
	"time"

	"jiragate/tokenstore"
)

// Connection is a connection as the API shows it. Nothing in it is secret.
type Connection struct {
	ID          string    `json:"id"`
	Edition     string    `json:"edition"`
	SiteURL     string    `json:"site_url,omitempty"`
	CloudID     string    `json:"cloud_id,omitempty"`
	BaseURL     string    `json:"base_url,omitempty"`
	Region      string    `json:"region"`
	Credential  string    `json:"credential"` // kind only
	Scopes      []string  `json:"scopes,omitempty"`
	UpstreamCA  string    `json:"upstream_ca,omitempty"` // PEM
	State       string    `json:"state"`
	StateReason string    `json:"state_reason,omitempty"`
	StateSince  time.Time `json:"state_since"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`

	// ConsumerKey, PublicKey (PEM) and CallbackURL are what Jira's administrator
	// enters in an application link; they, and Grant, are in the answer about one
	// connection, and on pages.
	ConsumerKey string `json:"consumer_key,omitempty"`
	PublicKey   string `json:"public_key,omitempty"`
	CallbackURL string `json:"callback_url,omitempty"`
	Grant       *Grant `json:"grant,omitempty"`
	// GrantProblem says why a page doesn't have them of this connection.
	GrantProblem string `json:"grant_problem,omitempty"`
	// LastCall is nil where none is known. It is where Grant is.
	LastCall *LastCall `json:"last_call,omitempty"`
}

func connectionOf(c *tokenstore.Connection) Connection {
	return Connection{
		ID:          c.ID,
		Edition:     string(c.Edition),
		SiteURL:     c.SiteURL,
		CloudID:     c.CloudID,
		BaseURL:     c.BaseURL,
		Region:      string(c.Region),
		Credential:  string(c.CredentialKind),
		Scopes:      c.Scopes,
		UpstreamCA:  c.UpstreamCA,
		State:       string(c.State),
		StateReason: c.StateReason,
		StateSince:  c.StateSince,
		CreatedAt:   c.CreatedAt,
		UpdatedAt:   c.UpdatedAt,
	}
}

func (a *API) connection(r *http.Request) (*tokenstore.Connection, error) {
	id := r.PathValue("id")
	c, ok := a.o.Store.Directory().Connection(id)
	if !ok {
		p := refuse(http.StatusNotFound, CodeNotFound, "there is no connection %q", id)
		p.Hint = "jiragate connection list shows those that exist"
		return nil, p
	}
	return c, nil
}

func (a *API) showConnection(w http.ResponseWriter, r *http.Request) error {
	c, err := a.connection(r)
	if err != nil {
		return err
	}
	shown, err := a.inFull(r.Context(), c)
	if err != nil {
		return err
	}
	shown.LastCall = lastCall(a.o.LastCall, c.ID)
	return writeJSON(w, http.StatusOK, shown)
}

// present is the connection as it now stands.
func (a *API) present(id string) (*tokenstore.Connection, error) {
	c, ok := a.o.Store.Directory().Connection(id)
	if !ok { // removed by another caller in between
		return nil, refuse(http.StatusNotFound, CodeNotFound, "there is no connection %q", id)
	}
	return c, nil
}

func (a *API) disableConnection(_ http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	return a.setState(r, t, func(*tokenstore.Connection) (tokenstore.State, string, error) {
		return tokenstore.StateDisabled, "disabled by an operator", nil
	})
}

// enableConnection lets the calls of a connection be made again, also where they
// were paused because Jira refused the password: somebody has seen to that. One that
// nobody has consented to waits for it.
func (a *API) enableConnection(_ http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	return a.setState(r, t, func(c *tokenstore.Connection) (tokenstore.State, string, error) {
		cred, err := a.o.Store.Credential(r.Context(), c.ID)
		if err != nil {
			return "", "", err
		}
		if !cred.Consented() {
			return tokenstore.StateNeedsReauthorisation, tokenstore.ReasonAwaitsConsent, nil
		}
		if ending := cred.Ending(a.o.Now()); ending != "" {
			return tokenstore.StateExpiring, ending, nil
		}
		return tokenstore.StateActive, "", nil
	})
}

func (a *API) setState(r *http.Request, t *task, choose func(*tokenstore.Connection) (tokenstore.State, string, error)) (answer, error) {
	c, err := a.connection(r)
	if err != nil {
		return answer{}, err
	}
	t.about(c)
	state, reason, err := choose(c)
	if err != nil {
		return answer{}, err
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	if err := a.o.Store.SetState(ctx, c.ID, state, reason); err != nil {
		return answer{}, err
	}
	a.o.Logger.InfoContext(ctx, "connection state set", "connection", c.ID, "state", string(state))
	return a.answerConnection(c.ID)
}

// answerConnection answers with the connection as it now stands.
func (a *API) answerConnection(id string) (answer, error) {
	c, err := a.present(id)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: connectionOf(c)}, nil
}

// ProbeResult is what came of "connection test".
type ProbeResult struct {
	Connection string  `json:"connection"`
	OK         bool    `json:"ok"`     // Jira answered with the account
	Status     int     `json:"status"` // HTTP, 0 where nothing was sent
	Code       string  `json:"code,omitempty"`
	Detail     string  `json:"detail,omitempty"`
	Account    string  `json:"account,omitempty"`
	EgressIP   string  `json:"egress_ip,omitempty"`
	Record     string  `json:"record,omitempty"`
	DurationMS float64 `json:"duration_ms"`
}

func (a *API) testConnection(w http.ResponseWriter, r *http.Request) error {
	c, err := a.connection(r)
	if err != nil {
		return err
	}
	a.allow(w, probeTimeout)
	result, err := a.o.Probe(r.Context(), c.ID)
	if err != nil {
		return err
	}
	result.Connection = c.ID
	return writeJSON(w, http.StatusOK, result)
}
