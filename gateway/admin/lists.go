package admin

import (
	"context"
	"net/http"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
)

// LastCall is the newest call of a connection, or of a client, as it is on record.
type LastCall struct {
	Seq       uint64    `json:"seq"` // of the record
	Time      time.Time `json:"time"`
	Operation string    `json:"operation,omitempty"` // empty where none was recognised
	Decision  string    `json:"decision"`            // allow or deny
	Code      string    `json:"code,omitempty"`      // why it failed, or was refused
	Status    int       `json:"status"`              // HTTP; 0 where the client went away before
}

// listConnections answers with the connections that match the query. Where that has a
// limit, the answer is a page, and each connection in it is told in full.
func (a *API) listConnections(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r, "state", "edition", "region", "client", "text", "after", "limit")
	state := oneOf(p, "state", tokenstore.StateActive, tokenstore.StateExpiring, tokenstore.StateNeedsReauthorisation, tokenstore.StateDisabled)
	edition := oneOf(p, "edition", policy.Cloud, policy.DataCenter)
	region := oneOf(p, "region", tokenstore.RegionUS, tokenstore.RegionEU)
	limit := int(p.number("limit", 1, MaxPage, 0))
	if p.err != nil {
		return p.err
	}
	var client *tokenstore.Client
	if name := p.text("client"); name != "" {
		var err error
		if client, err = a.client(name); err != nil {
			return err
		}
	}
	contains := containsFold(p.text("text"))
	matches := func(c *tokenstore.Connection) bool {
		return (state == "" || c.State == state) &&
			(edition == "" || c.Edition == edition) &&
			(region == "" || c.Region == region) &&
			(client == nil || client.Granted(c.ID)) &&
			(contains(c.ID) || contains(c.SiteURL) || contains(c.BaseURL))
	}
	id := func(c *tokenstore.Connection) string { return c.ID }
	found := paged(a.o.Store.Directory().Connections(), id, matches, p.text("after"), limit)
	list := make([]Connection, 0, len(found.rows))
	for _, c := range found.rows {
		if limit > 0 {
			list = append(list, a.row(r.Context(), c))
		} else {
			list = append(list, connectionOf(c))
		}
	}
	if limit > 0 {
		found.announce(w, r, p.values, id)
	}
	return writeJSON(w, http.StatusOK, list)
}

// row is a connection on a page. One whose credential can't be read doesn't keep the
// others from being seen.
func (a *API) row(ctx context.Context, c *tokenstore.Connection) Connection {
	shown, err := a.inFull(ctx, c)
	if err != nil {
		shown.GrantProblem = err.Error()
	}
	shown.LastCall = lastCall(a.o.LastCall, c.ID)
	return shown
}

// lastCall asks a source of last calls, if there is one.
func lastCall(of func(string) (LastCall, bool), name string) *LastCall {
	if of == nil {
		return nil
	}
	call, ok := of(name)
	if !ok {
		return nil
	}
	call.Time = call.Time.UTC()
	return &call
}

// listClients answers with the clients that match the query, as listConnections does.
func (a *API) listClients(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r, "connection", "text", "after", "limit", "grants")
	connection, limit, grants := p.text("connection"), int(p.number("limit", 1, MaxPage, 0)), int(p.number("grants", 1, MaxPage, 0))
	if p.err != nil {
		return p.err
	}
	if connection != "" {
		if err := a.knownConnections([]string{connection}); err != nil {
			return err
		}
	}
	contains := containsFold(p.text("text"))
	matches := func(c *tokenstore.Client) bool {
		return (connection == "" || c.Granted(connection)) && contains(c.Name)
	}
	name := func(c *tokenstore.Client) string { return c.Name }
	found := paged(a.o.Store.Directory().Clients(), name, matches, p.text("after"), limit)
	list := make([]Client, 0, len(found.rows))
	for _, c := range found.rows {
		shown := clientOf(c, grants)
		if limit > 0 {
			shown.LastCall = lastCall(a.o.LastCallOf, c.Name)
		}
		list = append(list, shown)
	}
	if limit > 0 {
		found.announce(w, r, p.values, name)
	}
	return writeJSON(w, http.StatusOK, list)
}

func (a *API) showClient(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r, "grants")
	grants := int(p.number("grants", 1, MaxPage, 0))
	if p.err != nil {
		return p.err
	}
	c, err := a.client(r.PathValue("name"))
	if err != nil {
		return err
	}
	shown := clientOf(c, grants)
	shown.LastCall = lastCall(a.o.LastCallOf, c.Name)
	return writeJSON(w, http.StatusOK, shown)
}
