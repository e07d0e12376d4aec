package gateway

import (
	"context"
	"encoding/base64"
	"errors"

	"go.opentelemetry.io/otel/attribute"

	"jiragate/tokenstore"
	"jiragate/tokenstore/oauth"
	"jiragate/tokenstore/secret"
)

// authorise puts the connection's credential on the outgoing request, as the
// last thing that happens to its header, and remembers what must not come back
// (G3, G4).
func (g *Gateway) authorise(ctx context.Context, c *Call) *refusal {
	ctx, span := g.tracer.Start(ctx, "credential")
	defer span.End()
	ctx, cancel := context.WithTimeout(ctx, credentialTimeout)
	defer cancel()
	span.SetAttributes(attribute.String("jiragate.credential", string(c.connection.CredentialKind)))

	if c.connection.State == tokenstore.StateNeedsReauthorisation {
		return needsReauthorisation(nil)
	}
	var value string
	switch c.connection.CredentialKind {
	case tokenstore.KindOAuth2:
		token, err := g.options.Tokens.AccessToken(ctx, c.connection.ID, c.connection.Incarnation)
		if err != nil {
			return credentialRefusal(err)
		}
		value = bearer(token, &c.secrets)
	default:
		credential, err := g.options.Credentials.Credential(ctx, c.connection.ID)
		if err != nil {
			return credentialRefusal(err)
		}
		if credential.Incarnation() != c.connection.Incarnation {
			return replaced()
		}
		value = authorization(&credential, &c.secrets)
	}
	c.out.Header["Authorization"] = []string{value}
	return nil
}

// authorization is the header value of a credential that is used as stored.
func authorization(credential *tokenstore.Credential, s *secrets) string {
	if credential.Kind == tokenstore.KindPAT {
		return bearer(credential.Token, s)
	}
	// RFC 7617, in UTF-8.
	pair := credential.Username + ":" + credential.Password.Reveal()
	encoded := base64.StdEncoding.EncodeToString([]byte(pair))
	s.add(pair)
	s.add(encoded)
	if password := credential.Password.Reveal(); len(password) >= shortSecret {
		s.add(password)
		s.addRun(password)
	}
	return "Basic " + encoded
}

// bearer is the header value of a token (RFC 6750).
func bearer(token secret.Secret, s *secrets) string {
	value := "Bearer " + token.Reveal()
	s.add(token.Reveal())
	s.addRun(token.Reveal())
	s.addBase64(value)
	return value
}

func needsReauthorisation(cause error) *refusal {
	return &refusal{code: CodeNeedsReauthorisation, cause: cause,
		detail: "Jira no longer accepts this connection's grant. Its administrator must connect it again; until then calls are refused here."}
}

// replaced refuses a call whose connection is another by now: it may lead
// elsewhere, and its credential with it (G3).
func replaced() *refusal {
	return refuse(CodeConnectionReplaced, "The connection was removed or replaced while the call was on its way. Nothing was sent; call again.")
}

// credentialRefusal tells a grant that is gone from a passing failure.
func credentialRefusal(err error) *refusal {
	switch {
	case errors.Is(err, oauth.ErrReplaced), errors.Is(err, tokenstore.ErrNotFound):
		return replaced()
	case errors.Is(err, oauth.ErrNeedsReauthorisation):
		return needsReauthorisation(err)
	case errors.Is(err, oauth.ErrNotConfigured):
		return &refusal{code: CodeCredentialUnconfigured, cause: err,
			detail: "The gateway's OAuth client is not configured or not accepted (JIRAGATE_OAUTH_CLIENT_ID, JIRAGATE_OAUTH_CLIENT_SECRET_FILE)."}
	case errors.Is(err, context.Canceled):
		return &refusal{code: CodeClientDisconnected, detail: "The client went away.", cause: err}
	}
	return &refusal{code: CodeCredentialUnavailable, cause: err,
		detail: "The connection's credential could not be had: the authorisation server or the store did not answer. Try again shortly."}
}
