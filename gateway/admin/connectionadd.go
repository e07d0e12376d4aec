package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/applink"
)

// NewConnection asks for a connection to be added.
type NewConnection struct {
	ID         string
	Edition    policy.Edition
	SiteURL    string
	CloudID    string
	BaseURL    string
	Region     tokenstore.Region // empty means the gateway's own
	UpstreamCA string            // PEM
	// Credential may lack what a consent brings: for Cloud it may be the zero value,
	// for Data Center it needs the client (oauth2) or the consumer key (oauth1) that
	// Jira knows. Then the answer has a link.
	Credential tokenstore.Credential
	// ExpiresIn is how long the link is good; 0 means seven days.
	ExpiresIn time.Duration
}

type newConnectionBody struct {
	ID         string         `json:"id"`
	Edition    string         `json:"edition"`
	SiteURL    string         `json:"site_url,omitempty"`
	CloudID    string         `json:"cloud_id,omitempty"`
	BaseURL    string         `json:"base_url,omitempty"`
	Region     string         `json:"region,omitempty"`
	UpstreamCA string         `json:"upstream_ca,omitempty"`
	Credential credentialBody `json:"credential,omitzero"`
	ExpiresIn  int64          `json:"expires_in,omitempty"` // seconds
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
		ExpiresIn:  int64(n.ExpiresIn / time.Second),
	})
}

// addConnection adds a connection. Where its credential holds no consent yet, it
// waits for one, and the answer has the link to it.
func (a *API) addConnection(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	var body newConnectionBody
	if err := decode(w, r, &body); err != nil {
		return answer{}, err
	}
	conn := tokenstore.Connection{
		ID:             body.ID,
		Edition:        policy.Edition(body.Edition),
		SiteURL:        body.SiteURL,
		CloudID:        body.CloudID,
		BaseURL:        body.BaseURL,
		Region:         cmp.Or(tokenstore.Region(body.Region), a.o.Region),
		CredentialKind: tokenstore.CredentialKind(body.Credential.Kind),
		UpstreamCA:     body.UpstreamCA,
	}
	t.asked(&conn)
	if err := tokenstore.ValidConnectionID(conn.ID); err != nil {
		return answer{}, err
	}
	cred, err := a.completed(conn.Edition, body.Credential.credential())
	if err != nil {
		return answer{}, err
	}
	conn.CredentialKind, conn.Scopes = cred.Kind, cred.Scopes
	t.asked(&conn)
	var lifetime time.Duration
	if !cred.Consented() {
		if lifetime, err = a.invitable(conn.Edition, body.ExpiresIn); err != nil {
			return answer{}, err
		}
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	if err := a.o.Store.AddConnection(ctx, conn, cred); err != nil {
		if errors.Is(err, tokenstore.ErrExists) {
			p := refuse(http.StatusConflict, CodeExists, "connection %q exists already", conn.ID)
			p.Hint = "connection credential " + conn.ID + " gives it a new token or password; connection remove takes it away"
			return answer{}, p
		}
		return answer{}, err
	}
	a.o.Logger.InfoContext(ctx, "connection added", "connection", conn.ID, "edition", string(conn.Edition), "region", string(conn.Region), "credential", string(cred.Kind))
	added, err := a.present(conn.ID)
	if err != nil {
		return answer{}, err
	}
	if cred.Consented() {
		return answer{status: http.StatusCreated, body: connectionOf(added)}, nil
	}
	return a.invite(ctx, http.StatusCreated, added, lifetime)
}

// completed adds to a credential what is the gateway's to add, and checks it.
func (a *API) completed(edition policy.Edition, c tokenstore.Credential) (tokenstore.Credential, error) {
	if c.Kind == "" && edition == policy.Cloud {
		c.Kind = tokenstore.KindOAuth2
	}
	switch hasClient := c.ClientID != "" || !c.ClientSecret.IsZero(); {
	case c.Kind == tokenstore.KindOAuth2 && edition == policy.Cloud:
		if hasClient {
			return c, invalid("a cloud connection has no client of its own: the one of JIRAGATE_OAUTH_CLIENT_ID serves all")
		}
	case c.Kind == tokenstore.KindOAuth2 && hasClient:
		if a.o.RedirectURL == "" {
			return c, noRedirectURL()
		}
		c.RedirectURL = a.o.RedirectURL
	case c.Kind == tokenstore.KindOAuth2 && !c.Consented():
		return c, invalid("to ask for consent, give the client_id and client_secret that Jira shows for the incoming application link")
	case c.Kind == tokenstore.KindOAuth1:
		if err := completeLink(&c); err != nil {
			return c, err
		}
	}
	if err := c.Validate(); err != nil {
		return c, invalid("%v", err)
	}
	return c, nil
}

// completeLink makes the key pair of an application link, or checks the one that is
// brought. A token is good with the key that it was got with only.
func completeLink(c *tokenstore.Credential) error {
	if !c.PrivateKey.IsZero() {
		if err := applink.CheckKey(c.PrivateKey); err != nil {
			return invalid("%v", err)
		}
		return nil
	}
	if c.Consented() {
		return invalid("the token of an application link needs the private key that it was got with")
	}
	key, err := applink.NewKey()
	if err != nil {
		return err
	}
	c.PrivateKey = key
	return nil
}
