package admin

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// Client is a client of the gateway as the API shows it.
type Client struct {
	Name string `json:"name"`
	// Connections are those that it may use, or the first of them where so many were
	// asked for, and ConnectionsTotal is how many they are in all.
	Connections      []string `json:"connections"`
	ConnectionsTotal int      `json:"connections_total"`

	CertificateSANs []string  `json:"certificate_sans,omitempty"`
	CreatedAt       time.Time `json:"created_at"`
	TokenRotatedAt  time.Time `json:"token_rotated_at"`
	// LastCall is nil where none is known, and in a list that isn't a page.
	LastCall *LastCall `json:"last_call,omitempty"`
}

// clientOf is a client with at most so many of its connections; 0 means all.
func clientOf(c *tokenstore.Client, most int) Client {
	shown := c.Connections
	if most > 0 {
		shown = shown[:min(most, len(shown))]
	}
	return Client{
		Name:             c.Name,
		Connections:      append([]string{}, shown...),
		ConnectionsTotal: len(c.Connections),
		CertificateSANs:  c.CertificateSANs,
		CreatedAt:        c.CreatedAt,
		TokenRotatedAt:   c.TokenRotatedAt,
	}
}

// NewClient asks for a client to be added.
type NewClient struct {
	Name            string
	Connections     []string      // granted at once
	CertificateSANs []string      // "dns:NAME" or "uri:URI"
	Token           secret.Secret // empty: one is made
}

type newClientBody struct {
	Name            string   `json:"name"`
	Connections     []string `json:"connections,omitempty"`
	CertificateSANs []string `json:"certificate_sans,omitempty"`
	Token           string   `json:"token,omitempty"`
}

// Encode is the request body, with a brought token in the clear.
func (n NewClient) Encode() ([]byte, error) {
	return json.Marshal(newClientBody{n.Name, n.Connections, n.CertificateSANs, n.Token.Reveal()})
}

// NewClientToken asks for a new token of a client that exists.
type NewClientToken struct {
	Token secret.Secret // empty: one is made
}

type newClientTokenBody struct {
	Token string `json:"token,omitempty"`
}

// Encode is the request body, with a brought token in the clear.
func (n NewClientToken) Encode() ([]byte, error) {
	return json.Marshal(newClientTokenBody{n.Token.Reveal()})
}

// IssuedToken is the one answer that holds a secret: a token made here, shown
// this once. A token that the caller brought is not sent back, and Token is
// empty then.
type IssuedToken struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}

// chooseToken is the digest to store and the token to show.
func chooseToken(brought string) (sum [sha256.Size]byte, show string, err error) {
	if brought == "" {
		made, sum := tokenstore.NewToken()
		return sum, made.Reveal(), nil
	}
	if err := CheckToken(secret.New(brought)); err != nil {
		return sum, "", invalid("%v", err)
	}
	return tokenstore.TokenSHA256(brought), "", nil
}

func (a *API) client(name string) (*tokenstore.Client, error) {
	c, ok := a.o.Store.Directory().Client(name)
	if !ok {
		p := refuse(http.StatusNotFound, CodeNotFound, "there is no client %q", name)
		p.Hint = "jiragate client list shows those that exist"
		return nil, p
	}
	return c, nil
}

func (a *API) knownConnections(ids []string) error {
	for _, id := range ids {
		if err := tokenstore.ValidConnectionID(id); err != nil {
			return err // which doesn't quote all of it
		}
		if _, ok := a.o.Store.Directory().Connection(id); !ok {
			p := refuse(http.StatusNotFound, CodeNotFound, "there is no connection %q", id)
			p.Hint = "add it first: jiragate connection add"
			return p
		}
	}
	return nil
}

func (a *API) addClient(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	var body newClientBody
	if err := decode(w, r, &body); err != nil {
		return answer{}, err
	}
	if err := tokenstore.ValidClientName(body.Name); err != nil {
		return answer{}, err
	}
	t.record.Path += "/" + url.PathEscape(body.Name) // the request's path doesn't name it
	sum, show, err := chooseToken(body.Token)
	if err != nil {
		return answer{}, err
	}
	if err := a.knownConnections(body.Connections); err != nil {
		return answer{}, err
	}
	c := tokenstore.Client{
		Name:            body.Name,
		TokenSHA256:     sum,
		CertificateSANs: body.CertificateSANs,
		Connections:     body.Connections,
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	if err := a.o.Store.AddClient(ctx, c); err != nil {
		if errors.Is(err, tokenstore.ErrExists) {
			p := refuse(http.StatusConflict, CodeExists, "client %q exists already, or another has this token", c.Name)
			p.Hint = "client rotate " + c.Name + " gives it a new token; client grant and client revoke change its connections"
			return answer{}, p
		}
		return answer{}, err
	}
	a.o.Logger.InfoContext(ctx, "client added", "client", c.Name, "connections", c.Connections)
	return answer{status: http.StatusCreated, body: IssuedToken{Name: c.Name, Token: show}}, nil
}

func (a *API) removeClient(_ http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	c, err := a.client(r.PathValue("name"))
	if err != nil {
		return answer{}, err
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	if err := a.o.Store.RemoveClient(ctx, c.Name); err != nil {
		return answer{}, err
	}
	a.o.Logger.InfoContext(ctx, "client removed", "client", c.Name)
	return answer{status: http.StatusNoContent}, nil
}

func (a *API) rotateToken(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	c, err := a.client(r.PathValue("name"))
	if err != nil {
		return answer{}, err
	}
	var body newClientTokenBody
	if err := decode(w, r, &body); err != nil {
		return answer{}, err
	}
	sum, show, err := chooseToken(body.Token)
	if err != nil {
		return answer{}, err
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	if err := a.o.Store.SetClientToken(ctx, c.Name, sum); err != nil {
		return answer{}, err
	}
	a.o.Logger.InfoContext(ctx, "client token replaced", "client", c.Name)
	return answer{status: http.StatusOK, body: IssuedToken{Name: c.Name, Token: show}}, nil
}

func (a *API) grant(_ http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	return a.changeGrant(r, t, "granted", a.o.Store.Grant)
}

func (a *API) revoke(_ http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	return a.changeGrant(r, t, "revoked", a.o.Store.Revoke)
}

func (a *API) changeGrant(r *http.Request, t *task, what string, change func(ctx context.Context, client, connection string) error) (answer, error) {
	c, err := a.client(r.PathValue("name"))
	if err != nil {
		return answer{}, err
	}
	connection := r.PathValue("connection")
	if err := a.knownConnections([]string{connection}); err != nil {
		return answer{}, err
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	if err := change(ctx, c.Name, connection); err != nil {
		return answer{}, err
	}
	a.o.Logger.InfoContext(ctx, "grant "+what, "client", c.Name, "connection", connection)
	return answer{status: http.StatusNoContent}, nil
}
