package oauth

import (
	"errors"
	"fmt"
)

// The errors of [Manager.AccessToken] and [Manager.Renew] that callers tell apart,
// by [errors.Is].
var (
	// ErrNeedsReauthorisation: the grant is gone, or there never was a refresh
	// token. Only a new consent helps.
	ErrNeedsReauthorisation = errors.New("the connection must be authorised again by an administrator of its Jira site")

	// ErrUnavailable: what was asked for can't be had at the moment, but perhaps
	// later.
	ErrUnavailable = errors.New("no access token can be had at the moment")

	// ErrNotConfigured: the gateway has no OAuth client for the connection, or one
	// that is not set up at the authorization server as it must be, or that it does
	// not accept ([ErrClientRejected]).
	ErrNotConfigured = errors.New("the OAuth client is not configured")

	// ErrClientRejected: the authorization server does not accept the client id or
	// its secret. Such errors are ErrNotConfigured as well. The connection is not to
	// blame.
	ErrClientRejected = errors.New("the OAuth client is refused")

	// ErrStillRefused: Jira refuses a token that was renewed for that reason, so that another
	// one would be no better. A scope that is missing shows so, too.
	ErrStillRefused = errors.New("an access token that was renewed because Jira had refused the one before is refused as well")

	// ErrReplaced: the connection is no longer of the incarnation that was asked
	// for. What the caller knows of it, where it leads above all, is out of date.
	ErrReplaced = errors.New("the connection was replaced in the meantime")

	// ErrDisabled: an operator has switched the connection off.
	ErrDisabled = errors.New("the connection is disabled")
)

// The errors of a consent, beside those above, [ScopeError] and [SiteError].
var (
	// ErrNotServed: the connection belongs to a region that this gateway doesn't
	// serve.
	ErrNotServed = errors.New("the connection belongs to the gateway of another region")

	// ErrConsentDenied: whoever was asked for consent said no.
	ErrConsentDenied = errors.New("the consent was denied")

	// ErrStateMismatch: the answer is not one to this request for consent, or lacks
	// what it must have, or was given before.
	ErrStateMismatch = errors.New("the answer does not belong to this request for consent")

	// ErrCodeRefused: the authorization server does not accept the code that it gave
	// the browser: it is too old, or used.
	ErrCodeRefused = errors.New("the authorization code is not accepted")

	// ErrNoRefreshToken: the grant has none, and would end with its access token.
	ErrNoRefreshToken = errors.New("the grant has no refresh token")

	// ErrNoSites: the grant leads to no Jira site.
	ErrNoSites = errors.New("the grant leads to no Jira site")

	// ErrChooseSite: the grant leads to several sites, and the connection says
	// nothing of which it means.
	ErrChooseSite = errors.New("the grant leads to several Jira sites: choose one")
)

var (
	errMissingClient   = fmt.Errorf("%w: set JIRAGATE_OAUTH_CLIENT_ID and JIRAGATE_OAUTH_CLIENT_SECRET_FILE to those of the app registered with Atlassian", ErrNotConfigured)
	errMissingLink     = fmt.Errorf("%w: the connection has no client id and secret, which Jira shows for an incoming application link", ErrNotConfigured)
	errMissingRedirect = fmt.Errorf("%w: set JIRAGATE_OAUTH_REDIRECT_URL to the callback URL of this gateway, as it is registered with the authorization server", ErrNotConfigured)
	errClosed          = fmt.Errorf("%w: the gateway is shutting down", ErrUnavailable)

	// errDeadGrant and errNoRefreshToken are where ErrNeedsReauthorisation begins.
	errDeadGrant      = errors.New("the refresh token is no longer accepted")
	errNoRefreshToken = errors.New("there is no refresh token (was the scope offline_access granted?)")
)

// passing reports whether err may go away by itself, so that a token which is
// still valid is good enough until then.
func passing(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotConfigured)
}
