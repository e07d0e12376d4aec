package oauth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"jiragate/policy"
	"jiragate/tokenstore"
)

// Revocation says what became of a grant at the authorization server.
type Revocation string

const (
	// RevocationDone: the grant has ended there.
	RevocationDone Revocation = "done"
	// RevocationNotOffered: there is nothing to revoke, or no way to: whoever gave
	// the consent may withdraw it in the settings of their account.
	RevocationNotOffered Revocation = "not_offered"
)

// Revoke ends a connection's grant at its authorization server, where that offers
// it: the Jira of an oauth2 connection of Data Center. Atlassian documents no
// revocation for Cloud, nor Jira one for application links of OAuth 1.0a. Nothing
// changes in the store. An error means that it was tried and failed:
// [ErrNotConfigured], [ErrClientRejected] or [ErrUnavailable]; or that it could not
// be tried: tokenstore.ErrNotFound, [ErrNotServed], or what the store says.
func (m *Manager) Revoke(ctx context.Context, connection string) (Revocation, error) {
	ctx, cancel := context.WithTimeout(ctx, consentTimeout)
	defer cancel()
	r, err := m.revoke(ctx, connection)
	if err != nil {
		return "", failed(connection, err)
	}
	return r, nil
}

func (m *Manager) revoke(ctx context.Context, id string) (Revocation, error) {
	c, cred, err := m.asked(ctx, id, 0)
	if err != nil {
		return "", err
	}
	if c.Edition == policy.Cloud || cred.Kind != tokenstore.KindOAuth2 || !cred.Consented() {
		return RevocationNotOffered, nil
	}
	p, err := m.provider(c, &cred)
	if err != nil {
		return "", err
	}
	// RFC 7009. The metadata of Jira's authorization server (RFC 8414) names the
	// endpoint, and Atlassian's description of it doesn't: older ones may lack it.
	token, hint := cred.RefreshToken, "refresh_token"
	if token.IsZero() {
		token, hint = cred.AccessToken, "access_token"
	}
	form := url.Values{
		"token": {token.Reveal()}, "token_type_hint": {hint},
		"client_id": {p.clientID}, "client_secret": {p.clientSecret.Reveal()},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, dataCenterURL(c, "revoke"), strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("%w: the base URL of the connection can't be used", ErrNotConfigured)
	}
	req.GetBody = nil // nothing may send it a second time
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	status, body, err := m.roundTrip(c, req, maxAnswer)
	if err != nil {
		return "", fmt.Errorf("%w: Jira's revocation endpoint can't be reached, or did not answer", ErrUnavailable)
	}
	var problem struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(body, &problem) // what isn't JSON has no such member
	switch {
	case status == http.StatusOK || status == http.StatusNoContent:
		return RevocationDone, nil
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed,
		status == http.StatusBadRequest && problem.Error == "unsupported_token_type":
		return RevocationNotOffered, nil
	case (status == http.StatusBadRequest || status == http.StatusUnauthorized) && problem.Error == "invalid_client":
		return "", p.errRefusedClient()
	}
	return "", fmt.Errorf("%w: Jira's revocation endpoint answered with status %d", ErrUnavailable, status)
}
