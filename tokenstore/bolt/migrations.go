package bolt

import (
	"fmt"

	"github.com/tink-crypto/tink-go/v2/tink"
	"go.etcd.io/bbolt"
)

// credentialSchema1 is that of credentials up to schema 1 of the store. Their
// plaintext is one of today, with fewer fields, and the facts are the same; a
// schema that changes those takes a copy of them here.
const credentialSchema1 = 1

// toDataKeys leads from schema 1, in which credentials were sealed under the
// keyset itself, to 2. The old ciphertexts are overwritten once the store is open.
func toDataKeys(tx *bbolt.Tx, a tink.AEAD) error {
	for _, name := range [][]byte{bucketDataKeys, bucketRotations, bucketInvitations, bucketAnnouncements} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	t := &change{Tx: tx, aead: a}
	return t.Bucket(bucketConnections).ForEach(func(k, v []byte) error {
		r, err := decodeConnection(k, v)
		if err != nil {
			return err
		}
		plaintext, err := unseal(a, credentialSchema1, tx.Bucket(bucketCredentials).Get(k), credentialFacts(r))
		if err != nil {
			return fmt.Errorf("credential of connection %q: %w", k, err)
		}
		if err := t.renewDataKey(r); err != nil {
			return err
		}
		return t.sealCredential(r, plaintext)
	})
}
