package consent

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/oauth"
)

// started is a consent that was asked for, and waits for the browser to come back.
type started struct {
	consent    *oauth.Consent
	invitation tokenstore.Invitation
	browser    digest
}

// start is the link: whoever has it is sent on to the authorization server.
func (v *visit) start() *page {
	invitation, ok := v.invited()
	if !ok {
		return v.refused(linkUnknown(), nil)
	}
	c, ok := v.o.Store.Directory().Connection(invitation.Connection)
	if !ok {
		return v.refused(linkUnknown(), nil)
	}
	if !v.o.Now().Before(invitation.ExpiresAt) {
		return v.refused(linkExpired(), fmt.Errorf("the link of connection %s ended at %s", c.ID, invitation.ExpiresAt.UTC().Format(time.RFC3339)))
	}
	v.knownAs(c)
	if v.o.Consenter == nil || v.host == "" {
		return v.refused(notConfigured(), nil)
	}
	leave, ok := v.occupy(c.ID)
	if !ok {
		return v.refused(busy(), nil)
	}
	defer leave()
	ctx, cancel := context.WithTimeout(v.r.Context(), beginTimeout)
	defer cancel()
	consent, err := v.o.Consenter.BeginConsent(ctx, c.ID)
	if err != nil {
		return v.refused(endingOf(err, c), err)
	}
	browser := v.mark(v.w, v.r)
	v.started.put(v.o.Now(), consent.State, invitation.TokenSHA256, v.addr(), started{consent, invitation, browser})
	v.o.Logger.InfoContext(ctx, "consent asked for", "connection", c.ID, "addr", v.o.Acts.Address(v.r.RemoteAddr))

	// No body: http.Redirect would write the URL, and so the state, into one.
	secured(v.w.Header())
	v.w.Header().Set("Location", consent.URL)
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// invited returns the invitation that the visitor has, which may have expired. It
// costs a look into the store at most.
func (v *visit) invited() (tokenstore.Invitation, bool) {
	var none tokenstore.Invitation
	query, ok := parseQuery(v.r.URL.RawQuery)
	if !ok {
		return none, false
	}
	id, token, ok := parseInvitation(query.Get("invitation"))
	if !ok {
		return none, false
	}
	i, err := v.o.Store.Invitation(v.r.Context(), id)
	if err != nil {
		if !errors.Is(err, tokenstore.ErrNotFound) {
			v.o.Logger.ErrorContext(v.r.Context(), "an invitation can't be read", "connection", id, "error", err,
				"hint", "jiragate store check tells whether the store is at fault; make a new link: jiragate connection consent")
		}
		return none, false
	}
	return i, subtle.ConstantTimeCompare(i.TokenSHA256[:], token[:]) == 1
}

// parseQuery accepts well-formed queries in which each name stands once: with two of
// a name it would depend on the reader which one counts.
func parseQuery(raw string) (url.Values, bool) {
	if len(raw) > maxQuery {
		return nil, false
	}
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, false
	}
	for _, values := range q {
		if len(values) != 1 {
			return nil, false
		}
	}
	return q, true
}
