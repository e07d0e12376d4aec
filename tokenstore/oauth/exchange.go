package oauth

import (
	"context"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// grant is what the token endpoint gave.
type grant struct {
	accessToken  secret.Secret
	refreshToken secret.Secret // of a refresh: the old one where there was no new one
	scopes       []string      // nil where none were sent
	lifetime     time.Duration
	expiry       time.Time // counted from before the request was sent
}

// exchange trades a refresh token for a new pair, as long as the claim of that is
// held.
func (m *Manager) exchange(ctx context.Context, c *tokenstore.Connection, p *provider, refreshToken secret.Secret, claim *tokenstore.Claim) (grant, *failure) {
	ctx, cancel := whileHeld(ctx, claim)
	defer cancel()
	return m.requestTokens(ctx, c, p, claim.Held, "the refresh", func(ctx context.Context) (*oauth2.Token, error) {
		return p.config().TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken.Reveal()}).Token()
	})
}

// redeem trades an authorization code for a first pair. It must not be called
// twice for one code.
func (m *Manager) redeem(ctx context.Context, c *tokenstore.Connection, p *provider, code, verifier string) (grant, *failure) {
	return m.requestTokens(ctx, c, p, unclaimed, "the authorization code", func(ctx context.Context) (*oauth2.Token, error) {
		return p.config().Exchange(ctx, code, oauth2.VerifierOption(verifier))
	})
}

// unclaimed is for a request that is no other gateway's to make.
func unclaimed() error { return nil }

// requestTokens makes the one request to the token endpoint that request is about,
// of which nothing leaves unless held returns nil.
func (m *Manager) requestTokens(ctx context.Context, c *tokenstore.Connection, p *provider, held func() error, what string, request func(context.Context) (*oauth2.Token, error)) (grant, *failure) {
	transport := &tokenTransport{base: m.transport(c), now: m.now, held: held, json: p.json}
	if p.repeatRedirect {
		transport.redirectURL = p.redirectURL
	}
	before := m.now()
	token, err := request(context.WithValue(ctx, oauth2.HTTPClient, unredirected(transport)))
	if err != nil {
		return grant{}, transport.classify(p, what, err)
	}
	g := grant{
		accessToken:  secret.New(token.AccessToken),
		refreshToken: secret.New(token.RefreshToken),
		lifetime:     transport.lifetime,
		expiry:       before.Add(transport.lifetime).UTC(),
	}
	if scope, ok := token.Extra("scope").(string); ok {
		g.scopes = strings.Fields(scope)
	}
	return g, nil
}

// unredirected is a client to which a redirect is an answer like any other:
// following it would carry secrets and tokens elsewhere.
func unredirected(t http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
