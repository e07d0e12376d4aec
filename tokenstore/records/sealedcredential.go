package records

import (
	"bytes"
	"sync"

	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// sealedCredential is a credential as it lies in the file, ready to be opened. It is
// immutable, and nothing of it points into the file.
type sealedCredential struct {
	id         string
	kind       tokenstore.CredentialKind
	generation uint64
	keyset     uint64 // the version of the keyset that has opened the data key
	key        *dataKey
	sealed     []byte
	associated []byte
}

// findCredential reads the credential of a connection, and unwraps its data key.
func findCredential(tx Reader, a tink.AEAD, r *connectionRecord) (*sealedCredential, error) {
	key, err := readDataKey(tx, a, r)
	if err != nil {
		return nil, err
	}
	sealed, err := tx.Get(Credentials, r.ID)
	if err != nil {
		return nil, err
	}
	return &sealedCredential{
		id: r.ID, kind: r.CredentialKind, generation: r.Generation, key: key,
		sealed:     bytes.Clone(sealed),
		associated: bound(sealFormat, credentialSchema, key.under(credentialFacts(r))),
	}, nil
}

// unseal appends the plaintext to dst. It is to be wiped.
func (c *sealedCredential) unseal(dst []byte) ([]byte, error) {
	if err := checkHeader(c.sealed, credentialSchema); err != nil {
		return nil, err
	}
	plaintext, err := c.key.Open(dst, nil, c.sealed[sealHeader:], c.associated)
	if err != nil {
		return nil, errNotOpening()
	}
	return plaintext, nil
}

// plaintexts are buffers of what was opened, all wiped.
var plaintexts = sync.Pool{New: func() any { return new([]byte) }}

// open decrypts the credential.
func (c *sealedCredential) open() (tokenstore.Credential, error) {
	buffer := plaintexts.Get().(*[]byte)
	plaintext, err := c.unseal((*buffer)[:0])
	if err != nil {
		plaintexts.Put(buffer)
		return tokenstore.Credential{}, err
	}
	defer func() {
		clear(plaintext)
		*buffer = plaintext
		plaintexts.Put(buffer)
	}()
	var r credentialRecord
	if err := r.decode(plaintext); err != nil {
		return tokenstore.Credential{}, err
	}
	return tokenstore.Credential{
		Kind:         c.kind,
		Username:     r.Username,
		Password:     secret.New(r.Password),
		Token:        secret.New(r.Token),
		AccessToken:  secret.New(r.AccessToken),
		RefreshToken: secret.New(r.RefreshToken),
		Expiry:       r.Expiry,
		Scopes:       r.Scopes,
		ClientID:     r.ClientID,
		ClientSecret: secret.New(r.ClientSecret),
		RedirectURL:  r.RedirectURL,
		ConsumerKey:  r.ConsumerKey,
		PrivateKey:   secret.New(r.PrivateKey),
		ConsentedAt:  r.ConsentedAt,
		LapsesAt:     r.LapsesAt,
		EndsAt:       r.EndsAt,
		Generation:   c.generation,
	}, nil
}
