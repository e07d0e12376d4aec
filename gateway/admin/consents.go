package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"jiragate/gateway/admin/consent"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/oauth"
)

// How long a link to a consent is good.
const (
	defaultInvitation = 7 * 24 * time.Hour
	minInvitation     = time.Minute
	maxInvitation     = 30 * 24 * time.Hour
)

// Consenter is what the API needs of an oauth.Manager.
type Consenter interface {
	consent.Consenter
	Revoke(ctx context.Context, connection string) (oauth.Revocation, error)
	Status(ctx context.Context, connection string) (oauth.GrantStatus, error)
}

// Invited is a connection with a link for the administrator of its Jira, who
// consents there. The link is secret, and shown this once. A connection that was
// added with its consent comes without.
type Invited struct {
	Connection
	ConsentURL       string    `json:"consent_url,omitempty"`
	ConsentExpiresAt time.Time `json:"consent_expires_at,omitzero"`
}

// NewConsentLink asks for a new link to the consent of a connection.
type NewConsentLink struct {
	ExpiresIn int64 `json:"expires_in,omitempty"` // seconds; 0 means seven days
}

// Grant is what there is to know of a connection's consent. Times that aren't known
// are left out.
type Grant struct {
	Consented       bool      `json:"consented"`
	ConsentedAt     time.Time `json:"consented_at,omitzero"`
	AccessExpiresAt time.Time `json:"access_expires_at,omitzero"`
	LapsesAt        time.Time `json:"lapses_at,omitzero"` // if the refresh token isn't used until then
	EndsAt          time.Time `json:"ends_at,omitzero"`   // whatever is done
	// Rotation is "refreshing", "ambiguous" (the answer was lost, and is asked for
	// again) or empty.
	Rotation      string    `json:"rotation,omitempty"`
	RotationSince time.Time `json:"rotation_since,omitzero"`
	NextRefreshAt time.Time `json:"next_refresh_at,omitzero"`
}

// inviteAgain makes a new link for a connection, in any state. The one before it
// ends; the consent that there is doesn't, until the new one takes its place.
func (a *API) inviteAgain(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	c, err := a.connection(r)
	if err != nil {
		return answer{}, err
	}
	t.about(c)
	var body NewConsentLink
	if err := decodeOptional(w, r, &body); err != nil {
		return answer{}, err
	}
	if err := a.consentable(r.Context(), c); err != nil {
		return answer{}, err
	}
	lifetime, err := a.invitable(c.Edition, body.ExpiresIn)
	if err != nil {
		return answer{}, err
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	return a.invite(ctx, http.StatusOK, c, lifetime)
}

// consentable reports whether there is anything to consent to.
func (a *API) consentable(ctx context.Context, c *tokenstore.Connection) error {
	switch c.CredentialKind {
	case tokenstore.KindBasic, tokenstore.KindPAT:
		p := refuse(http.StatusConflict, CodeConflict, "connection %q has a credential of kind %s, which nobody consents to", c.ID, c.CredentialKind)
		p.Hint = "jiragate connection credential " + c.ID + " gives it a new one"
		return p
	case tokenstore.KindOAuth2:
		if c.Edition == policy.Cloud {
			return nil
		}
		cred, err := a.o.Store.Credential(ctx, c.ID)
		if err == nil && cred.ClientID == "" {
			return refuse(http.StatusConflict, CodeConflict, "connection %q has no client_id and client_secret to ask for consent with: remove it and add it again with those", c.ID)
		}
		return err
	}
	return nil
}

// invitable reports whether the gateway can ask for consents, and returns for how
// long a link should be good.
func (a *API) invitable(e policy.Edition, seconds int64) (time.Duration, error) {
	if a.o.RedirectURL == "" {
		return 0, noRedirectURL()
	}
	if e == policy.Cloud && a.o.ConsentReady != nil {
		if err := a.o.ConsentReady(); err != nil {
			return 0, refuse(http.StatusServiceUnavailable, CodeNotConfigured, "nobody can be asked for consent: %v", err)
		}
	}
	switch {
	case seconds == 0:
		return defaultInvitation, nil
	case seconds < int64(minInvitation/time.Second), seconds > int64(maxInvitation/time.Second):
		return 0, invalid("expires_in is in seconds: use %d to %d", int64(minInvitation/time.Second), int64(maxInvitation/time.Second))
	}
	return time.Duration(seconds) * time.Second, nil
}

func noRedirectURL() *Problem {
	p := refuse(http.StatusServiceUnavailable, CodeNotConfigured, "nobody can be asked for consent: JIRAGATE_OAUTH_REDIRECT_URL is not set")
	p.Hint = "set it to the redirect URL that is registered with Atlassian or in Jira: https://HOST[/PATH]/oauth/callback, from where browsers reach JIRAGATE_ADMIN_LISTEN"
	return p
}

// invite makes the link and answers with it.
func (a *API) invite(ctx context.Context, status int, c *tokenstore.Connection, lifetime time.Duration) (answer, error) {
	invitation, link := consent.NewInvitation(a.o.RedirectURL, c.ID, a.o.Now().Add(lifetime))
	if err := a.o.Store.Invite(ctx, invitation); err != nil {
		return answer{}, err
	}
	shown, err := a.inFull(ctx, c)
	if err != nil {
		return answer{}, err
	}
	a.o.Logger.InfoContext(ctx, "link to a consent made", "connection", c.ID, "expires", invitation.ExpiresAt)
	return answer{status: status, body: Invited{Connection: shown, ConsentURL: link.Reveal(), ConsentExpiresAt: invitation.ExpiresAt.UTC()}}, nil
}

// inFull is a connection with what takes a look into its credential.
func (a *API) inFull(ctx context.Context, c *tokenstore.Connection) (Connection, error) {
	shown := connectionOf(c)
	switch c.CredentialKind {
	case tokenstore.KindBasic, tokenstore.KindPAT:
		return shown, nil
	case tokenstore.KindOAuth1:
		cred, err := a.o.Store.Credential(ctx, c.ID)
		if err != nil {
			return shown, err
		}
		shown.ConsumerKey = cred.ConsumerKey
		if shown.PublicKey, err = applink.PublicKey(cred.PrivateKey); err != nil {
			return shown, err
		}
	}
	if c.Edition == policy.DataCenter {
		shown.CallbackURL = a.o.RedirectURL
	}
	if a.o.Consenter == nil {
		return shown, nil
	}
	s, err := a.o.Consenter.Status(ctx, c.ID)
	if err != nil {
		return shown, err
	}
	shown.Grant = &Grant{
		Consented:       s.Consented,
		ConsentedAt:     s.ConsentedAt,
		AccessExpiresAt: s.AccessExpiresAt,
		LapsesAt:        s.LapsesAt,
		EndsAt:          s.EndsAt,
		Rotation:        s.Rotation,
		RotationSince:   s.RotationSince,
		NextRefreshAt:   s.NextRefreshAt,
	}
	return shown, nil
}

// testConsent is the probe, as the consent in the browser wants it. Its detail is for
// operators, and may name what is inside; the code is for everybody.
func (a *API) testConsent(ctx context.Context, connection string) (consent.Tested, error) {
	result, err := a.o.Probe(ctx, connection)
	t := consent.Tested{OK: result.OK, Account: result.Account}
	switch {
	case err != nil:
		return consent.Tested{}, err
	case result.Code != "":
		t.Reason = fmt.Sprintf("The gateway could not make the call (%s).", result.Code)
	case !result.OK:
		t.Reason = fmt.Sprintf("Jira answered the call with status %d.", result.Status)
	}
	return t, nil
}
