package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"jiragate/tokenstore"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/secret"
)

// beginLink begins the dance of an application link (OAuth 1.0a).
func (m *Manager) beginLink(ctx context.Context, c *Consent, connection *tokenstore.Connection, cred *tokenstore.Credential) error {
	if m.redirectURL == "" {
		return errMissingRedirect
	}
	ctx, cancel := context.WithTimeout(ctx, consentTimeout)
	defer cancel()
	callback := m.redirectURL + "?" + url.Values{"state": {c.State}}.Encode()
	request, err := applink.RequestToken(ctx, m.transport(connection), connection.BaseURL, consumer(cred), callback)
	if err != nil {
		return linkError(err)
	}
	c.redirectURL, c.client, c.request, c.URL = m.redirectURL, cred.ConsumerKey, request, request.AuthorizeURL
	return nil
}

// finishLink ends it. Jira says in the verifier if access was refused.
func (m *Manager) finishLink(ctx context.Context, c *Consent, connection *tokenstore.Connection, cred *tokenstore.Credential, answer url.Values) (*Granted, error) {
	token, ok := single(answer, "oauth_token")
	if !ok || !secret.New(token).Equal(c.request.Token) {
		return nil, ErrStateMismatch
	}
	verifier, ok := single(answer, "oauth_verifier")
	if !ok || !c.answered.CompareAndSwap(false, true) {
		return nil, ErrStateMismatch
	}
	before := m.now()
	access, err := applink.AccessToken(ctx, m.transport(connection), connection.BaseURL, consumer(cred), c.request, verifier)
	if err != nil {
		return nil, linkError(err)
	}
	g := &Granted{Consent: c, edition: connection.Edition, Credential: tokenstore.Credential{
		Kind: tokenstore.KindOAuth1, ConsumerKey: cred.ConsumerKey, PrivateKey: cred.PrivateKey, Token: access.Token,
	}}
	// Nothing prolongs it: the token serves until it ends.
	life{absolute: access.Lifetime}.begin(&g.Credential, before)
	if err := g.Credential.Validate(); err != nil {
		return nil, fmt.Errorf("%w: what Jira granted can't be stored: %w", ErrUnavailable, err)
	}
	return g, nil
}

func consumer(c *tokenstore.Credential) applink.Consumer {
	return applink.Consumer{Key: c.ConsumerKey, PrivateKey: c.PrivateKey}
}

// linkError says in this package's words what became of a dance; applink's say
// what to do.
func linkError(err error) error {
	for _, known := range []struct{ from, to error }{
		{applink.ErrDenied, ErrConsentDenied},
		{applink.ErrConsumer, fmt.Errorf("%w, %w", ErrNotConfigured, ErrClientRejected)},
		{applink.ErrKey, ErrNotConfigured},
		{applink.ErrToken, ErrCodeRefused},
	} {
		if errors.Is(err, known.from) {
			return fmt.Errorf("%w: %w", known.to, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
