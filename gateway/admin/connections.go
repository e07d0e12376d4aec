package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"jiragate/policy"
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

// NewConnection asks for a connection to be added.
type NewConnection struct {
	ID         string
	Edition    policy.Edition
	SiteURL    string
	CloudID    string
	BaseURL    string
	Region     tokenstore.Region // empty means the gateway's own
	UpstreamCA string            // PEM
	Credential tokenstore.Credential
}

type newConnectionBody struct {
	ID         string         `json:"id"`
	Edition    string         `json:"edition"`
	SiteURL    string         `json:"site_url,omitempty"`
	CloudID    string         `json:"cloud_id,omitempty"`
	BaseURL    string         `json:"base_url,omitempty"`
	Region     string         `json:"region,omitempty"`
	UpstreamCA string         `json:"upstream_ca,omitempty"`
	Credential credentialBody `json:"credential"`
}

// Encode is the request body, with the credential in the clear: for the
// socket or the handler, and for nothing else.
func (n NewConnection) Encode() ([]byte, error) {
	return json.Marshal(newConnectionBody{
		ID:         n.ID,
		Edition:    string(n.Edition),
		SiteURL:    n.SiteURL,
		CloudID:    n.CloudID,
		BaseURL:    n.BaseURL,
		Region:     string(n.Region),
		UpstreamCA: n.UpstreamCA,
		Credential: credentialBodyOf(n.Credential),
	})
}

func (a *API) listConnections(w http.ResponseWriter, _ *http.Request) error {
	list := []Connection{}
	for _, c := range a.o.Store.Directory().Connections() {
		list = append(list, connectionOf(c))
	}
	return writeJSON(w, http.StatusOK, list)
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
	return writeJSON(w, http.StatusOK, connectionOf(c))
}

func (a *API) addConnection(w http.ResponseWriter, r *http.Request) error {
	var body newConnectionBody
	if err := decode(w, r, &body); err != nil {
		return err
	}
	cred, err := body.Credential.credential()
	if err != nil {
		return err
	}
	conn := tokenstore.Connection{
		ID:             body.ID,
		Edition:        policy.Edition(body.Edition),
		SiteURL:        body.SiteURL,
		CloudID:        body.CloudID,
		BaseURL:        body.BaseURL,
		Region:         tokenstore.Region(body.Region),
		CredentialKind: cred.Kind,
		Scopes:         cred.Scopes,
		UpstreamCA:     body.UpstreamCA,
	}
	if conn.Region == "" {
		conn.Region = a.o.Region
	}
	if err := a.o.Store.AddConnection(r.Context(), conn, cred); err != nil {
		if errors.Is(err, tokenstore.ErrExists) {
			p := refuse(http.StatusConflict, CodeExists, "connection %q exists already", conn.ID)
			p.Hint = "connection credential " + conn.ID + " gives it a new token or password; connection remove takes it away"
			return p
		}
		return err
	}
	a.o.Logger.InfoContext(r.Context(), "connection added", "connection", conn.ID, "edition", string(conn.Edition), "region", string(conn.Region), "credential", string(cred.Kind))
	return a.answerConnection(w, http.StatusCreated, conn.ID)
}

// answerConnection answers with the connection as it now stands.
func (a *API) answerConnection(w http.ResponseWriter, status int, id string) error {
	c, ok := a.o.Store.Directory().Connection(id)
	if !ok { // removed by another caller in between
		return refuse(http.StatusNotFound, CodeNotFound, "there is no connection %q", id)
	}
	return writeJSON(w, status, connectionOf(c))
}

func (a *API) removeConnection(w http.ResponseWriter, r *http.Request) error {
	c, err := a.connection(r)
	if err != nil {
		return err
	}
	if err := a.o.Store.RemoveConnection(r.Context(), c.ID); err != nil {
		return err
	}
	a.o.Logger.InfoContext(r.Context(), "connection removed", "connection", c.ID)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) disableConnection(w http.ResponseWriter, r *http.Request) error {
	return a.setState(w, r, tokenstore.StateDisabled, "disabled by an operator")
}

func (a *API) enableConnection(w http.ResponseWriter, r *http.Request) error {
	return a.setState(w, r, tokenstore.StateActive, "")
}

func (a *API) setState(w http.ResponseWriter, r *http.Request, state tokenstore.State, reason string) error {
	c, err := a.connection(r)
	if err != nil {
		return err
	}
	if err := a.o.Store.SetState(r.Context(), c.ID, state, reason); err != nil {
		return err
	}
	a.o.Logger.InfoContext(r.Context(), "connection state set", "connection", c.ID, "state", string(state))
	return a.answerConnection(w, http.StatusOK, c.ID)
}

// replaceCredential puts a new credential of the same kind into a connection,
// as after a new consent or a changed password. A connection that waited for
// it becomes active by it; one that an operator disabled stays so.
func (a *API) replaceCredential(w http.ResponseWriter, r *http.Request) error {
	c, err := a.connection(r)
	if err != nil {
		return err
	}
	var body credentialBody
	if err := decode(w, r, &body); err != nil {
		return err
	}
	cred, err := body.credential()
	if err != nil {
		return err
	}
	if cred.Kind != c.CredentialKind {
		return invalid("connection %q has a credential of kind %s, not %s: remove it and add it again to change the kind", c.ID, c.CredentialKind, cred.Kind)
	}
	old, err := a.o.Store.Credential(r.Context(), c.ID)
	if err != nil {
		return err
	}
	if old.Incarnation() != c.Incarnation {
		err = tokenstore.ErrConflict // another connection has come into the place of c
	} else {
		err = a.o.Store.ReplaceCredential(r.Context(), c.ID, old.Generation, cred)
	}
	if err != nil {
		if errors.Is(err, tokenstore.ErrConflict) {
			p := refuse(http.StatusConflict, CodeConflict, "the credential of connection %q changed at the same moment", c.ID)
			p.Hint = "a token refresh or another command was under way; look at the connection, and run the command again"
			return p
		}
		return err
	}
	a.o.Logger.InfoContext(r.Context(), "credential replaced", "connection", c.ID, "credential", string(cred.Kind))
	return a.answerConnection(w, http.StatusOK, c.ID)
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
