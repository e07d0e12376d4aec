package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// FinishConsent takes the answer to a request for consent, which is the query of
// the redirect URL. It exchanges the code, once, and finds out what was granted:
// for Cloud exactly the scopes that were asked for, a refresh token, and the Jira
// sites. Nothing is stored.
//
// The errors are [ErrStateMismatch], [ErrConsentDenied], [ErrReplaced],
// tokenstore.ErrNotFound, [ErrNotServed], [ErrCodeRefused], [ScopeError],
// [ErrNoRefreshToken], [ErrNoSites], [ErrNotConfigured], [ErrUnavailable], and what
// the store says. Whoever gets one begins anew.
func (m *Manager) FinishConsent(ctx context.Context, c *Consent, answer url.Values) (*Granted, error) {
	ctx, cancel := context.WithTimeout(ctx, consentTimeout)
	defer cancel()
	g, err := m.finishConsent(ctx, c, answer)
	if err != nil {
		return nil, failed(c.Connection, err)
	}
	return g, nil
}

func (m *Manager) finishConsent(ctx context.Context, c *Consent, answer url.Values) (*Granted, error) {
	if state, ok := single(answer, "state"); !ok || !secret.New(state).Equal(secret.New(c.State)) {
		return nil, ErrStateMismatch
	}
	connection, cred, err := m.asked(ctx, c.Connection, c.Incarnation)
	if err != nil {
		return nil, err
	}
	if clientOf(m, connection, &cred) != c.client {
		return nil, ErrReplaced
	}
	if c.kind == tokenstore.KindOAuth1 {
		return m.finishLink(ctx, c, connection, &cred, answer)
	}
	p, err := m.provider(connection, &cred)
	if err != nil {
		return nil, err
	}
	p.redirectURL = c.redirectURL
	if answer.Has("error") {
		return nil, p.refusal(answer.Get("error"))
	}
	code, ok := single(answer, "code")
	if !ok || !c.answered.CompareAndSwap(false, true) {
		return nil, ErrStateMismatch
	}

	before := m.now()
	g, fail := m.redeem(ctx, connection, &p, code, c.verifier.Reveal())
	switch {
	case fail == nil:
	case errors.Is(fail.err, errDeadGrant):
		return nil, fmt.Errorf("%w by %s: it is too old or was used before", ErrCodeRefused, p.party)
	default:
		return nil, fail.err
	}
	granted := &Granted{Consent: c, edition: connection.Edition, Credential: tokenstore.Credential{
		Kind: tokenstore.KindOAuth2, AccessToken: g.accessToken, RefreshToken: g.refreshToken, Expiry: g.expiry,
	}}
	p.life.begin(&granted.Credential, before)
	scopes := g.scopes
	if scopes == nil && g.refreshToken.IsZero() {
		return nil, ErrNoRefreshToken
	}
	if connection.Edition == policy.Cloud {
		var theirs []string
		if granted.Sites, theirs, err = m.sites(ctx, connection, g.accessToken); err != nil {
			return nil, err
		}
		if len(granted.Sites) == 0 {
			return nil, ErrNoSites
		}
		if scopes == nil {
			// The scopes of a site are those of its API. That there is a refresh token
			// stands for the one that isn't.
			scopes = append(theirs, "offline_access")
		}
	} else {
		granted.Credential.ClientID, granted.Credential.ClientSecret = p.clientID, p.clientSecret
		granted.Credential.RedirectURL = p.redirectURL
		if scopes == nil { // then they are what was asked for: RFC 6749 section 5.1
			scopes = p.scopes
		}
	}
	if granted.Credential.Scopes, err = checkScopes(connection.Edition, scopes); err != nil {
		return nil, err
	}
	if g.refreshToken.IsZero() {
		return nil, ErrNoRefreshToken
	}
	if err := granted.Credential.Validate(); err != nil {
		return nil, fmt.Errorf("%w: what %s granted can't be stored: %w", ErrUnavailable, p.party, err)
	}
	return granted, nil
}

// clientOf returns the id of the client that asks for consent.
func clientOf(m *Manager, c *tokenstore.Connection, cred *tokenstore.Credential) string {
	switch {
	case cred.Kind == tokenstore.KindOAuth1:
		return cred.ConsumerKey
	case c.Edition == policy.Cloud:
		return m.clientID
	}
	return cred.ClientID
}

// single returns the value of a parameter, which must not be repeated (RFC 6749
// section 3.1).
func single(q url.Values, name string) (string, bool) {
	if len(q[name]) != 1 || q[name][0] == "" {
		return "", false
	}
	return q[name][0], true
}

// refusal is the error that a browser brought back instead of a code (RFC 6749
// section 4.1.2.1). Words that are not in there are not repeated.
func (p *provider) refusal(code string) error {
	switch {
	case code == "access_denied":
		return ErrConsentDenied
	case code == "server_error", code == "temporarily_unavailable":
		return fmt.Errorf("%w: %s answered the request for consent with the error %s", ErrUnavailable, p.party, code)
	case slices.Contains([]string{"invalid_request", "invalid_scope", "unauthorized_client", "unsupported_response_type"}, code):
		return fmt.Errorf("%w as the request for consent needs it: %s answered with the error %s: %s, its redirect URL and its scopes too", ErrNotConfigured, p.party, code, p.remedy)
	}
	return fmt.Errorf("%w: %s answered the request for consent with an error that isn't one of OAuth 2.0", ErrUnavailable, p.party)
}
