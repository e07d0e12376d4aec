package oauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"golang.org/x/oauth2"
)

// failure is why a token request gave nothing.
type failure struct {
	err        error
	retryAfter time.Duration // what the server asked for; 0: nothing
	// untouched: what was to be exchanged certainly wasn't, and is as good as before.
	// Otherwise the answer may have got lost.
	untouched bool
}

// definiteCodes are the errors of a token endpoint (RFC 6749 section 5.2) which
// say that it has looked at the request, and not exchanged anything. invalid_grant
// is for itself.
var definiteCodes = []string{"invalid_client", "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type"}

// otherCodes are worth repeating, too (section 4.1.2.1). Another text in their
// place might be anything, a reflected secret too.
var otherCodes = []string{"access_denied", "invalid_grant", "server_error", "temporarily_unavailable"}

// classify turns what x/oauth2 says of a failed token request into an error of
// ours. Its text is written here throughout: x/oauth2's holds the body of the
// answer, and net/http's may quote what the server sent. what is the request: "the
// refresh".
func (t *tokenTransport) classify(p *provider, what string, err error) *failure {
	if t.status == 0 {
		return t.classifyNoAnswer(p, what, err)
	}
	f := &failure{retryAfter: t.retryAfter}
	code := ""
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && (slices.Contains(definiteCodes, e.ErrorCode) || slices.Contains(otherCodes, e.ErrorCode)) {
		code = e.ErrorCode
	}
	// The statuses that Atlassian sends such errors with, now or formerly. The
	// same words in, say, a 503 are not the token endpoint's own.
	switch t.status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		f.untouched = slices.Contains(definiteCodes, code)
		switch code {
		case "invalid_grant":
			f.err = errDeadGrant
			return f
		case "invalid_client", "unauthorized_client":
			f.err = p.errRefusedClient()
			return f
		}
	}
	if code != "" {
		f.err = fmt.Errorf("%w: %s answered %s with status %d and the error %s", ErrUnavailable, p.party, what, t.status, code)
	} else {
		f.err = fmt.Errorf("%w: %s answered %s with status %d and without a usable token", ErrUnavailable, p.party, what, t.status)
	}
	return f
}

// classifyNoAnswer: as long as nothing of the request was sent, the error can't
// hold anything of it, and says which address, name or certificate is at fault.
func (t *tokenTransport) classifyNoAnswer(p *provider, what string, err error) *failure {
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case t.unheld:
		return &failure{err: fmt.Errorf("%w; nothing was sent", errUnheld), untouched: true}
	case t.held() != nil:
		err = fmt.Errorf("%w; %s was on its way to %s", errUnheld, what, p.party)
	case errors.Is(err, errOversize):
		err = fmt.Errorf("%w: %s's answer to %s is longer than %d bytes", ErrUnavailable, p.party, what, maxAnswer)
	case t.cause != nil && !t.sent.Load():
		return &failure{
			err:       fmt.Errorf("%w: %s's token endpoint can't be reached: %w", ErrUnavailable, p.party, t.cause),
			untouched: true,
		}
	case errors.Is(err, context.DeadlineExceeded), ok && timeout.Timeout():
		err = fmt.Errorf("%w: %s's token endpoint did not answer in time: %w", ErrUnavailable, p.party, context.DeadlineExceeded)
	default:
		err = fmt.Errorf("%w: the connection to %s's token endpoint broke before the answer was complete", ErrUnavailable, p.party)
	}
	return &failure{err: err}
}
