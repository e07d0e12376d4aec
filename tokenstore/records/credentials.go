package records

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/tokenstore"
)

// ReplaceCredential stores a credential in place of the one of that generation.
func (s *Store) ReplaceCredential(ctx context.Context, id string, generation uint64, c tokenstore.Credential) error {
	return s.update(ctx, "replacing the credential of connection "+id, func(t *Change) error {
		r, err := t.connection(id)
		if err != nil {
			return err
		}
		if err := mayReplace(r, &c); err != nil {
			return err
		}
		if r.Generation != generation {
			return conflict(generation, r.Generation)
		}
		return t.replaceCredential(r, &c)
	})
}

func mayReplace(r *connectionRecord, c *tokenstore.Credential) error {
	if err := validFor(r.CredentialKind, c); err != nil {
		return err
	}
	if !c.Consented() {
		return invalidf("nobody has consented to it: it would take what is there away")
	}
	return nil
}

// replaceCredential begins the next generation with c. The rotation of the one before has
// ended, whoever has claimed it.
func (t *Change) replaceCredential(r *connectionRecord, c *tokenstore.Credential) error {
	if err := mayReplace(r, c); err != nil {
		return err
	}
	r.Generation++
	if err := t.endRotation(r.ID); err != nil {
		return err
	}
	if err := t.dropClaim(r.ID); err != nil {
		return err
	}
	// Both passed the same validation, so that the record stays valid.
	rescoped := c.Kind == tokenstore.KindOAuth2 && !slices.Equal(r.Scopes, c.Scopes)
	if rescoped {
		r.Scopes, r.UpdatedAt = c.Scopes, t.now
	}
	reactivate := r.State == tokenstore.StateNeedsReauthorisation ||
		r.State == tokenstore.StateExpiring && c.Ending(t.now) == ""
	if reactivate {
		if err := t.setState(r, tokenstore.StateActive, ""); err != nil {
			return err
		}
	}
	if err := t.putConnection(r); err != nil {
		return err
	}
	if err := t.putCredential(r, c); err != nil {
		return err
	}
	// Of the generation only the incarnation is in the directory, so that most
	// replacements leave it alone.
	t.directory = reactivate || rescoped
	return nil
}

func validFor(kind tokenstore.CredentialKind, c *tokenstore.Credential) error {
	if c.Kind != kind {
		return invalidf("the connection takes a credential of kind %q, not %q", kind, c.Kind)
	}
	return c.Validate()
}

const credentialSchema = 2

// credentialFacts says what a credential is bound to: its record and kind; the
// making of its connection and the generation, the incarnation included, which
// are kept in another record, so that an old ciphertext put back does not open;
// and where the connection leads, so that whoever can edit the file can't have
// the credential sent to a host of their own.
func credentialFacts(r *connectionRecord) []byte {
	return associate(
		string(Credentials),
		r.ID,
		string(r.CredentialKind),
		r.CreatedAt.Format(time.RFC3339Nano),
		fmt.Sprint(r.Generation),
		string(r.Edition), r.SiteURL, r.CloudID, r.BaseURL, r.UpstreamCA,
	)
}

// under adds the data key to the facts. Its name has one length, so that nothing
// else reads the same.
func (k *dataKey) under(facts []byte) []byte { return append(facts, k.wrapped[:]...) }

// putCredential seals the credential under the data key of its connection.
func (t *Change) putCredential(r *connectionRecord, c *tokenstore.Credential) error {
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
		return fmt.Errorf("encoding: %w", err)
	}
	return t.sealCredential(r, plaintext)
}

// sealCredential wipes the plaintext.
func (t *Change) sealCredential(r *connectionRecord, plaintext []byte) error {
	defer clear(plaintext)
	key, err := readDataKey(t, t.aead, r)
	if err != nil {
		return err
	}
	sealed, err := seal(key, credentialSchema, plaintext, key.under(credentialFacts(r)))
	if err != nil {
		return err
	}
	t.touch(r.ID)
	return t.Put(Credentials, r.ID, sealed)
}

func (t *Change) credential(r *connectionRecord) (tokenstore.Credential, error) {
	return readCredential(t, t.aead, r)
}

// readCredential returns the credential of a connection. Nothing of it points into
// the file.
func readCredential(tx Reader, a tink.AEAD, r *connectionRecord) (tokenstore.Credential, error) {
	c, err := findCredential(tx, a, r)
	if err != nil {
		return tokenstore.Credential{}, err
	}
	return c.open()
}

// unsealCredential returns the plaintext, to be wiped.
func unsealCredential(tx Reader, a tink.AEAD, r *connectionRecord) ([]byte, error) {
	c, err := findCredential(tx, a, r)
	if err != nil {
		return nil, err
	}
	return c.unseal(nil)
}
