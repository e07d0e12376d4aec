package records

import (
	"fmt"
)

// credentialSchema1 is that of credentials up to schema 1. Their plaintext is one of today,
// with fewer fields, and the facts are the same; a schema that changes those takes a copy of
// them here.
const credentialSchema1 = 1

// ToDataKeys leads from schema 1, in which credentials were sealed under the keyset itself,
// to 2.
func ToDataKeys(t *Change) error {
	return t.Each(Connections, "", func(k, v []byte) error {
		r, err := decodeConnection(k, v)
		if err != nil {
			return err
		}
		sealed, err := t.Get(Credentials, r.ID)
		if err != nil {
			return err
		}
		plaintext, err := unseal(t.aead, credentialSchema1, sealed, credentialFacts(r))
		if err != nil {
			return fmt.Errorf("credential of connection %q: %w", k, err)
		}
		if err := t.renewDataKey(r); err != nil {
			return err
		}
		return t.sealCredential(r, plaintext)
	})
}
