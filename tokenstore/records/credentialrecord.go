package records

import (
	"encoding/json"
	"time"
)

// credentialRecord is the plaintext of a sealed credential. Kind and generation
// are those of the connection record, to which it is bound.
type credentialRecord struct {
	Username     string    `json:"username,omitempty"`
	Password     string    `json:"password,omitempty"`
	Token        string    `json:"token,omitempty"`
	AccessToken  string    `json:"access_token,omitempty"`
	RefreshToken string    `json:"refresh_token,omitempty"`
	Expiry       time.Time `json:"expiry,omitzero"`
	Scopes       []string  `json:"scopes,omitempty"`
	ClientID     string    `json:"client_id,omitempty"`
	ClientSecret string    `json:"client_secret,omitempty"`
	RedirectURL  string    `json:"redirect_url,omitempty"`
	ConsumerKey  string    `json:"consumer_key,omitempty"`
	PrivateKey   string    `json:"private_key,omitempty"`
	ConsentedAt  time.Time `json:"consented_at,omitzero"`
	LapsesAt     time.Time `json:"lapses_at,omitzero"`
	EndsAt       time.Time `json:"ends_at,omitzero"`
}

// decode reads a record. Not decode of records.go, which makes copies that nobody
// wipes, and need not: what opens is what was sealed.
func (c *credentialRecord) decode(plaintext []byte) error {
	if c.decodePlain(plaintext) {
		return nil
	}
	var read credentialRecord // not c, which has no memory of its own as long as encoding/json doesn't see it
	if err := json.Unmarshal(plaintext, &read); err != nil {
		// Without the cause, which may quote what was decrypted.
		return corruptf("a sealed record opens but is not a credential")
	}
	*c = read
	return nil
}

// decodePlain reads what putCredential has encoded, as long as no string of it has
// an escape: a call would pay more for reflection than for decryption. Where it
// reports false, encoding/json has to do it.
func (c *credentialRecord) decodePlain(b []byte) bool { return plainFields(b, c.field) }

// field reads the value of a field, and returns what follows it.
func (c *credentialRecord) field(name, b []byte) (rest []byte, ok bool) {
	var text *string
	var at *time.Time
	switch string(name) {
	case "username":
		text = &c.Username
	case "password":
		text = &c.Password
	case "token":
		text = &c.Token
	case "access_token":
		text = &c.AccessToken
	case "refresh_token":
		text = &c.RefreshToken
	case "client_id":
		text = &c.ClientID
	case "client_secret":
		text = &c.ClientSecret
	case "redirect_url":
		text = &c.RedirectURL
	case "consumer_key":
		text = &c.ConsumerKey
	case "private_key":
		text = &c.PrivateKey
	case "expiry":
		at = &c.Expiry
	case "consented_at":
		at = &c.ConsentedAt
	case "lapses_at":
		at = &c.LapsesAt
	case "ends_at":
		at = &c.EndsAt
	case "scopes":
		c.Scopes, rest, ok = cutStrings(b)
		return rest, ok
	default:
		return nil, false
	}
	value, rest, ok := cutString(b)
	switch {
	case !ok:
		return nil, false
	case text != nil:
		*text = string(value)
		return rest, true
	}
	return rest, at.UnmarshalText(value) == nil
}
