package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/oauth"
)

// revokeTimeout bounds the call to the authorization server of a connection that is
// to go.
const revokeTimeout = 15 * time.Second

// Removal is the answer of removing a connection.
type Removal struct {
	ID string `json:"id"`
	// Revocation says what became of the grant where it was given: "done",
	// "not_offered" or "failed".
	Revocation string `json:"revocation"`
	// Detail is what the customer should still do, so that nothing is left that
	// could be used; empty if there is nothing.
	Detail string `json:"detail,omitempty"`
}

const revocationFailed = "failed"

// removeConnection ends the grant where it was given, and then everything that is
// known of the connection here. A Jira that doesn't answer can't hinder that; but a
// connection that somebody put in its place meanwhile stays.
func (a *API) removeConnection(_ http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	c, err := a.connection(r)
	if err != nil {
		return answer{}, err
	}
	t.about(c)
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	revocation := a.revokeGrant(ctx, c)
	if err := a.o.Store.RemoveConnection(ctx, c.ID, c.Incarnation); err != nil {
		a.o.Logger.WarnContext(ctx, "connection not removed", "connection", c.ID, "revocation", revocation, "error", err,
			"hint", "it is disabled at the most; run jiragate connection remove again")
		if errors.Is(err, tokenstore.ErrConflict) {
			p := refuse(http.StatusConflict, CodeConflict, "connection %q is another one by now, which was not removed", c.ID)
			p.Hint = "look at the connection, and run the command again if that is to go, too"
			return answer{}, p
		}
		return answer{}, err
	}
	a.o.Logger.InfoContext(ctx, "connection removed", "connection", c.ID, "revocation", revocation)
	removal := Removal{ID: c.ID, Revocation: revocation}
	if revocation != string(oauth.RevocationDone) {
		removal.Detail = leftToDo(c)
	}
	return answer{status: http.StatusOK, body: removal}, nil
}

func (a *API) revokeGrant(ctx context.Context, c *tokenstore.Connection) string {
	revocable := c.Edition == policy.DataCenter && c.CredentialKind == tokenstore.KindOAuth2
	if !revocable {
		return string(oauth.RevocationNotOffered)
	}
	if a.o.Consenter == nil {
		return revocationFailed
	}
	ctx, cancel := context.WithTimeout(ctx, revokeTimeout)
	defer cancel()
	revocation, err := a.o.Consenter.Revoke(ctx, c.ID)
	if err != nil {
		a.o.Logger.WarnContext(ctx, "the grant of a connection could not be revoked", "connection", c.ID, "error", err,
			"hint", "ask the customer's administrator to revoke the app's access in Jira")
		return revocationFailed
	}
	return string(revocation)
}

// leftToDo is for the customer, who holds the other end.
func leftToDo(c *tokenstore.Connection) string {
	switch c.CredentialKind {
	case tokenstore.KindOAuth1:
		return "delete the application link in Jira, or revoke its access token under the authorised applications of the account"
	case tokenstore.KindPAT:
		return "revoke the personal access token in the profile of its account"
	case tokenstore.KindBasic:
		return "change the password of the account, or disable it"
	}
	if c.Edition == policy.Cloud {
		return "remove the app under the connected apps of the Atlassian account that consented: https://id.atlassian.com/manage-profile/apps"
	}
	return "revoke the access under the authorised applications of the account that consented, or delete the application link in Jira"
}
