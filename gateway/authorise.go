package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"jiragate/tokenstore"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/oauth"
	"jiragate/tokenstore/secret"
)

// authorise puts the connection's credential on the outgoing request, as the
// last thing that happens to its header, and remembers what must not come back
// (G3, G4).
func (g *Gateway) authorise(ctx context.Context, c *Call) (refused *refusal) {
	if c.span.IsRecording() { // a child of one that isn't is of no use to anybody
		var span trace.Span
		ctx, span = g.tracer.Start(ctx, "credential")
		defer func() { endCredentialSpan(span, c, refused) }()
	}
	patient := &c.patience
	if c.connection.CredentialKind == tokenstore.KindOAuth2 {
		patient = new(patience) // a refresh goes on with it when other calls have this one's memory
	}
	patient.begin(ctx, credentialTimeout)
	defer patient.finish()
	ctx = patient

	if c.connection.State == tokenstore.StateNeedsReauthorisation {
		return needsReauthorisation(c.connection, nil)
	}
	if c.connection.CredentialKind == tokenstore.KindOAuth2 {
		asked := time.Now()
		token, err := g.options.Tokens.AccessToken(ctx, c.connection.ID, c.connection.Incarnation)
		c.away(asked)
		if err != nil {
			return credentialRefusal(c.connection, err)
		}
		c.token = token
		c.fields.set("Authorization", bearer(token, &c.secrets))
		return nil
	}
	credential, refused := g.stored(ctx, c)
	if refused != nil {
		return refused
	}
	c.generation = credential.Generation
	value, err := authorization(c.out, &credential, &c.secrets)
	if err != nil {
		return credentialRefusal(c.connection, err)
	}
	c.fields.set("Authorization", value)
	return nil
}

// stored reads a credential that is used as it is stored. A password is used
// when it is its turn: see proofs.
func (g *Gateway) stored(ctx context.Context, c *Call) (tokenstore.Credential, *refusal) {
	var none tokenstore.Credential
	for {
		credential, err := g.options.Credentials.Credential(ctx, c.connection.ID)
		switch {
		case err != nil:
			return none, credentialRefusal(c.connection, err)
		case credential.Incarnation() != c.connection.Incarnation:
			return none, replaced()
		case credential.Kind != tokenstore.KindBasic:
			return credential, g.stillCallable(c)
		}
		if !c.turn.holds(credential.Generation) {
			c.turn.done(false) // of a credential that was replaced meanwhile
			asked := time.Now()
			c.turn, err = g.proofs.take(ctx, c.connection.ID, credential.Generation)
			c.away(asked)
			if err != nil {
				return none, credentialRefusal(c.connection, err)
			}
			if !c.turn.fresh {
				continue
			}
		}
		// Looked at once more, since the call that went first may have found that Jira
		// refuses it: what that has stored is seen by who gets the next turn.
		return credential, g.stillCallable(c)
	}
}

// stillCallable looks at the connection as it is now.
func (g *Gateway) stillCallable(c *Call) *refusal {
	now, ok := g.directory().Connection(c.connection.ID)
	switch {
	case !ok || now.Incarnation != c.connection.Incarnation:
		return replaced()
	case now.State == tokenstore.StateNeedsReauthorisation:
		return needsReauthorisation(now, nil)
	}
	return c.resolver.usable(now)
}

// authorization is the header value for a request by a credential that is used
// as stored.
func authorization(r *http.Request, credential *tokenstore.Credential, s *secrets) (string, error) {
	switch credential.Kind {
	case tokenstore.KindPAT:
		return bearer(credential.Token, s), nil
	case tokenstore.KindOAuth1:
		s.add(credential.Token.Reveal())
		return applink.Sign(r, applink.Consumer{Key: credential.ConsumerKey, PrivateKey: credential.PrivateKey}, credential.Token)
	}
	// RFC 7617, in UTF-8.
	var room [2 * usualPair]byte
	joined := append(append(append(room[:0], credential.Username...), ':'), credential.Password.Reveal()...)
	var encoded [len(basicScheme) + 2*usualPair]byte
	pair, value := string(joined), string(base64.StdEncoding.AppendEncode(append(encoded[:0], basicScheme...), joined))
	s.addSince(pair, len(credential.Username)+1)
	s.add(value[len(basicScheme):])
	if password := credential.Password.Reveal(); len(password) >= shortSecret {
		s.add(password)
		s.addRun(password)
	}
	return value, nil
}

const (
	basicScheme = "Basic "
	// usualPair is the size of most user names and passwords together.
	usualPair = 64
)

// bearer is the header value of a token (RFC 6750).
func bearer(token secret.Secret, s *secrets) string {
	value := "Bearer " + token.Reveal()
	s.add(token.Reveal())
	s.addRun(token.Reveal())
	s.addBase64(value)
	return value
}

// needsReauthorisation says what is the matter with the connection in the words
// of its state, if it has any.
func needsReauthorisation(c *tokenstore.Connection, cause error) *refusal {
	detail := "Jira no longer accepts this connection's credential. Its administrator must consent again or give it a new one"
	if c.StateReason != "" {
		detail = "The connection needs a person: " + c.StateReason
	}
	return &refusal{code: CodeNeedsReauthorisation, cause: cause, detail: detail + ". Until then calls are refused here."}
}

// replaced refuses a call whose connection is another by now: it may lead
// elsewhere, and its credential with it (G3).
func replaced() *refusal {
	return refuse(CodeConnectionReplaced, "The connection was removed or replaced while the call was on its way. Nothing was sent; call again.")
}

// credentialRefusal tells a grant that is gone from a passing failure.
func credentialRefusal(c *tokenstore.Connection, err error) *refusal {
	switch {
	case errors.Is(err, oauth.ErrReplaced), errors.Is(err, tokenstore.ErrNotFound):
		return replaced()
	case errors.Is(err, oauth.ErrNeedsReauthorisation):
		return needsReauthorisation(c, err)
	case errors.Is(err, oauth.ErrNotConfigured):
		return &refusal{code: CodeCredentialUnconfigured, cause: err,
			detail: "The gateway's OAuth client is not configured or not accepted (JIRAGATE_OAUTH_CLIENT_ID, JIRAGATE_OAUTH_CLIENT_SECRET_FILE)."}
	case errors.Is(err, errScoutAway), errors.Is(err, errBlocked):
		return &refusal{code: CodeCredentialUnavailable, cause: err,
			detail: "Whether Jira still accepts the connection's password is being found out by another call, so that the account is not locked. Nothing was sent; try again shortly."}
	case errors.Is(err, context.Canceled):
		return &refusal{code: CodeClientDisconnected, detail: "The client went away.", cause: err}
	}
	return &refusal{code: CodeCredentialUnavailable, cause: err,
		detail: "The connection's credential could not be had: the authorisation server or the store did not answer. Try again shortly."}
}
