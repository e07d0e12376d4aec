package oauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"golang.org/x/oauth2"
)

// The errors of [Manager.AccessToken] that callers tell apart, by [errors.Is].
var (
	// ErrNeedsReauthorisation: the grant is gone, or there never was a refresh
	// token. Only a new consent helps.
	ErrNeedsReauthorisation = errors.New("the connection must be authorised again by an administrator of its Jira site")

	// ErrUnavailable: there is no token at the moment, but there may be one later.
	ErrUnavailable = errors.New("no access token can be had at the moment")

	// ErrNotConfigured: the gateway has no OAuth client to refresh with, or one
	// that Atlassian does not accept ([ErrClientRejected]).
	ErrNotConfigured = errors.New("the OAuth client is not configured")

	// ErrClientRejected: Atlassian does not accept the client id or its secret.
	// Such errors are ErrNotConfigured as well. The connection is not to blame.
	ErrClientRejected = errors.New("the OAuth client is refused")

	// ErrReplaced: the connection is no longer of the incarnation that was asked
	// for. What the caller knows of it, where it leads above all, is out of date.
	ErrReplaced = errors.New("the connection was replaced while the call was under way")

	// ErrDisabled: an operator has switched the connection off.
	ErrDisabled = errors.New("the connection is disabled")
)

var (
	errMissingClient = fmt.Errorf("%w: set JIRAGATE_OAUTH_CLIENT_ID and JIRAGATE_OAUTH_CLIENT_SECRET_FILE to those of the app registered with Atlassian", ErrNotConfigured)
	errRefusedClient = fmt.Errorf("%w, %w by Atlassian: compare JIRAGATE_OAUTH_CLIENT_ID and JIRAGATE_OAUTH_CLIENT_SECRET_FILE with the app registered there", ErrNotConfigured, ErrClientRejected)
	errClosed        = fmt.Errorf("%w: the gateway is shutting down", ErrUnavailable)
	errSlow          = fmt.Errorf("%w: the refresh takes long", ErrUnavailable)

	// errDeadGrant and errNoRefreshToken are where ErrNeedsReauthorisation begins.
	errDeadGrant      = errors.New("the refresh token is no longer accepted by Atlassian (invalid_grant)")
	errNoRefreshToken = errors.New("there is no refresh token (was the scope offline_access granted?)")
)

// passing reports whether err may go away by itself, so that a token which is
// still valid is good enough until then.
func passing(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotConfigured)
}

// knownCodes are the error codes worth repeating (RFC 6749, sections 4.1.2.1 and
// 5.2). Another text in their place might be anything, a reflected secret too.
var knownCodes = []string{
	"access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope", "server_error",
	"temporarily_unavailable", "unauthorized_client", "unsupported_grant_type",
}

// classify turns what x/oauth2 says of a failed refresh into an error of ours.
// Its text is written here throughout: x/oauth2's holds the body of the answer,
// and net/http's may quote what the server sent.
func (t *jsonTransport) classify(err error) error {
	if t.status == 0 {
		return t.classifyNoAnswer(err)
	}
	code := ""
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && slices.Contains(knownCodes, e.ErrorCode) {
		code = e.ErrorCode
	}
	// The statuses that Atlassian sends such errors with, now or formerly. The
	// same words in, say, a 503 are not the token endpoint's own.
	switch t.status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		switch code {
		case "invalid_grant":
			return errDeadGrant
		case "invalid_client", "unauthorized_client":
			return errRefusedClient
		}
	}
	if code != "" {
		return fmt.Errorf("%w: Atlassian answered the refresh with status %d and the error %s", ErrUnavailable, t.status, code)
	}
	return fmt.Errorf("%w: Atlassian answered the refresh with status %d and without a usable token", ErrUnavailable, t.status)
}

// classifyNoAnswer: as long as nothing of the request was sent, the error can't
// hold anything of it, and says which address, name or certificate is at fault.
func (t *jsonTransport) classifyNoAnswer(err error) error {
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errOversize):
		return fmt.Errorf("%w: Atlassian's answer to the refresh is longer than %d bytes", ErrUnavailable, maxAnswer)
	case t.cause != nil && !t.sent.Load():
		return fmt.Errorf("%w: Atlassian's token endpoint can't be reached: %w", ErrUnavailable, t.cause)
	case errors.Is(err, context.DeadlineExceeded), ok && timeout.Timeout():
		return fmt.Errorf("%w: Atlassian's token endpoint did not answer in time: %w", ErrUnavailable, context.DeadlineExceeded)
	}
	return fmt.Errorf("%w: the connection to Atlassian's token endpoint broke before the answer was complete", ErrUnavailable)
}
