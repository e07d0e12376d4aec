package bolt

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// A sealed record is two bytes, the version of this format and the schema of
// what is inside, and a ciphertext of the keyset, which begins with the id of its
// key. Both bytes are bound as associated data too.
const (
	sealFormat       = 1
	credentialSchema = 1
	sealHeader       = 2
	tinkPrefix       = 5 // 0x01 and the key id, big endian
)

// seal encrypts plaintext and wipes it.
func seal(a tink.AEAD, schema byte, plaintext, associated []byte) ([]byte, error) {
	defer clear(plaintext)
	ciphertext, err := a.Encrypt(plaintext, bound(sealFormat, schema, associated))
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return append([]byte{sealFormat, schema}, ciphertext...), nil
}

// unseal decrypts a sealed record. Its errors match tokenstore.ErrCorrupt.
func unseal(a tink.AEAD, schema byte, sealed, associated []byte) ([]byte, error) {
	if len(sealed) < sealHeader+tinkPrefix {
		return nil, corruptf("a sealed record is cut short")
	}
	if sealed[0] != sealFormat || sealed[1] != schema {
		return nil, corruptf("a sealed record has format %d and schema %d, not %d and %d", sealed[0], sealed[1], sealFormat, schema)
	}
	ciphertext := sealed[sealHeader:]
	plaintext, err := a.Decrypt(ciphertext, bound(sealed[0], sealed[1], associated))
	if err != nil {
		key := binary.BigEndian.Uint32(ciphertext[1:tinkPrefix])
		return nil, corruptf("a sealed record does not open: it was changed, belongs elsewhere or is an old one, or the keyset has lost key %d", key)
	}
	return plaintext, nil
}

func bound(format, schema byte, associated []byte) []byte {
	return append([]byte{format, schema}, associated...)
}

// associate encodes the facts that a sealed record is bound to, each with its
// length, so that no two lists of facts look the same.
func associate(facts ...string) []byte {
	var b []byte
	for _, f := range facts {
		b = binary.AppendUvarint(b, uint64(len(f)))
		b = append(b, f...)
	}
	return b
}

// credentialFacts says what a credential is bound to: its record and kind; the
// making of its connection and the generation, the incarnation included, which
// are kept in another record, so that an old ciphertext put back does not open;
// and where the connection leads, so that whoever can edit the file can't have
// the credential sent to a host of their own.
func credentialFacts(r *connectionRecord) []byte {
	return associate(
		string(bucketCredentials),
		r.ID,
		string(r.CredentialKind),
		r.CreatedAt.Format(time.RFC3339Nano),
		fmt.Sprint(r.Generation),
		string(r.Edition), r.SiteURL, r.CloudID, r.BaseURL, r.UpstreamCA,
	)
}

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

func sealCredential(a tink.AEAD, r *connectionRecord, c *tokenstore.Credential) ([]byte, error) {
	plaintext, err := json.Marshal(credentialRecord{
		Username:     c.Username,
		Password:     c.Password.Reveal(),
		Token:        c.Token.Reveal(),
		AccessToken:  c.AccessToken.Reveal(),
		RefreshToken: c.RefreshToken.Reveal(),
		Expiry:       utc(c.Expiry),
		Scopes:       c.Scopes,
		ClientID:     c.ClientID,
		ClientSecret: c.ClientSecret.Reveal(),
		RedirectURL:  c.RedirectURL,
		ConsumerKey:  c.ConsumerKey,
		PrivateKey:   c.PrivateKey.Reveal(),
		ConsentedAt:  utc(c.ConsentedAt),
		LapsesAt:     utc(c.LapsesAt),
		EndsAt:       utc(c.EndsAt),
	})
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	return seal(a, credentialSchema, plaintext, credentialFacts(r))
}

func unsealCredential(a tink.AEAD, r *connectionRecord, sealed []byte) (tokenstore.Credential, error) {
	plaintext, err := unseal(a, credentialSchema, sealed, credentialFacts(r))
	if err != nil {
		return tokenstore.Credential{}, err
	}
	defer clear(plaintext)
	var c credentialRecord
	// Not decode, which makes copies that nobody wipes, and need not: what opens is
	// what was sealed.
	if err := json.Unmarshal(plaintext, &c); err != nil {
		// Without the cause, which may quote what was decrypted.
		return tokenstore.Credential{}, corruptf("a sealed record opens but is not a credential")
	}
	return tokenstore.Credential{
		Kind:         r.CredentialKind,
		Username:     c.Username,
		Password:     secret.New(c.Password),
		Token:        secret.New(c.Token),
		AccessToken:  secret.New(c.AccessToken),
		RefreshToken: secret.New(c.RefreshToken),
		Expiry:       c.Expiry,
		Scopes:       c.Scopes,
		ClientID:     c.ClientID,
		ClientSecret: secret.New(c.ClientSecret),
		RedirectURL:  c.RedirectURL,
		ConsumerKey:  c.ConsumerKey,
		PrivateKey:   secret.New(c.PrivateKey),
		ConsentedAt:  c.ConsentedAt,
		LapsesAt:     c.LapsesAt,
		EndsAt:       c.EndsAt,
		Generation:   r.Generation,
	}, nil
}
