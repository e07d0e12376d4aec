package admin

import (
	"encoding/json"
	"fmt"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// Values of this type live only between the body of a request, the one place where
// the parts of a credential are plain text, and a tokenstore.Credential. They print
// redacted.

// credentialBody is what opens a connection. Which members there are depends on the kind.
type credentialBody struct {
	Kind         string    `json:"kind"` // may be missing for Cloud, which has oauth2 alone
	Username     string    `json:"username,omitzero"`
	Password     string    `json:"password,omitzero"`
	Token        string    `json:"token,omitzero"`
	AccessToken  string    `json:"access_token,omitzero"`
	RefreshToken string    `json:"refresh_token,omitzero"`
	Expiry       time.Time `json:"expiry,omitzero"`
	Scopes       []string  `json:"scopes,omitempty"`
	ConsentedAt  time.Time `json:"consented_at,omitzero"`
	ClientID     string    `json:"client_id,omitzero"`
	ClientSecret string    `json:"client_secret,omitzero"`
	ConsumerKey  string    `json:"consumer_key,omitzero"`
	PrivateKey   string    `json:"private_key,omitzero"` // PEM
}

func credentialBodyOf(c tokenstore.Credential) credentialBody {
	return credentialBody{
		Kind:         string(c.Kind),
		Username:     c.Username,
		Password:     c.Password.Reveal(),
		Token:        c.Token.Reveal(),
		AccessToken:  c.AccessToken.Reveal(),
		RefreshToken: c.RefreshToken.Reveal(),
		Expiry:       c.Expiry,
		Scopes:       c.Scopes,
		ConsentedAt:  c.ConsentedAt,
		ClientID:     c.ClientID,
		ClientSecret: c.ClientSecret.Reveal(),
		ConsumerKey:  c.ConsumerKey,
		PrivateKey:   c.PrivateKey.Reveal(),
	}
}

// credential is what the body says. It is not checked yet: parts of it may be for
// the gateway to add.
func (b credentialBody) credential() tokenstore.Credential {
	return tokenstore.Credential{
		Kind:         tokenstore.CredentialKind(b.Kind),
		Username:     b.Username,
		Password:     secret.New(b.Password),
		Token:        secret.New(b.Token),
		AccessToken:  secret.New(b.AccessToken),
		RefreshToken: secret.New(b.RefreshToken),
		Expiry:       b.Expiry,
		Scopes:       b.Scopes,
		ConsentedAt:  b.ConsentedAt,
		ClientID:     b.ClientID,
		ClientSecret: secret.New(b.ClientSecret),
		ConsumerKey:  b.ConsumerKey,
		PrivateKey:   secret.New(b.PrivateKey),
	}
}

// Format never shows the parts, whatever the verb.
func (b credentialBody) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%q credential, REDACTED", b.Kind)
}

// EncodeCredential is the request body of replacing a credential, in the
// clear: for the socket or the handler, and for nothing else.
func EncodeCredential(c tokenstore.Credential) ([]byte, error) {
	return json.Marshal(credentialBodyOf(c))
}
