package bolt

import (
	"bytes"
	"encoding/json"
	"time"
	"unicode/utf8"
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
	*c = credentialRecord{}
	if err := json.Unmarshal(plaintext, c); err != nil {
		// Without the cause, which may quote what was decrypted.
		return corruptf("a sealed record opens but is not a credential")
	}
	return nil
}

// decodePlain reads what putCredential has encoded, as long as no string of it has
// an escape: a call would pay more for reflection than for decryption. Where it
// reports false, encoding/json has to do it.
func (c *credentialRecord) decodePlain(b []byte) bool {
	if bytes.IndexByte(b, '\\') >= 0 || !utf8.Valid(b) || len(b) < 2 || b[0] != '{' {
		return false
	}
	if string(b) == "{}" {
		return true
	}
	for more := true; more; {
		name, rest, ok := cutString(b[1:])
		if !ok || len(rest) == 0 || rest[0] != ':' {
			return false
		}
		if b, ok = c.field(name, rest[1:]); !ok || len(b) == 0 {
			return false
		}
		more = b[0] == ','
	}
	return string(b) == "}"
}

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

// cutString cuts a JSON string without escapes off b.
func cutString(b []byte) (value, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	end := bytes.IndexByte(b[1:], '"')
	if end < 0 {
		return nil, nil, false
	}
	return b[1 : 1+end], b[2+end:], true
}

// cutStrings cuts a JSON array of one or more strings without escapes off b.
func cutStrings(b []byte) (values []string, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '[' {
		return nil, nil, false
	}
	end := bytes.IndexByte(b, ']')
	if end < 0 {
		return nil, nil, false
	}
	// One string for all of them, as a call pays for each.
	all := string(b[:end])
	for at := 0; at < end; {
		value, left, ok := cutString(b[at+1 : end])
		if !ok || len(left) > 0 && left[0] != ',' {
			return nil, nil, false
		}
		values = append(values, all[at+2:at+2+len(value)])
		at = end - len(left)
	}
	return values, b[end+1:], true
}
