package consent

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"jiragate/tokenstore"
	"jiragate/tokenstore/oauth"
)

// callback is where the authorization server sends the browser back to.
func (v *visit) callback() *page {
	answer, key, ok := parseAnswer(v.r.URL.RawQuery)
	if !ok {
		return v.refused(stateUnknown(), nil)
	}
	// Taken before anything else is looked at: nobody gets a second try.
	s, ok := v.started.take(v.o.Now(), key)
	if !ok {
		return v.refused(stateUnknown(), nil)
	}
	c, p := v.resume(s)
	if p != nil {
		return p
	}
	leave, ok := v.occupy(c.ID)
	if !ok {
		return v.refused(busy(), nil)
	}
	defer leave()
	return v.act(func(ctx context.Context) (page, error) {
		g, err := v.o.Consenter.FinishConsent(ctx, s.consent, answer)
		if err != nil {
			return endingOf(err, c), err
		}
		site, err := g.Site(c)
		switch {
		case errors.Is(err, oauth.ErrChooseSite):
			return v.ask(choice{s, g}, false), err
		case err != nil:
			return endingOf(err, c).given(), err
		}
		return v.connect(ctx, s, g, site)
	})
}

// parseAnswer splits the query of an authorization server's answer. key is what tells
// which question it answers: the state (RFC 6749 section 4.1.2), which an OAuth 1.0a
// callback has, too.
func parseAnswer(raw string) (answer url.Values, key string, ok bool) {
	answer, ok = parseQuery(raw)
	if !ok {
		return nil, "", false
	}
	key = answer.Get("state")
	return answer, key, key != ""
}

// resume checks that the browser is the one that began, and that the connection is
// still what it was.
func (v *visit) resume(s started) (*tokenstore.Connection, *page) {
	c, ok := v.o.Store.Directory().Connection(s.consent.Connection)
	if !ok {
		return nil, v.refused(removed(), nil)
	}
	v.knownAs(c)
	switch {
	case !v.from(v.r, s.browser):
		return nil, v.refused(foreignBrowser(), nil)
	case c.Incarnation != s.consent.Incarnation:
		return nil, v.refused(removed(), nil)
	}
	return c, nil
}

// connect uses the invitation, stores the consent and tries it.
func (v *visit) connect(ctx context.Context, s started, g *oauth.Granted, site oauth.Site) (page, error) {
	id := s.consent.Connection
	err := v.o.Store.WithdrawInvitation(ctx, id, s.invitation.TokenSHA256)
	switch {
	case errors.Is(err, tokenstore.ErrNotFound):
		return linkUsed(), err
	case err != nil:
		return internal().given(), fmt.Errorf("using the invitation: %w", err)
	}
	if err := v.o.Consenter.Connect(ctx, g, site); err != nil {
		return endingOf(err, v.about).given(), errors.Join(err, v.putBack(ctx, s))
	}
	c, ok := v.o.Store.Directory().Connection(id)
	if !ok {
		return removed(), nil
	}
	return v.test(ctx, c), nil
}

// putBack lets a link be used again that was used for nothing. Between the look and
// the change somebody may make another link; that would end then, and theirs is a
// rare loss, which shows.
func (v *visit) putBack(ctx context.Context, s started) error {
	ctx = context.WithoutCancel(ctx) // what failed may have used up the time
	// Connecting may have made it a new incarnation. One that was added since has
	// another birthday.
	c, ok := v.o.Store.Directory().Connection(s.consent.Connection)
	if !ok || !c.CreatedAt.Equal(v.about.CreatedAt) {
		return nil
	}
	if _, err := v.o.Store.Invitation(ctx, c.ID); !errors.Is(err, tokenstore.ErrNotFound) {
		return err
	}
	if err := v.o.Store.Invite(ctx, s.invitation); err != nil {
		return fmt.Errorf("putting the invitation back: %w", err)
	}
	return nil
}

// test makes the first call over the new consent.
func (v *visit) test(ctx context.Context, c *tokenstore.Connection) page {
	if c.State == tokenstore.StateDisabled {
		return connected(c, Tested{Reason: "The connection is switched off at the gateway, so it was not tried."})
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), testTimeout)
	defer cancel()
	t, err := v.o.Test(ctx, c.ID)
	if err != nil {
		v.o.Logger.WarnContext(ctx, "a new consent could not be tested", "connection", c.ID, "error", err, "hint", "jiragate connection test")
		t = Tested{Reason: "The gateway could not make the call."}
	}
	return connected(c, t)
}
