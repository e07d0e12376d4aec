package admin

import (
	"errors"
	"net/http"

	"jiragate/tokenstore"
)

// replaceCredential puts a new credential of the same kind into a connection,
// as after a consent elsewhere or a changed password. A connection that waited for
// it becomes active by it; one that an operator disabled stays so.
func (a *API) replaceCredential(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	c, err := a.connection(r)
	if err != nil {
		return answer{}, err
	}
	t.about(c)
	var body credentialBody
	if err := decode(w, r, &body); err != nil {
		return answer{}, err
	}
	cred := body.credential()
	if cred.Kind != c.CredentialKind {
		return answer{}, invalid("connection %q has a credential of kind %s, and not of the one that was sent: remove it and add it again to change the kind", c.ID, c.CredentialKind)
	}
	old, err := a.o.Store.Credential(r.Context(), c.ID)
	if err != nil {
		return answer{}, err
	}
	if cred, err = a.completed(c.Edition, merged(cred, &old)); err != nil {
		return answer{}, err
	}
	if !cred.Consented() {
		p := invalid("the credential holds no token")
		p.Hint = "jiragate connection consent " + c.ID + " makes a link, for the administrator of its Jira to consent"
		return answer{}, p
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	if old.Incarnation() != c.Incarnation {
		err = tokenstore.ErrConflict // another connection has come into the place of c
	} else {
		err = a.o.Store.ReplaceCredential(ctx, c.ID, old.Generation, cred)
	}
	if err != nil {
		if errors.Is(err, tokenstore.ErrConflict) {
			p := refuse(http.StatusConflict, CodeConflict, "the credential of connection %q changed at the same moment", c.ID)
			p.Hint = "a token refresh or another command was under way; look at the connection, and run the command again"
			return answer{}, p
		}
		return answer{}, err
	}
	a.o.Logger.InfoContext(ctx, "credential replaced", "connection", c.ID, "credential", string(cred.Kind))
	return a.answerConnection(c.ID)
}

// merged is a new credential with what it leaves to the old one: the client or key
// that its tokens belong to, or, where a client has a new secret only, the tokens.
func merged(c tokenstore.Credential, old *tokenstore.Credential) tokenstore.Credential {
	switch {
	case c.Kind == tokenstore.KindOAuth2 && c.ClientID == "" && c.ClientSecret.IsZero():
		c.ClientID, c.ClientSecret = old.ClientID, old.ClientSecret
	case c.Kind == tokenstore.KindOAuth2 && c.ClientID == old.ClientID && !c.Consented():
		client, clientSecret := c.ClientID, c.ClientSecret
		c = *old
		c.ClientID, c.ClientSecret = client, clientSecret
	case c.Kind == tokenstore.KindOAuth1 && c.ConsumerKey == "" && c.PrivateKey.IsZero():
		c.ConsumerKey, c.PrivateKey = old.ConsumerKey, old.PrivateKey
	}
	return c
}
